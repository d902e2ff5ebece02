// Brokers in this process and clients of them, for tests over real sockets: each
// is closed when its test ends, and data directories are removed.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startBroker, type Broker } from '../../broker/index.js';
import { connect, type ConnectOptions, type MlmClient } from '../../client/index.js';
import type { MlmErrorCode } from '../../client/errors.js';
import { onceFree } from './scripted-broker.js';

export { failureOf } from './failure.js';

/** On a machine that is busy; still shorter than a test may take, for those who connect again. */
const CONNECT_TIMEOUT_MS = 20_000;

type BrokerOptions = NonNullable<Parameters<typeof startBroker>[0]>;

export class World {
  readonly #brokers: Broker[] = [];
  readonly #clients: MlmClient[] = [];
  readonly #directories: string[] = [];
  /** Where the broker that was started last listens. */
  endpoint = 'tcp://127.0.0.1:*';

  /** Starts a broker; a second one on the port of the first, which must have stopped. */
  async broker(options: BrokerOptions = {}): Promise<Broker> {
    const bind = [this.endpoint];
    const broker = await onceFree(() => startBroker({ bind, 'drain-timeout': 0, ...options }));
    this.#brokers.push(broker);
    this.endpoint = broker.endpoints[0]!;
    return broker;
  }

  /** A new directory for a broker's data. */
  async directory(): Promise<string> {
    const directory = await mkdtemp(join(tmpdir(), 'malamute-test-'));
    this.#directories.push(directory);
    return directory;
  }

  async client(options: ConnectOptions = {}): Promise<MlmClient> {
    const given = { heartbeatMs: 200, connectTimeoutMs: CONNECT_TIMEOUT_MS, ...options };
    const client = await connect(this.endpoint, given);
    this.#clients.push(client);
    return client;
  }

  async close(): Promise<void> {
    await Promise.all(this.#clients.splice(0).map((client) => client.close()));
    await Promise.all(this.#brokers.splice(0).map((broker) => broker.stop()));
    for (const directory of this.#directories.splice(0)) await rm(directory, { recursive: true });
    this.endpoint = 'tcp://127.0.0.1:*';
  }
}

/** Takes `count` things of an iterator; fewer where it ends. */
export async function take<T>(reader: AsyncIterator<T>, count: number): Promise<T[]> {
  const taken: T[] = [];
  while (taken.length < count) {
    const next = await reader.next();
    if (next.done === true) break;
    taken.push(next.value);
  }
  return taken;
}

/** For `toThrow`: an error with this code. */
export function coded(code: MlmErrorCode): Error {
  return expect.objectContaining({ code }) as Error;
}

/** The numbers from `first` up to `last`. */
export function range(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, at) => first + at);
}

/** Resolves at the client's next event of this name. */
export function next(client: MlmClient, event: 'connected' | 'disconnected'): Promise<void> {
  return new Promise((resolve) => client.once(event, () => resolve()));
}
