// redis-server as a peer of the benchmark, with its append-only file in a
// folder of its own. Nothing of it is part of this project; where it is not
// installed, it is skipped.
import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { findProgram } from './find-program.js';
import type { Peer, RunningBroker } from './peer.js';
import { freePort, listens } from './ports.js';
import { BrokerProcess } from './process.js';

/** What makes it keep what it has: written at once, flushed every second, as Redis advises. */
const KEEPING = ['--save', '', '--appendonly', 'yes', '--appendfsync', 'everysec'];

/** @param name what it is called in the report: which part of it is measured */
export function redis(name: string): Peer {
  const program = findProgram('redis-server');
  return {
    name,

    missing() {
      return program === undefined ? 'redis-server is not installed' : undefined;
    },

    async start(folder: string): Promise<RunningBroker> {
      const port = await freePort();
      const store = mkdtempSync(join(folder, 'redis-'));
      const at = ['--bind', '127.0.0.1', '--port', String(port), '--dir', store];
      const broker = new BrokerProcess(program!, [...at, ...KEEPING], {}, folder, `redis-${port}`);
      await broker.until(() => listens(port));
      return {
        endpoint: `redis://127.0.0.1:${port}`,
        pid: broker.pid,
        lastWords: () => broker.lastWords(),
        stop: () => broker.stop(),
      };
    },
  };
}
