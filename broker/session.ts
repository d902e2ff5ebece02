// One client as the broker knows it between its OPEN and its end: who it is,
// what it declared, what waits to be sent to it. It holds state and answers
// questions about it; what a command does stands in handlers.ts, when a session
// ends in sessions.ts.
import { encode, encodeHeader, type BrokerCommandName, type Command } from '../protocol/index.js';
import type { Origin } from './confirmations.js';
import type { Message } from './message.js';
import { Outbox, type OutboxLimits, type Outgoing, type Traffic } from './outbox.js';
import type { Worker } from './services.js';
import type { Reader, Stream } from './streams.js';
import { Trackers } from './trackers.js';

/** The key of a session: what its routing id is to the tables of the broker. */
export type SessionKey = number | string;

/** What a session needs from the broker: to be looked at by the flush loop. */
export interface Flushable {
  /** The session has something to send. */
  mark(session: Session): void;
}

export class Session {
  readonly key: SessionKey;
  readonly routingId: Buffer;
  /** The address it opened; empty for an anonymous client. */
  readonly address: string;
  readonly openedAtMs: number;
  readonly outbox: Outbox;
  readonly readers = new Map<Stream, Reader>();
  readonly offers = new Map<string, Worker>();
  readonly trackers = new Trackers();
  /** The stream it writes to. */
  stream: Stream | undefined;
  /** Deliveries it may still be sent; Infinity for a client that never granted credit. */
  credit = Infinity;
  /** The beat of the session table at which it was last heard. */
  lastBeat: number;
  ended = false;
  /** Somebody has more for it than its outbox or its credit took. */
  wantsRoom = false;
  /** Owned by the flush loop. */
  readonly flush = { queued: false, blocked: false, delayMs: 0 };
  /** Itself, as the origin of what it sends. */
  readonly origin: Origin;
  readonly #flusher: Flushable;

  constructor(
    key: SessionKey,
    routingId: Buffer,
    address: string,
    limits: OutboxLimits,
    flusher: Flushable,
    beat: number,
    nowMs: number,
  ) {
    this.key = key;
    this.routingId = routingId;
    this.address = address;
    this.origin = { sender: address, origin: this };
    this.outbox = new Outbox(limits);
    this.#flusher = flusher;
    this.lastBeat = beat;
    this.openedAtMs = nowMs;
  }

  /**
   * Asks for room for one delivery. Where there is none, the session remembers
   * that somebody waits, and the engines are called when there is.
   */
  takesMore(traffic: Traffic): boolean {
    if (this.credit > 0 && this.outbox.hasRoom(traffic)) return true;
    this.wantsRoom = true;
    return false;
  }

  /** Queues a delivery, for which `takesMore` has just said that there is room. */
  deliver(traffic: Traffic, outgoing: Outgoing): void {
    this.credit--;
    this.outbox.push(traffic, outgoing);
    this.#flusher.mark(this);
  }

  /** Queues a delivery of kept mail or of a kept request. */
  deliverMessage(traffic: 'mailbox' | 'service', address: string, message: Message): void {
    const name = traffic === 'mailbox' ? 'MAILBOX DELIVER' : 'SERVICE DELIVER';
    const { sender, subject, tracker, content, bytes } = message;
    const head = encodeHeader({ name, sender, address, subject, tracker });
    this.deliver(traffic, { head, content, bytes, message });
  }

  /** Queues a reply. @returns false where the client leaves too many replies unread */
  reply(command: Command<BrokerCommandName>): boolean {
    const [head, ...content] = encode(command);
    if (head === undefined || this.ended) return true;
    const queued = this.outbox.reply({ head, content, bytes: head.length, message: undefined });
    this.#flusher.mark(this);
    return queued;
  }
}
