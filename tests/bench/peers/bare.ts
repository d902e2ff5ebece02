// What stands beside our broker and is none: a ROUTER that forwards, and LMDB
// alone. Peers of the benchmark that are always here.
import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Peer, RunningBroker } from './peer.js';
import { freePort, listens } from './ports.js';
import { BrokerProcess } from './process.js';

const FORWARDER = fileURLToPath(new URL('../native/forwarder.js', import.meta.url));

/** A process whose ROUTER passes on what it gets. */
export function bareRouter(): Peer {
  return {
    name: 'bare ROUTER',
    missing: () => undefined,

    async start(folder: string): Promise<RunningBroker> {
      const port = await freePort();
      const endpoint = `tcp://127.0.0.1:${port}`;
      const args = [FORWARDER, endpoint];
      const broker = new BrokerProcess(process.execPath, args, {}, folder, `router-${port}`);
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

/** No server at all: the role opens LMDB itself, in the folder that is the endpoint. */
export function lmdbAlone(): Peer {
  return {
    name: 'LMDB alone',
    missing: () => undefined,
    start: (folder) =>
      Promise.resolve({
        endpoint: mkdtempSync(join(folder, 'lmdb-')),
        pid: process.pid,
        lastWords: () => undefined,
        stop: () => Promise.resolve(),
      }),
  };
}
