// nats-server as a peer of the benchmark, with JetStream in a folder of its
// own. Nothing of it is part of this project; where it is not installed, it is
// skipped.
import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { findProgram } from './find-program.js';
import type { Peer, RunningBroker } from './peer.js';
import { freePort, listens } from './ports.js';
import { BrokerProcess } from './process.js';

/** @param name what it is called in the report: which part of it is measured */
export function nats(name: string): Peer {
  const program = findProgram('nats-server');
  return {
    name,

    missing() {
      return program === undefined ? 'nats-server is not installed' : undefined;
    },

    async start(folder: string): Promise<RunningBroker> {
      const port = await freePort();
      const store = mkdtempSync(join(folder, 'nats-'));
      const args = ['-a', '127.0.0.1', '-p', String(port), '-js', '-sd', store];
      const broker = new BrokerProcess(program!, args, {}, folder, `nats-${port}`);
      await broker.until(() => listens(port));
      return {
        endpoint: `nats://127.0.0.1:${port}`,
        pid: broker.pid,
        lastWords: () => broker.lastWords(),
        stop: () => broker.stop(),
      };
    },
  };
}
