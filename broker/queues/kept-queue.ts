// The bookkeeping that mailboxes and services share: what is kept, what of it is
// durable, how much it takes, and what happens when that is too much. In which
// order and to whom messages go is the business of the engine.
import { contentBytes, STATUS } from '../../protocol/index.js';
import type { Committer, Commits } from '../store/commits.js';
import { Deque } from '../deque.js';
import type { EngineContext } from '../engine-context.js';
import type { Held } from './held.js';
import { Message, messageBytes, type Keeper, type RequestKeeper } from './message.js';
import { tooLarge } from '../refusal.js';
import type { Session } from '../sessions/session.js';
import type { Place } from '../store/storage.js';
import type { KeptMessage } from '../store/store.js';

/** What a client sends to a mailbox or a service. */
export interface Sending {
  readonly subject: string;
  readonly tracker: string;
  /** How long the message may wait, in ms; 0 for as long as it takes. */
  readonly timeout: number;
  /** 0 to 9; what is more urgent goes first. */
  readonly priority?: number;
  /** How long nobody is to get it, in ms. */
  readonly delay?: number;
  /** In how many ms it is to be done; 0 for any time. */
  readonly deadline?: number;
  /** Requests of one key run one at a time. */
  readonly key?: string;
  /** 1 for a job, whose id is the tracker. */
  readonly job?: number;
  /** What it asks of a worker; see wants.ts. */
  readonly wants?: unknown;
  /** True where the sender is not told what becomes of it. */
  readonly quiet?: boolean;
  /** True for a job that is to be done though its id is known. */
  readonly again?: boolean;
  readonly content: readonly Buffer[];
}

/** What keeps a message, or kept the one that it repeats. */
export interface Kept {
  /** What makes it durable. */
  readonly commits: Commits;
  /** The message that this one repeats. Where that is lost, so is this one. */
  readonly repeats?: { readonly lost: boolean };
}

/** How much one queue may keep. */
export interface QueueLimits {
  readonly messagesMax: number;
  readonly bytesMax: number;
}

/** The kinds of queue, as the store's queue names begin. */
export type QueueKind = 'mailbox' | 'service';

export abstract class KeptQueue implements Keeper, Committer {
  readonly name: string;
  readonly requests: RequestKeeper | undefined = undefined;
  /** Messages kept: waiting, or in the outbox of a receiver. */
  messages = 0;
  /** What they count, in octets. */
  bytes = 0;
  protected readonly context: EngineContext;
  protected readonly place: Place;
  protected durableSequence = 0;
  protected lastSequence = 0;
  readonly #kind: QueueKind;
  readonly #limits: QueueLimits;
  /** Accepted, but not durable yet. */
  readonly #undurable = new Deque<Message>();
  #refusedInEpisode = 0;

  constructor(
    kind: QueueKind,
    name: string,
    limits: QueueLimits,
    context: EngineContext,
    place?: Place,
  ) {
    this.#kind = kind;
    this.name = name;
    this.#limits = limits;
    this.context = context;
    this.place = place ?? context.storage.place(context.policies[kind](name).durability);
  }

  /** The commits that its messages become durable with. */
  get commits(): Commits {
    return this.place.commits;
  }

  /** A message may be delivered once it is durable. */
  protected abstract enqueue(message: Message): void;
  /** More messages are durable, or somebody can take more. */
  protected abstract deliver(): void;
  /** Puts a message back to where it was taken from. */
  protected abstract putBack(message: Message): void;

  /**
   * Accepts a message.
   *
   * @param origin the session that sends it, where that is to hear what becomes of it
   * @returns what keeps it, or why nothing does
   */
  send(
    origin: Session | undefined,
    sending: Sending,
    sender = origin?.address ?? '',
  ): Kept | string {
    const { subject, tracker, timeout, priority = 0, delay = 0, content } = sending;
    const { deadline = 0, key = '', job = 0, wants, quiet = false } = sending;
    const reason = this.#whyFull(contentBytes(content), messageBytes(subject, tracker, content));
    if (reason !== undefined) {
      this.noteRefused(sender, reason);
      return reason;
    }
    this.#endEpisode();
    const acceptedWallMs = this.context.clock.wallMs();
    const nowMs = this.context.clock.nowMs();
    const kept: KeptMessage = {
      sequence: ++this.lastSequence,
      sender,
      subject,
      tracker,
      acceptedWallMs,
      expiresWallMs: timeout === 0 ? 0 : acceptedWallMs + timeout,
      deadlineWallMs: deadline === 0 ? 0 : acceptedWallMs + deadline,
      priority,
      key,
      job: job === 1,
      wants,
      notBeforeWallMs: delay === 0 ? 0 : acceptedWallMs + delay,
      attempts: 0,
      failures: [],
      content,
    };
    const message = new Message(this, kept, {
      origin: sender === origin?.address ? origin : undefined,
      waitUntilMs: timeout === 0 ? 0 : nowMs + timeout,
      doneByMs: deadline === 0 ? 0 : nowMs + deadline,
      quiet,
    });
    this.#count(message);
    this.watchWaiting(message);
    this.enqueue(message);
    this.#keep(message);
    return this;
  }

