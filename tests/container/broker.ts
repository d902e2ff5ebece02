// What the suites of this folder know of the broker in a container: where it is
// reached, and how to wait until it says that something is so.
import { setTimeout as pause } from 'node:timers/promises';
import { connect, type ConnectOptions, type MlmClient } from '../../client/index.js';
import { PATIENCE_MS } from '../support/processes.js';

/** Where the port of the image is, from outside of the container. */
const ENDPOINT = 'tcp://127.0.0.1:9999';
const LOOK_MS = 20;

/** Names by which containers find each other, as in compose.yaml. */
export const HOSTS = { localhost: '127.0.0.1', broker: '127.0.0.1' };

/** The line by which the broker says that it listens. */
export const LISTENING = /^listening on tcp:/;

/** Call it once at the top of a test file: the clients it gives are closed after each test. */
export function useClients(): (options?: ConnectOptions) => Promise<MlmClient> {
  const clients: MlmClient[] = [];
  afterEach(async () => {
    await Promise.all(clients.splice(0).map((client) => client.close()));
  });
  return async (options) => {
    const client = await connect(ENDPOINT, options);
    clients.push(client);
    return client;
  };
}

/**
 * Asks the broker until a row of what it answers is as wanted.
 *
 * @param view `streams`, `services`, …
 * @throws {Error} with the last answer, where that does not come
 */
export async function untilBrokerHas(
  client: MlmClient,
  view: string,
  wanted: Readonly<Record<string, unknown>>,
): Promise<void> {
  const deadlineMs = performance.now() + PATIENCE_MS;
  for (;;) {
    const rows = (await client.request('$broker', view)).value() as Record<string, unknown>[];
    const has = rows.some((row) => Object.entries(wanted).every(([key, is]) => row[key] === is));
    if (has) return;
    if (performance.now() > deadlineMs) {
      throw new Error(`no ${JSON.stringify(wanted)} in ${view}: ${JSON.stringify(rows)}`);
    }
    await pause(LOOK_MS);
  }
}
