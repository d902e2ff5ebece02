// The one flush loop: it takes what waits in the outboxes of marked sessions to
// the transport, a quantum of each in turn. A peer whose queue is full is left
// alone for a moment while the others go on; one that is gone ends.
import { BatchWriter } from '../../protocol/index.js';
import type { Clock } from '../clock.js';
import type { Counters } from '../counters.js';
import { Deque } from '../deque.js';
import type { Message } from '../queues/message.js';
import type { Flushable, Session } from './session.js';
import type { SendFailure, Transport } from '../transport.js';

const QUANTUM = 64;
/** A batch for a native session is sent when it has this much. */
const BATCH_BYTES = 256 * 1024;
const BATCH_COMMANDS = 1000;
/** Calling an engine for more counts as this many sends. */
const ROOM_WEIGHT = 64;
const YIELD_AFTER = 2048;
const RETRY_MS_MIN = 1;
const RETRY_MS_MAX = 64;
const STRAYS_MAX = 1000;
/** Turns of the event loop for which a burst of what came in waits for what goes out. */
const TURNS_MAX = 8;

export interface FlusherEvents {
  /** A session's peer is not there any more. */
  gone(session: Session): void;
  /** A session that wanted room has some. */
  room(session: Session): void;
}

export class Flusher implements Flushable {
  readonly #transport: Transport;
  readonly #clock: Clock;
  readonly #counters: Counters;
  readonly #events: FlusherEvents;
  readonly #queue = new Deque<Session>();
  /** Replies to peers that have no session: routing id and frames. */
  readonly #strays = new Deque<Buffer[]>();
  readonly #batch = new BatchWriter();
  #running: Promise<void> | undefined;
  /** Those who wait for the end of a turn. */
  readonly #waiting: (() => void)[] = [];
  #sinceYield = 0;
  #stopped = false;

  constructor(transport: Transport, clock: Clock, counters: Counters, events: FlusherEvents) {
    this.#transport = transport;
    this.#clock = clock;
    this.#counters = counters;
    this.#events = events;
  }

  /** True where something waits, whether or not its peer takes it. */
  get idle(): boolean {
    return this.#queue.length === 0 && this.#strays.length === 0 && this.#running === undefined;
  }

  mark(session: Session): void {
    const { flush } = session;
    if (flush.queued || flush.blocked) return;
    flush.queued = true;
    this.#queue.push(session);
  }