  #keep(message: Message): void {
    this.place.store.keep(this.#storeName, message);
    this.#undurable.push(message);
    this.place.commits.touch(this);
  }

  /** Takes over what an earlier run of the broker kept. */
  recover(messages: Iterable<KeptMessage>): void {
    const { clock } = this.context;
    // The wall clock may jump; it counts only for what an earlier run of the broker kept, and
    // where it was set back nothing has more time than it had at first.
    const momentOf = (wallMs: number, acceptedWallMs: number): number => {
      if (wallMs === 0) return 0;
      const leftMs = Math.min(wallMs - clock.wallMs(), wallMs - acceptedWallMs);
      return Math.max(1, clock.nowMs() + leftMs);
    };
    for (const kept of messages) {
      const message = new Message(this, kept, {
        origin: undefined,
        waitUntilMs: momentOf(kept.expiresWallMs, kept.acceptedWallMs),
        doneByMs: momentOf(kept.deadlineWallMs, kept.acceptedWallMs),
        quiet: false,
      });
      this.#count(message);
      this.watchWaiting(message);
      this.enqueue(message);
      this.lastSequence = message.sequence;
    }
    this.committed(this.lastSequence);
  }

  seal(): number {
    return this.lastSequence;
  }

  committed(mark: number): void {
    this.#settle(mark);
    this.durableSequence = mark;
    this.deliver();
  }

  /**
   * The store could not take these messages: those who sent them hear of it. A reply has nobody to
   * hear of it, and its request is done: it goes with the next commit.
   */
  failed(mark: number, why: string): void {
    for (const message of this.#settle(mark)) {
      if (message.gone) continue;
      if (message.quiet) {
        this.#keep(message);
        continue;
      }
      this.drop(message);
      this.unstored?.(message, why);
      this.noteRefused(message.sender, why);
      // A native sender hears of it by the number of its sending.
      if (message.origin?.isNative === true) continue;
      const reason = `it could not be stored: ${why}`;
      this.context.confirmations.tell(message, message.tracker, STATUS.FAILED, reason);
    }
    // What came back meanwhile was durable before, and still is.
    this.deliver();
  }

  /** A message that was to be kept is lost: the store did not take it. Its sender is told. */
  protected unstored?(message: Message, why: string): void;

  taken(message: Message): void {
    this.countDelivery();
    this.release(message);
  }

  sending(message: Message, receiver: Session): void {
    const { tracker } = message;
    if (tracker === '' || receiver.trackers.add(tracker, message)) return;
    this.context.log.warn('a client leaves too many tracked messages unconfirmed', {
      address: receiver.address,
    });
  }

  unsent({ tracker }: Message, receiver: Session): void {
    if (tracker !== '') receiver.trackers.takeBack(tracker);
  }

  takeBack(message: Message): void {
    this.context.counters.takenBack++;
    message.holder = undefined;
    const { waitUntilMs } = message;
    if (waitUntilMs === 0 || waitUntilMs > this.context.clock.nowMs()) {
      this.putBack(message);
      return;
    }
    this.release(message);
    this.tellExpired(message);
  }

  due(message: Message): void {
    message.notBeforeWallMs = 0;
    if (!message.gone) this.putBack(message);
  }

  confirm({ message, session }: Held, statusCode: number, reason: string): void {
    message.holder = undefined;
    if (statusCode < STATUS.FAILED) {
      this.countDelivery();
      this.release(message);
      if (message.quiet) return;
      this.context.confirmations.tellNative(message, message.tracker, statusCode, reason);
    } else this.giveUp(message, session, statusCode, reason);
  }

  /** A native receiver does not want a message that it got. */
  protected giveUp(message: Message, _receiver: Session, statusCode: number, reason: string): void {
    this.release(message);
    this.context.confirmations.tellNative(message, message.tracker, statusCode, reason);
  }

