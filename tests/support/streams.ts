// The streams of a broker without the broker: a clock that stands still and a
// store of the test's choice. Commits happen when the test says so.
import { limitsOf, resolveOptions, type OptionName } from '../../broker/options.js';
import { newCounters } from '../../broker/counters.js';
import { silentLogger } from '../../broker/log.js';
import { Policies, type PolicyRules } from '../../broker/policies.js';
import { Session } from '../../broker/sessions/session.js';
import { MemoryStore } from '../../broker/store/memory.js';
import { singleStore, Storage } from '../../broker/store/storage.js';
import type { Store } from '../../broker/store/store.js';
import { Streams } from '../../broker/streams/streams.js';
import { decode, type Command } from '../../protocol/index.js';
import { FakeClock } from './fake-clock.js';

export interface LoneOptions {
  readonly store?: Store;
  readonly rules?: PolicyRules;
  readonly options?: Partial<Record<OptionName, unknown>>;
}

export class LoneStreams {
  readonly clock = new FakeClock();
  readonly storage: Storage;
  readonly policies: Policies;
  readonly streams: Streams;
  readonly #limits;
  #sessions = 0;

  constructor({ store = new MemoryStore(), rules, options = {} }: LoneOptions = {}) {
    this.#limits = limitsOf(resolveOptions({ flags: { ephemeral: true, ...options } }));
    const nothing = (): void => undefined;
    const events = { gathering: nothing, retry: nothing, ended: nothing };
    this.storage = new Storage(singleStore(store, Infinity), silentLogger, events);
    this.policies = new Policies(this.#limits.stream, rules);
    const context = {
      clock: this.clock,
      counters: newCounters(),
      limits: this.#limits,
      log: silentLogger,
      policies: this.policies,
      storage: this.storage,
    };
    this.streams = new Streams(context, nothing);
    for (const place of this.storage.places) this.streams.recover(place);
  }

  /** A session of MLM/1 that nobody sends anything from. */
  session(address: string): Session {
    const routingId = Buffer.from([0, ++this.#sessions]);
    const flusher = { mark: (): void => undefined };
    const { outbox } = this.#limits;
    return new Session(this.#sessions, routingId, address, outbox, flusher, 0, 0);
  }
}

/** Takes what waits for a session of MLM/1. */
export function takeAll({ outbox }: Session): Command[] {
  const commands: Command[] = [];
  for (let next = outbox.take(); next !== undefined; next = outbox.take()) {
    commands.push(decode([next.head, ...next.content]));
  }
  return commands;
}