  /** Queues a reply to a peer without a session; dropped where it is not taken at once. */
  replyTo(frames: Buffer[]): void {
    if (this.#strays.length >= STRAYS_MAX) this.#counters.repliesDropped++;
    else this.#strays.push(frames);
  }

  /** Sends what can be sent. Resolves when nothing is left but what blocked peers wait for. */
  flush(): Promise<void> {
    if (this.#running !== undefined) return this.#running;
    if (this.#queue.length === 0 && this.#strays.length === 0) return Promise.resolve();
    this.#running = this.#run();
    return this.#running;
  }

  /**
   * As `flush`, but resolves after a few turns of the event loop though there is more: a
   * reader that takes as fast as it is given must not keep the broker from hearing others.
   */
  async flushForAWhile(): Promise<void> {
    void this.flush();
    for (let turn = 0; turn < TURNS_MAX && this.#running !== undefined; turn++) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  stop(): void {
    this.#stopped = true;
  }

  async #run(): Promise<void> {
    try {
      for (;;) {
        await this.#sendStrays();
        const session = this.#queue.shift();
        if (session === undefined || this.#stopped) break;
        session.flush.queued = false;
        if (session.isNative) await this.#sendBatches(session);
        else await this.#sendMessages(session);
        if (!session.ended) this.#finishTurn(session);
        if (this.#sinceYield >= YIELD_AFTER) await this.#yield();
      }
    } finally {
      this.#running = undefined;
      this.#letGo();
    }
  }

  /** A quantum of MLM/1 messages, each a ZeroMQ message of its own. */
  async #sendMessages(session: Session): Promise<void> {
    const { outbox, routingId } = session;
    for (let sent = 0; sent < QUANTUM; sent++) {
      const outgoing = outbox.take();
      if (outgoing === undefined) return;
      const { head, content, message } = outgoing;
      if (message !== undefined && this.#hasExpired(message)) {
        // Taken back, it is given up, and its sender told.
        message.keeper.takeBack(message);
        session.credit++;
        session.wantsRoom = true;
        continue;
      }
      const [only] = content;
      const frames =
        content.length === 1 && only !== undefined
          ? [routingId, head, only]
          : [routingId, head, ...content];
      message?.keeper.sending(message, session);
      try {
        await this.#transport.send(frames);
      } catch (error) {
        message?.keeper.unsent(message, session);
        // The session may have ended meanwhile, and its outbox with it.
        if (!session.ended) outbox.restore(outgoing);
        else message?.keeper.takeBack(message);
        this.#onFailure(session, this.#transport.failureOf(error));
        return;
      }
      this.#noteSent(session);
      message?.keeper.taken(message);
      if (session.ended) return;
    }
  }

  #hasExpired({ expiresAtMs }: Message): boolean {
    return expiresAtMs > 0 && expiresAtMs <= this.#clock.nowMs();
  }

  /** Everything that waits for a native session, many commands to a ZeroMQ message. */
  async #sendBatches(session: Session): Promise<void> {
    const { flush, routingId } = session;
    for (let sent = 0; sent < QUANTUM; sent++) {
      flush.batch ??= this.#fillBatch(session);
      if (flush.batch === undefined) return;
      try {
        await this.#transport.send([routingId, ...flush.batch]);
      } catch (error) {
        this.#onFailure(session, this.#transport.failureOf(error));
        return;
      }
      this.#noteSent(session);
      flush.batch = undefined;
      if (session.ended) return;
    }
  }

  #fillBatch({ outbox }: Session): Buffer[] | undefined {
    const batch = this.#batch;
    while (batch.bytes < BATCH_BYTES && batch.count < BATCH_COMMANDS) {
      const command = outbox.take()?.command;
      if (command === undefined) break;
      batch.add(command);
    }
    return batch.take();
  }

  #noteSent(session: Session): void {
    this.#counters.sent++;
    this.#sinceYield++;
    session.flush.delayMs = 0;
  }

  /** After its quantum: a session with room gets more, one with more gets another turn. */
  #finishTurn(session: Session): void {
    const { outbox, flush } = session;
    if (flush.blocked) return;
    if (session.wantsRoom && outbox.isLow()) {
      session.wantsRoom = false;
      this.#sinceYield += ROOM_WEIGHT;
      this.#events.room(session);
    }
    if (outbox.length > 0 || flush.batch !== undefined || session.wantsRoom) this.mark(session);
  }

  async #sendStrays(): Promise<void> {
    for (let frames = this.#strays.shift(); frames !== undefined; frames = this.#strays.shift()) {
      try {
        await this.#transport.send(frames);
        this.#counters.sent++;
      } catch (error) {
        this.#transport.failureOf(error);
        this.#counters.repliesDropped++;
      }
    }
  }

  #onFailure(session: Session, failure: SendFailure): void {
    if (failure === 'closed') this.#stopped = true;
    else if (failure === 'gone') this.#events.gone(session);
    else this.#retryLater(session);
  }

  #retryLater(session: Session): void {
    const { flush } = session;
    flush.delayMs = Math.min(RETRY_MS_MAX, Math.max(RETRY_MS_MIN, flush.delayMs * 2));
    flush.blocked = true;
    this.#clock.after(flush.delayMs, () => {
      flush.blocked = false;
      if (session.ended || this.#stopped) return;
      this.mark(session);
      void this.flush();
    });
  }

  async #yield(): Promise<void> {
    this.#sinceYield = 0;
    await new Promise<void>((resolve) => setImmediate(resolve));
    this.#letGo();
  }

  /** Those who wait for this turn to end go on. */
  #letGo(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}