  /** Watches a message that waits, for the first time or again; its time goes on running. */
  protected watchWaiting(message: Message): void {
    const { waitUntilMs, doneByMs } = message;
    this.#watchUntil(message, Math.min(waitUntilMs || Infinity, doneByMs || Infinity));
  }

  /** Watches a message that a native worker holds: only the deadline counts. */
  protected watchHeld(message: Message): void {
    this.#watchUntil(message, message.doneByMs || Infinity);
  }

  #watchUntil(message: Message, atMs: number): void {
    const { clock, expiry } = this.context;
    if (atMs === Infinity) expiry.unwatch(message);
    else expiry.watch(message, Math.max(1, atMs - clock.nowMs()));
  }

  /** Writes a message that changed (attempts, failures) over what the store keeps of it. */
  protected rewrite(message: Message): void {
    if (!this.place.store.persistent) return;
    this.place.store.keep(this.#storeName, message);
    this.place.commits.touch(this);
  }

  expire(message: Message): void {
    this.drop(message);
    this.tellExpired(message);
  }

  protected tellExpired(message: Message): void {
    this.context.counters.expired++;
    const { doneByMs } = message;
    if (message.quiet) return;
    const isLate = doneByMs > 0 && doneByMs <= this.context.clock.nowMs();
    const waited = isLate
      ? `it was not done by its deadline (${this.#kind} ${this.name})`
      : `nobody took it within its timeout (${this.#kind} ${this.name})`;
    this.context.confirmations.tell(message, message.tracker, STATUS.EXPIRED, waited);
  }

  /** Gives up a message that waits. */
  protected drop(message: Message): void {
    message.gone = true;
    message.content = [];
    message.line?.leave(message);
    this.release(message);
  }

  /** Gives up a message for good: it was taken, or has expired. */
  protected release(message: Message): void {
    // Its deadline means nothing any more.
    this.context.expiry.unwatch(message);
    this.messages--;
    this.bytes -= message.bytes;
    this.context.kept.bytes -= message.bytes;
    this.place.store.release(this.#storeName, message.sequence);
    if (this.place.store.persistent) this.place.commits.touch(this);
  }

  get #storeName(): string {
    return `${this.#kind}/${this.name}`;
  }

  /**
   * Why a message cannot be kept; undefined where it can.
   *
   * @param body octets of its body
   * @param bytes what it counts in the queue
   */
  #whyFull(body: number, bytes: number): string | undefined {
    const { keptBytesMax, messageBytesMax } = this.context.limits;
    const { messagesMax, bytesMax } = this.#limits;
    const name = `${this.#kind} ${this.name}`;
    if (body > messageBytesMax) return tooLarge(body, messageBytesMax);
    if (this.messages >= messagesMax) return `${name} is full: ${this.messages} messages`;
    if (this.bytes + bytes > bytesMax) return `${name} is full: ${this.bytes} octets`;
    if (this.context.kept.bytes + bytes > keptBytesMax) return 'the broker is full';
    return undefined;
  }

  #count(message: Message): void {
    this.messages++;
    this.bytes += message.bytes;
    this.context.kept.bytes += message.bytes;
  }

  /** Takes the messages up to a mark off the list of those that are not durable. */
  #settle(mark: number): Message[] {
    const settled: Message[] = [];
    let message = this.#undurable.peek();
    while (message !== undefined && message.sequence <= mark) {
      settled.push(message);
      this.#undurable.shift();
      message = this.#undurable.peek();
    }
    return settled;
  }

  protected countDelivery(): void {
    if (this.#kind === 'mailbox') this.context.counters.mailboxDeliveries++;
    else this.context.counters.serviceDeliveries++;
  }

  protected noteRefused(sender: string, reason: string): void {
    this.context.counters.refused++;
    if (this.#refusedInEpisode++ > 0) return;
    this.context.log.warn('messages are refused', { [this.#kind]: this.name, reason, sender });
  }

  #endEpisode(): void {
    if (this.#refusedInEpisode === 0) return;
    this.context.log.info('messages are accepted again', {
      [this.#kind]: this.name,
      refused: this.#refusedInEpisode,
    });
    this.#refusedInEpisode = 0;
  }
}

/**
 * What the store keeps as queues: those of messages, dead letters, results, the ids of stream
 * messages and of jobs.
 */
type StoredKind = QueueKind | 'dead' | 'results' | 'ids' | 'jobs';

/** What a queue of the store is: its kind and its name; the inverse of how it is named. */
export function queueOf(storeName: string): { kind: StoredKind; name: string } {
  const slash = storeName.indexOf('/');
  return {
    kind: storeName.slice(0, slash) as StoredKind,
    name: storeName.slice(slash + 1),
  };
}
