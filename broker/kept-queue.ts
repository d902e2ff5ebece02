// The bookkeeping that mailboxes and services share: what is kept, what of it is
// durable, how much it takes, and what happens when that is too much. In which
// order and to whom messages go is the business of the engine.
import { STATUS } from '../protocol/index.js';
import type { Committer } from './commits.js';
import type { EngineContext } from './engine-context.js';
import { Message, messageBytes, type Keeper } from './message.js';
import type { Session } from './session.js';

/** What a client sends to a mailbox or a service. */
export interface Sending {
  readonly subject: string;
  readonly tracker: string;
  /** How long the message may wait, in ms; 0 for as long as it takes. */
  readonly timeout: number;
  readonly content: readonly Buffer[];
}

/** How much one queue may keep. */
export interface QueueLimits {
  readonly messagesMax: number;
  readonly bytesMax: number;
}

export abstract class KeptQueue implements Keeper, Committer {
  readonly name: string;
  /** Messages kept: waiting, or in the outbox of a receiver. */
  messages = 0;
  /** What they count, in octets. */
  bytes = 0;
  protected readonly context: EngineContext;
  protected durableSequence = 0;
  readonly #kind: 'mailbox' | 'service';
  readonly #limits: QueueLimits;
  #lastSequence = 0;
  #refusedInEpisode = 0;

  constructor(
    kind: 'mailbox' | 'service',
    name: string,
    limits: QueueLimits,
    context: EngineContext,
  ) {
    this.#kind = kind;
    this.name = name;
    this.#limits = limits;
    this.context = context;
  }

  /** A message may be delivered once it is durable. */
  protected abstract enqueue(message: Message): void;
  /** More messages are durable, or somebody can take more. */
  protected abstract deliver(): void;
  /** A message that waits in the engine's line is gone. */
  protected abstract noteGone(message: Message): void;
  /** Puts a message back to where it was taken from. */
  protected abstract putBack(message: Message): void;

  /** Accepts a message, or refuses it and tells its sender. */
  send(origin: Session, { subject, tracker, timeout, content }: Sending): void {
    const bytes = messageBytes(subject, tracker, content);
    const reason = this.#whyFull(bytes);
    if (reason !== undefined) {
      this.#refuse(origin, tracker, reason);
      return;
    }
    this.#endEpisode();
    const message = new Message(this, ++this.#lastSequence, origin, subject, tracker, content);
    this.messages++;
    this.bytes += bytes;
    this.context.kept.bytes += bytes;
    this.context.store.keep(this.#storeName, message);
    this.context.expiry.watch(message, timeout);
    this.enqueue(message);
    this.context.commits.touch(this);
  }

  seal(): number {
    return this.#lastSequence;
  }

  committed(mark: number): void {
    this.durableSequence = mark;
    this.deliver();
  }

  taken(message: Message, receiver: Session): void {
    if (this.#kind === 'mailbox') this.context.counters.mailboxDeliveries++;
    else this.context.counters.serviceDeliveries++;
    if (message.tracker !== '' && !receiver.trackers.add(message.tracker, message.origin)) {
      this.context.log.warn('a client leaves too many tracked messages unconfirmed', {
        address: receiver.address,
      });
    }
    this.release(message);
  }

  takeBack(message: Message): void {
    this.context.counters.takenBack++;
    this.putBack(message);
  }

  expire(message: Message): void {
    message.gone = true;
    message.content = [];
    this.context.counters.expired++;
    this.noteGone(message);
    this.release(message);
    const waited = `nobody took it within its timeout (${this.#kind} ${this.name})`;
    this.context.confirmations.tell(message.origin, message.tracker, STATUS.EXPIRED, waited);
  }

  /** Gives up a message for good: it was taken, or has expired. */
  protected release(message: Message): void {
    this.messages--;
    this.bytes -= message.bytes;
    this.context.kept.bytes -= message.bytes;
    this.context.store.release(this.#storeName, message.sequence);
  }

  get #storeName(): string {
    return `${this.#kind}/${this.name}`;
  }

  /** Why a message of this size cannot be kept; undefined where it can. */
  #whyFull(bytes: number): string | undefined {
    const { keptBytesMax, messageBytesMax } = this.context.limits;
    const { messagesMax, bytesMax } = this.#limits;
    const name = `${this.#kind} ${this.name}`;
    if (bytes > messageBytesMax) return `${bytes} octets are more than a message may have`;
    if (this.messages >= messagesMax) return `${name} is full: ${this.messages} messages`;
    if (this.bytes + bytes > bytesMax) return `${name} is full: ${this.bytes} octets`;
    if (this.context.kept.bytes + bytes > keptBytesMax) return 'the broker is full';
    return undefined;
  }

  #refuse(origin: Session, tracker: string, reason: string): void {
    this.context.counters.refused++;
    if (this.#refusedInEpisode++ === 0) {
      this.context.log.warn('messages are refused', {
        [this.#kind]: this.name,
        reason,
        sender: origin.address,
      });
    }
    this.context.confirmations.tell(origin, tracker, STATUS.FAILED, reason);
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
