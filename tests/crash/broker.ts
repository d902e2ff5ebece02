// The broker of the crash run: the built command, on a port that it finds free
// again each time it is started.
import { once } from 'node:events';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { startChild, type Child } from '../support/processes.js';

/** How long a client may be silent, ms. */
export const TIMEOUT_MS = 1500;

/**
 * A free port that nobody gets by chance while the broker is down: one below those
 * that systems give to whoever connects.
 */
export async function lastingPort(): Promise<number> {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 12_000);
    const server = createServer().listen(port, '127.0.0.1');
    const free = await once(server, 'listening').then(
      () => true,
      () => false,
    );
    server.close();
    if (free) return port;
  }
}

/** @param born told of it as soon as it runs */
export function startBroker(
  endpoint: string,
  folder: string,
  born: (broker: Child) => void,
): Promise<Child> {
  const readyFile = join(folder, `ready-${Date.now()}.json`);
  const given = {
    bind: endpoint,
    data: join(folder, 'data'),
    'ready-file': readyFile,
    timeout: TIMEOUT_MS,
    'log-level': 'warn',
    'stream-bytes-max': 10_000_000_000,
    // A request is not given up because its workers were killed.
    'attempts-max': 1000,
  };
  const words = Object.entries(given).flatMap(([name, value]) => [`--${name}`, String(value)]);
  return startChild(process.execPath, ['dist/broker/main.js', ...words], { readyFile }, born);
}
