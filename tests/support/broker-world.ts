// A whole broker without sockets: a fake network, a clock that stands still and
// a log that is kept. What happens in it depends on nothing but the test.
import { startBroker, type Broker, type BrokerParts } from '../../broker/broker.js';
import type { Logger, LogFields, LogLevel } from '../../broker/log.js';
import { resolveOptions, type OptionName } from '../../broker/options.js';
import { MemoryStore } from '../../broker/store/memory.js';
import type { Store } from '../../broker/store/store.js';
import type { Command } from '../../protocol/index.js';
import { FakeClock } from './fake-clock.js';
import { FakeTransport, type FakePeer } from './fake-transport.js';
import { brief, open, request } from './v1-commands.js';

export interface LogLine {
  readonly level: LogLevel;
  readonly message: string;
  readonly fields: LogFields;
}

/** Turns of the event loop without any traffic after which nothing more will happen. */
const QUIET_TURNS = 8;

export class World {
  readonly clock = new FakeClock();
  readonly network = new FakeTransport();
  readonly log: LogLine[] = [];
  readonly store: Store;
  broker!: Broker;

  constructor(store: Store = new MemoryStore()) {
    this.store = store;
  }

  /** @param rules how long and how safely things are kept, by name */
  async start(
    options: Partial<Record<OptionName, unknown>> = {},
    rules?: BrokerParts['rules'],
  ): Promise<this> {
    const values = resolveOptions({
      flags: { bind: ['tcp://127.0.0.1:9999'], ephemeral: true, ...options },
    });
    this.broker = await startBroker(values, {
      clock: this.clock,
      log: this.#logger(),
      store: this.store,
      transport: this.network,
      ...(rules === undefined ? {} : { rules }),
    });
    return this;
  }

  /** Waits until nothing more happens without time passing. */
  async settle(): Promise<void> {
    let quiet = 0;
    let seen = -1;
    while (quiet < QUIET_TURNS) {
      await new Promise<void>((resolve) => setImmediate(resolve));
      const now = this.broker.counters.received + this.network.attempts;
      quiet = now === seen && this.network.arrived === 0 ? quiet + 1 : 0;
      seen = now;
    }
  }

  /** Lets time pass, and waits for what that caused. */
  async pass(ms: number): Promise<void> {
    this.clock.advance(ms);
    await this.settle();
  }

  /** A client with an open session; '' for an anonymous one. */
  async client(address: string): Promise<FakePeer> {
    const peer = this.network.connect();
    await this.exchange(peer, open(address));
    return peer;
  }

  /** Sends commands and reads all that has come when nothing more happens. */
  async exchange(peer: FakePeer, ...commands: Command[]): Promise<Command[]> {
    peer.send(...commands);
    await this.settle();
    return peer.read();
  }

  /** As `exchange`, in brief words. */
  async talk(peer: FakePeer, ...commands: Command[]): Promise<string[]> {
    return (await this.exchange(peer, ...commands)).map(brief);
  }

  /** A view of `$broker`, asked for by a client of its own that comes and goes. */
  async view<View>(name: string): Promise<View> {
    const peer = await this.client('');
    const answers = await this.exchange(peer, request('$broker', `${name}.json`));
    await this.exchange(peer, { name: 'CONNECTION CLOSE' });
    const [answer] = answers;
    if (answer?.name !== 'MAILBOX DELIVER') throw new Error(`no view of ${name}`);
    const view: unknown = JSON.parse(Buffer.concat(answer.content).toString());
    // The broker's own stream of who is there is in every world.
    const isOwn = (row: { stream?: unknown }): boolean => row.stream === '$presence';
    return (Array.isArray(view) ? view.filter((row: object) => !isOwn(row)) : view) as View;
  }

  /** The log lines with this text. */
  logged(message: string): LogLine[] {
    return this.log.filter((line) => line.message === message);
  }

  async stop(): Promise<void> {
    const stopped = this.broker.stop();
    await this.settle();
    // What nobody reads keeps a broker from stopping until its bound.
    this.clock.advance(600_000);
    await stopped;
  }

  #logger(): Logger {
    const at =
      (level: LogLevel) =>
      (message: string, fields: LogFields = {}): void =>
        void this.log.push({ level, message, fields });
    return { error: at('error'), warn: at('warn'), info: at('info'), debug: at('debug') };
  }
}

/** Call it at the top of a test file: worlds that stop with their test. */
export function useWorlds(): (
  options?: Partial<Record<OptionName, unknown>>,
  store?: Store,
) => Promise<World> {
  const worlds: World[] = [];
  afterEach(async () => {
    for (const world of worlds.splice(0)) await world.stop();
  });
  return async (options, store) => {
    const world = await new World(store).start(options);
    worlds.push(world);
    return world;
  };
}
