// This project's broker as a peer of the benchmark: the built command, as a
// user starts it, with its default limits.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Peer, RunningBroker, StartOptions } from './peer.js';
import { BrokerProcess } from './process.js';

const MAIN = fileURLToPath(new URL('../../../../dist/broker/main.js', import.meta.url));

export const ours: Peer = {
  name: 'malamute-ts',

  missing() {
    return existsSync(MAIN) ? undefined : 'dist/broker/main.js is not built';
  },

  async start(folder: string, options: StartOptions): Promise<RunningBroker> {
    const readyFile = join(folder, `ours-${Date.now()}.json`);
    const args = [MAIN, '--bind', 'tcp://127.0.0.1:*', '--ready-file', readyFile];
    if (options.timeoutMs !== undefined) args.push('--timeout', String(options.timeoutMs));
    const log = join(folder, 'ours.log');
    const broker = new BrokerProcess(process.execPath, args, process.env, log);
    const endpoint = await broker.until(() => readEndpoint(readyFile));
    return { endpoint, pid: broker.pid, stop: () => broker.stop() };
  },
};

function readEndpoint(readyFile: string): string | undefined {
  if (!existsSync(readyFile)) return undefined;
  const { endpoints } = JSON.parse(readFileSync(readyFile, 'utf8')) as { endpoints: string[] };
  return endpoints[0];
}
