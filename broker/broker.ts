// The broker: the way of a message from the socket to an engine and from an
// outbox back to the socket, in one direction. It wires the parts and drives
// them; what they do stands in them.
import { Admin } from './admin.js';
import { systemClock, type Clock, type Timer } from './clock.js';
import { Confirmations } from './sessions/confirmations.js';
import { newCounters } from './counters.js';
import { Cursors } from './streams/cursors.js';
import { DeadLetters } from './queues/dead-letters.js';
import { Dispatcher } from './dispatch/dispatcher.js';
import type { EngineContext } from './engine-context.js';
import { Expiry } from './queues/expiry.js';
import { Flusher } from './sessions/flusher.js';
import type { Engines } from './dispatch/handlers.js';
import { silentLogger, type Logger } from './log.js';
import { Mailboxes } from './queues/mailboxes.js';
import type { Held } from './queues/held.js';
import { Jobs, type AppendOwn } from './queues/jobs.js';
import type { Delay, Message } from './queues/message.js';
import { queueOf } from './queues/kept-queue.js';
import { Results } from './queues/results.js';
import { NativeCalls } from './dispatch/native-calls.js';
import { NativeDispatcher } from './dispatch/native-dispatcher.js';
import { limitsOf, type Limits, type OptionValues } from './options.js';
import { Policies, type PolicyRules } from './policies.js';
import { Services } from './queues/services.js';
import { Presence } from './sessions/presence.js';
import { Prober } from './sessions/prober.js';
import { Sessions } from './sessions/sessions.js';
import type { Session } from './sessions/session.js';
import { ephemeralStores, openStores, singleStore, Storage, type Stores } from './store/storage.js';
import type { Store } from './store/store.js';
import { Streams } from './streams/streams.js';
import { RouterTransport, type Transport } from './transport.js';

/** Messages handled before what they caused is committed and sent. */
const BURST_MAX = 128;
const LINGER_MS = 1000;
const TRIM_EVERY_MS = 10_000;
const COMMIT_RETRY_MS = 100;

export interface BrokerParts {
  readonly log?: Logger;
  readonly clock?: Clock;
  /** A store of your own, for everything. */
  readonly store?: Store;
  /** How long and how safely things are kept, by name; as in the config file. */
  readonly rules?: PolicyRules;
  /** Where the rules come from, for messages. */
  readonly rulesSource?: string;
  readonly transport?: Transport;
}

export class Broker {
  readonly counters = newCounters();
  readonly #options: OptionValues;
  readonly #limits: Limits;
  readonly #log: Logger;
  readonly #clock: Clock;
  readonly #transport: Transport;
  readonly #storage: Storage;
  readonly #expiry: Expiry<Message>;
  readonly #delays: Expiry<Delay>;
  readonly #leases: Expiry<Held>;
  readonly #flusher: Flusher;
  readonly #sessions: Sessions;
  readonly #prober: Prober;
  readonly #engines: Engines;
  readonly #jobs: Jobs;
  readonly #results: Results;
  readonly #presence: Presence;
  readonly #dispatcher: Dispatcher;
  #receiving: Promise<void> | undefined;
  #tickScheduled = false;
  #burst = 0;
  #stopping = false;
  #trimTimer: Timer | undefined;
  #stopped: Promise<void> | undefined;

