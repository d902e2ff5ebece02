// This project's broker as a peer of the benchmark: the built command, as a
// user starts it, with its default limits; in memory as the C broker is, or on
// disk, each start in a folder of its own.
import { existsSync, mkdtempSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Peer, RunningBroker, StartOptions } from './peer.js';
import { BrokerProcess } from './process.js';

const MAIN = fileURLToPath(new URL('../../../../dist/broker/main.js', import.meta.url));
const IN_MEMORY = { MLM_EPHEMERAL: 'true' };
let starts = 0;

/** How one of our brokers differs from another. */
export interface Variant {
  readonly name?: string;
  readonly storage?: 'memory' | 'disk';
  /** Where it keeps what is on disk; without it, each start has a folder of its own. */
  readonly data?: string;
  /** More of the broker's flags. */
  readonly flags?: readonly string[];
}

/** @param main another build's main.js, to compare builds; undefined for this checkout's */
export function malamuteTs(
  main = MAIN,
  { name = 'malamute-ts', storage = 'memory', data, flags = [] }: Variant = {},
): Peer {
  return {
    name,

    missing() {
      return existsSync(main) ? undefined : `there is no ${main}`;
    },

    async start(folder: string, options: StartOptions): Promise<RunningBroker> {
      const readyFile = join(folder, `ours-${++starts}.json`);
      const args = [main, '--bind', 'tcp://127.0.0.1:*', '--ready-file', readyFile, ...flags];
      if (storage === 'disk') args.push('--data', data ?? mkdtempSync(join(folder, 'data-')));
      const env = storage === 'memory' ? IN_MEMORY : {};
      if (options.timeoutMs !== undefined) args.push('--timeout', String(options.timeoutMs));
      const broker = new BrokerProcess(process.execPath, args, env, folder, 'ours');
      const endpoint = await broker.until(() => readEndpoint(readyFile));
      return {
        endpoint,
        pid: broker.pid,
        lastWords: () => broker.lastWords(),
        stop: () => broker.stop(),
      };
    },
  };
}

function readEndpoint(readyFile: string): string | undefined {
  if (!existsSync(readyFile)) return undefined;
  const { endpoints } = JSON.parse(readFileSync(readyFile, 'utf8')) as { endpoints: string[] };
  return endpoints[0];
}
