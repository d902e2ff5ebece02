// One client as the broker knows it between its OPEN and its end: who it is,
// what it declared, what waits to be sent to it. It holds state and answers
// questions about it; what a command does stands in handlers.ts, when a session
// ends in sessions.ts.
import {
  encodeHeader,
  type Command,
  type NativeBrokerCommandName,
  type NativeCommand,
} from '../../protocol/index.js';
import type { Origin } from './confirmations.js';
import type { Message } from '../queues/message.js';
import type { NativeSide } from './native-side.js';
import {
  nativeOutgoing,
  Outbox,
  v1Outgoing,
  type OutboxLimits,
  type Outgoing,
  type Traffic,
} from './outbox.js';
import type { Worker } from '../queues/lanes.js';
import type { Stream } from '../streams/stream.js';
import { Trackers } from './trackers.js';

/** The key of a session: what its routing id is to the tables of the broker. */
export type SessionKey = number | string;

/** What the flush loop keeps about a session. */
export interface FlushState {
  queued: boolean;
  blocked: boolean;
  delayMs: number;
  /** A batch that the socket has not taken yet. */
  batch: Buffer[] | undefined;
}

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
  /** The streams it reads, as an MLM/1 session. */
  readonly readers = new Set<Stream>();
  readonly offers = new Map<string, Worker>();
  readonly trackers = new Trackers();
  /** What is more about a native session; undefined for MLM/1. */
  native: NativeSide | undefined;
  /** The stream it writes to, as an MLM/1 session. */
  stream: Stream | undefined;
  /** Deliveries it may still be sent; Infinity for a client that never granted credit. */
  credit = Infinity;
  /** The beat of the session table at which it was last heard. */
  lastBeat: number;
  ended = false;
  /** Somebody has more for it than its outbox or its credit took. */
  wantsRoom = false;
  /** Owned by the flush loop. */
  readonly flush: FlushState = { queued: false, blocked: false, delayMs: 0, batch: undefined };
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

  /** True for a session that negotiated the native protocol. */
  get isNative(): boolean {
    return this.native !== undefined;
  }

  /**
   * Asks for room for one delivery. Where there is none, the session remembers
   * that somebody waits, and the engines are called when there is.
   */
  takesMore(traffic: Traffic): boolean {
    const credit = this.native?.creditFor(traffic) ?? this.credit;
    return credit > 0 && this.hasRoomFor(traffic);
  }

  /** As `takesMore`, but for the outbox alone: whoever asks keeps its own credit. */
  hasRoomFor(traffic: Traffic): boolean {
    if (this.outbox.hasRoom(traffic)) return true;
    this.wantsRoom = true;
    return false;
  }

  /** Somebody stopped half-way to let others have their turn: calls the engines again soon. */
  continueSoon(): void {
    this.wantsRoom = true;
    this.#flusher.mark(this);
  }

  /** Queues a delivery, for which there is room. */
  deliver(traffic: Traffic, outgoing: Outgoing): void {
    this.credit--;
    this.outbox.push(traffic, outgoing);
    this.#flusher.mark(this);
  }

  /** Queues a delivery of kept mail or of a kept request. */
  deliverMessage(traffic: 'mailbox' | 'service', address: string, message: Message): void {
    if (this.native !== undefined) {
      message.attempts++;
      this.deliver(traffic, this.native.outgoing(traffic, address, message));
      return;
    }
    const name = traffic === 'mailbox' ? 'MAILBOX DELIVER' : 'SERVICE DELIVER';
    const { sender, subject, tracker, content } = message;
    const head = encodeHeader({ name, sender, address, subject, tracker });
    this.deliver(traffic, v1Outgoing(head, content, message));
  }

  /** Queues an MLM/1 reply. @returns false where the client leaves too many replies unread */
  reply(command: Command<'OK' | 'CONNECTION PONG' | 'CONFIRM'>): boolean {
    return this.#queueReply(v1Outgoing(encodeHeader(command), []));
  }

  /** Queues a native reply. @returns false where the client leaves too many replies unread */
  replyNative(command: NativeCommand<NativeBrokerCommandName>): boolean {
    return this.#queueReply(nativeOutgoing(command));
  }

  /** Tells the client what became of a tracked message that it sent. */
  confirm(tracker: string, statusCode: number, statusReason: string): boolean {
    const command = { name: 'CONFIRM', tracker, statusCode, statusReason } as const;
    return this.isNative ? this.replyNative(command) : this.reply(command);
  }

  #queueReply(outgoing: Outgoing): boolean {
    if (this.ended) return true;
    const queued = this.outbox.reply(outgoing);
    this.#flusher.mark(this);
    return queued;
  }
}