  /** @see startBroker */
  constructor(options: OptionValues, stores: Stores, parts: BrokerParts) {
    const { log = silentLogger, clock = systemClock } = parts;
    this.#options = options;
    this.#limits = limitsOf(options);
    this.#log = log;
    this.#clock = clock;
    this.#transport =
      parts.transport ?? new RouterTransport({ frameBytesMax: frameBytesMax(this.#limits) });
    this.#storage = new Storage(stores, log, {
      gathering: () => this.#scheduleTick(),
      retry: () => this.#commitLater(),
      ended: () => void this.#flusher.flush(),
    });
    const afterwards = (): void => this.#scheduleTick();
    this.#expiry = new Expiry(clock, (message) => message.keeper.expire(message), afterwards);
    this.#delays = new Expiry(
      clock,
      ({ message, settles }) =>
        settles ? message.keeper.requests?.settle(message) : message.keeper.due(message),
      afterwards,
    );
    this.#flusher = new Flusher(this.#transport, clock, this.counters, {
      gone: (session) => this.#sessions.end(session, 'its connection is gone'),
      room: (session) => this.#resume(session),
    });
    this.#leases = new Expiry(
      clock,
      (held) => held.message.keeper.requests?.leaseOver(held),
      afterwards,
    );
    const confirmations = new Confirmations(() => this.#sessions, this.counters);
    const shared = {
      clock,
      confirmations,
      counters: this.counters,
      expiry: this.#expiry,
      delays: this.#delays,
      leases: this.#leases,
      limits: this.#limits,
      log,
      storage: this.#storage,
      policies: new Policies(this.#limits.stream, parts.rules, parts.rulesSource),
      kept: { bytes: 0 },
    };
    const deadLetters = new DeadLetters(shared);
    const appendOwn: AppendOwn = (...own) => streams.appendOwn(...own);
    this.#presence = new Presence({
      sessionAt: (address) => this.#sessions.atAddress(address),
      append: appendOwn,
      changed: afterwards,
    });
    this.#jobs = new Jobs(appendOwn, this.#storage.place('fsync'));
    this.#results = new Results(shared);
    const context: EngineContext = {
      ...shared,
      deadLetters,
      jobs: this.#jobs,
      results: this.#results,
      presence: this.#presence,
      sendReply: (worker, address, reply) => {
        const kept = mailboxes.send(undefined, address, reply, worker);
        return typeof kept === 'string' ? kept : undefined;
      },
    };
    const cursors = new Cursors(this.#storage.place('fsync'), options['cursors-max']);
    const streams = new Streams(context, afterwards);
    const mailboxes = new Mailboxes(context, (address) => this.#sessions.atAddress(address));
    const services = new Services(context);
    const admin = new Admin({
      ...context,
      sessions: () => this.#sessions,
      streams,
      mailboxes,
      services,
      startedAtMs: clock.nowMs(),
    });
    this.#engines = {
      streams,
      mailboxes,
      services,
      confirmations,
      admin,
      cursors,
      deadLetters,
      resume: (session) => this.#resume(session),
    };
    this.#sessions = new Sessions({
      limits: this.#limits,
      timeoutMs: options.timeout,
      clock,
      counters: this.counters,
      log,
      flusher: this.#flusher,
      presence: this.#presence,
      forget: (session) => this.#forget(session),
    });
    this.#prober = new Prober({
      clock,
      sessions: () => this.#sessions,
      queued: () => void this.#flusher.flush(),
    });
    this.#dispatcher = new Dispatcher({
      counters: this.counters,
      engines: this.#engines,
      flusher: this.#flusher,
      native: new NativeDispatcher({
        engines: this.#engines,
        calls: new NativeCalls(this.#engines),
        counters: this.counters,
        limits: this.#limits,
        commits: this.#storage.place('memory').commits,
      }),
      limits: this.#limits,
      log,
      sessions: this.#sessions,
    });
  }

  /** Where it listens, with real ports. */
  get endpoints(): readonly string[] {
    return this.#transport.endpoints;
  }

  /** Listens on every endpoint of the options. */
  async start(): Promise<void> {
    try {
      this.#recover();
      for (const endpoint of this.#options.bind) await this.#transport.bind(endpoint);
    } catch (error) {
      await this.#shutDown();
      throw error;
    }
    this.#receiving = this.#receive();
    this.#prober.start();
    this.#trimLater();
  }

  #commitLater(): void {
    this.#clock.after(COMMIT_RETRY_MS, () => {
      if (!this.#stopping) this.#storage.commit();
    });
  }

  /** Messages grow too old while nobody sends any. */
  #trimLater(): void {
    this.#trimTimer = this.#clock.after(TRIM_EVERY_MS, () => {
      this.#engines.streams.trimAll();
      this.#results.trim();
      this.#trimLater();
    });
  }

  /** Takes over what the store kept from an earlier run. */
  #recover(): void {
    const { streams, mailboxes, services } = this.#engines;
    this.#engines.cursors.recover();
    for (const place of this.#storage.places) {
      streams.recover(place);
      for (const { queue, messages } of place.store.queues()) {
        const { kind, name } = queueOf(queue);
        if (kind === 'dead') this.#engines.deadLetters.recover(name, [...messages]);
        else if (kind === 'ids') streams.recoverIds(place, name, [...messages]);
        else if (kind === 'jobs') this.#jobs.recover([...messages]);
        else if (kind === 'results') this.#results.recover(place, name, messages);
        else (kind === 'mailbox' ? mailboxes : services).recover(place, name, messages);
      }
    }
  }

  /**
   * Stops: takes no new messages, delivers what waits in outboxes for as long as
   * `drain-timeout` allows, and closes. Clients are told nothing: to them it is
   * a broker that went away, and they reconnect. Safe to call again.
   */
  stop(): Promise<void> {
    this.#stopped ??= this.#drain();
    return this.#stopped;
  }

  async #drain(): Promise<void> {
    this.#stopping = true;
    // Not unbound first: zeromq.js does that on another thread, and a message or a peer that
    // comes or goes meanwhile makes libzmq abort the whole process (pipe.cpp, term_ack_sent).
    await this.#storage.settled();
    const deadlineMs = this.#clock.nowMs() + this.#options['drain-timeout'];
    while (this.#waiting() > 0 && this.#clock.nowMs() < deadlineMs) {
      await this.#flusher.flushForAWhile();
      await new Promise<void>((resolve) => this.#clock.after(5, resolve));
    }
    const left = this.#waiting();
    if (left > 0) this.#log.warn('stopping with messages that clients did not take', { left });
    await this.#shutDown();
  }

  async #shutDown(): Promise<void> {
    this.#prober.stop();
    this.#sessions.stop();
    this.#trimTimer?.cancel();
    this.#expiry.stop();
    this.#delays.stop();
    this.#leases.stop();
    this.#engines.streams.stop();
    this.#flusher.stop();
    this.#transport.close(LINGER_MS);
    await this.#receiving;
    await this.#storage.close();
  }

  #waiting(): number {
    let messages = 0;
    for (const session of this.#sessions) messages += session.outbox.length;
    return messages;
  }

  async #receive(): Promise<void> {
    for (;;) {
      let frames: Buffer[];
      try {
        frames = await this.#transport.receive();
      } catch (error) {
        if (this.#transport.failureOf(error) === 'closed') return;
        continue;
      }
      if (this.#stopping) return;
      this.counters.received++;
      this.#dispatcher.take(frames);
      if (++this.#burst >= BURST_MAX) {
        this.#tick();
        await this.#flusher.flushForAWhile();
      } else this.#scheduleTick();
    }
  }

  /** The end of a burst: what it changed is committed, what that caused is sent. */
  #tick(): void {
    this.#burst = 0;
    this.#presence.tell();
    this.#storage.commit();
    void this.#flusher.flush();
  }

  #scheduleTick(): void {
    if (this.#tickScheduled) return;
    this.#tickScheduled = true;
    // Runs when all messages that were there have been handled.
    process.nextTick(() => {
      this.#tickScheduled = false;
      this.#tick();
    });
  }

  #resume(session: Session): void {
    session.native?.acceptance.resume();
    this.#engines.streams.resume(session);
    this.#engines.mailboxes.resume(session);
    this.#engines.services.resume(session);
  }

  /** A session has ended: nothing goes to it any more, and what it had not taken goes back. */
  #forget(session: Session): void {
    this.#engines.streams.detach(session);
    this.#engines.services.detach(session);
    this.#engines.mailboxes.detach(session);
    session.trackers.clear();
    for (const message of session.outbox.clear()) message.keeper.takeBack(message);
    for (const message of session.native?.release() ?? []) message.keeper.takeBack(message);
    this.#scheduleTick();
  }
}

/**
 * Starts a broker.
 *
 * @param options every option; see `resolveOptions`
 * @returns the broker, once it listens on all endpoints
 * @throws {Error} where the data directory cannot be used, or an endpoint cannot
 *   be listened on, saying which and why
 */
export async function startBroker(options: OptionValues, parts: BrokerParts = {}): Promise<Broker> {
  const stores = await openAll(options, parts);
  let broker: Broker;
  try {
    broker = new Broker(options, stores, parts);
  } catch (error) {
    await stores.close();
    throw error;
  }
  await broker.start();
  return broker;
}

async function openAll(options: OptionValues, parts: BrokerParts): Promise<Stores> {
  const { store, log = silentLogger } = parts;
  const { data, ephemeral, 'memory-bytes-max': memoryBytesMax } = options;
  if (store !== undefined) return singleStore(store, memoryBytesMax);
  return ephemeral ? ephemeralStores(memoryBytesMax) : openStores(data, memoryBytesMax, log);
}

/** Larger frames cut their sender off; somewhat too large messages are refused in words. */
function frameBytesMax({ messageBytesMax }: Limits): number {
  return messageBytesMax * 2 + 1024 * 1024;
}
