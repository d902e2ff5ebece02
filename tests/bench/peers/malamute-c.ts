// The C Malamute broker as a peer of the benchmark, from an install prefix that
// the user names (--c-prefix or MLM_C_PREFIX). Nothing of it is part of this
// project; without a prefix it is skipped.
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Peer, RunningBroker, StartOptions } from './peer.js';
import { freePort, listens } from './ports.js';
import { BrokerProcess } from './process.js';

/** @param prefix where C Malamute was installed; undefined or empty where the user named none */
export function malamuteC(prefix: string | undefined): Peer {
  const program = prefix ? join(prefix, 'bin', 'malamute') : '';
  return {
    name: 'Malamute C',

    missing() {
      if (!prefix) return 'no install prefix given (--c-prefix or MLM_C_PREFIX)';
      return existsSync(program) ? undefined : `there is no ${program}`;
    },

    async start(folder: string, options: StartOptions): Promise<RunningBroker> {
      const port = await freePort();
      const config = join(folder, `malamute-${port}.cfg`);
      const endpoint = `tcp://127.0.0.1:${port}`;
      writeFileSync(config, configuration(endpoint, options.timeoutMs ?? 10_000));
      const env = {
        LD_LIBRARY_PATH: join(prefix!, 'lib'),
        ZSYS_LOGSYSTEM: 'false', // keeps it out of the system's log
      };
      const broker = new BrokerProcess(program, [config], env, folder, 'malamute');
      await broker.until(() => listens(port));
      return {
        endpoint,
        pid: broker.pid,
        lastWords: () => broker.lastWords(),
        stop: () => broker.stop(),
      };
    },
  };
}

function configuration(endpoint: string, timeoutMs: number): string {
  return `server
    timeout = ${timeoutMs}
    background = 0
    workdir = .
    verbose = 0
mlm_server
    bind
        endpoint = ${endpoint}
`;
}
