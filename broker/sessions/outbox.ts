// What waits to be sent to one session: replies first, then streams, mail and
// service requests in turn, so that none of them can starve another. Each kind
// has a bound; whoever fills the outbox asks `hasRoom` first.
import { contentBytes, type NativeCommand } from '../../protocol/index.js';
import { Deque } from '../deque.js';
import type { Message } from '../queues/message.js';

/** The kinds of delivery; each has its own queue and bound in the outbox. */
export const TRAFFIC = ['stream', 'mailbox', 'service'] as const;
export type Traffic = (typeof TRAFFIC)[number];

/** Something to be sent to one session: one message of MLM/1, or one native command. */
export interface Outgoing {
  /** Frame 0, for an MLM/1 session. */
  readonly head: Buffer;
  readonly content: readonly Buffer[];
  /** The command, for a native session; several share one ZeroMQ message. */
  readonly command: NativeCommand | undefined;
  /** Octets that it takes, about. */
  readonly bytes: number;
  /** The kept message that an MLM/1 session gets, to be told when the socket took it. */
  readonly message: Message | undefined;
}

const NO_FRAME = Buffer.alloc(0);
const NATIVE_COMMAND_BYTES = 64;

/** One message of MLM/1. */
export function v1Outgoing(head: Buffer, content: readonly Buffer[], message?: Message): Outgoing {
  const bytes = head.length + contentBytes(content);
  return { head, content, command: undefined, bytes, message };
}

/** One native command. @param bytes octets of its sections or content */
export function nativeOutgoing(command: NativeCommand, bytes = 0): Outgoing {
  return {
    head: NO_FRAME,
    content: [],
    command,
    bytes: bytes + NATIVE_COMMAND_BYTES,
    message: undefined,
  };
}

export interface OutboxLimits {
  /** Messages of each kind, at most. */
  readonly messagesMax: number;
  /** Octets of each kind; one message more than that always fits an empty queue. */
  readonly bytesMax: number;
}

interface Queue {
  readonly items: Deque<Outgoing>;
  bytes: number;
}

const REPLIES_MAX = 1000;

export class Outbox {
  readonly #limits: OutboxLimits;
  readonly #replies = new Deque<Outgoing>();
  readonly #queues: Record<Traffic, Queue> = {
    stream: { items: new Deque(), bytes: 0 },
    mailbox: { items: new Deque(), bytes: 0 },
    service: { items: new Deque(), bytes: 0 },
  };
  #turn = 0;
  /** Whether what `take` gave last was a reply. */
  #tookReply = false;
  #length = 0;

  constructor(limits: OutboxLimits) {
    this.#limits = limits;
  }

  get length(): number {
    return this.#length;
  }

  hasRoom(traffic: Traffic): boolean {
    const queue = this.#queues[traffic];
    return queue.items.length < this.#limits.messagesMax && queue.bytes < this.#limits.bytesMax;
  }

  /** True where every kind is at most half full: time to ask for more. */
  isLow(): boolean {
    const { messagesMax, bytesMax } = this.#limits;
    return TRAFFIC.every((traffic) => {
      const queue = this.#queues[traffic];
      return queue.items.length * 2 <= messagesMax && queue.bytes * 2 <= bytesMax;
    });
  }

  push(traffic: Traffic, outgoing: Outgoing): void {
    const queue = this.#queues[traffic];
    queue.items.push(outgoing);
    queue.bytes += outgoing.bytes;
    this.#length++;
  }

  /** True while less than half of the room for replies is taken. */
  get hasRoomForReplies(): boolean {
    return this.#replies.length * 2 < REPLIES_MAX;
  }

  /** Queues a reply. @returns false where the session already leaves too many unread */
  reply(outgoing: Outgoing): boolean {
    if (this.#replies.length >= REPLIES_MAX) return false;
    this.#replies.push(outgoing);
    this.#length++;
    return true;
  }

  /** Takes out what is to be sent next. Until the next call, `restore` puts it back. */
  take(): Outgoing | undefined {
    const reply = this.#replies.shift();
    this.#tookReply = reply !== undefined;
    if (this.#length === 0) return undefined;
    this.#length--;
    if (reply !== undefined) return reply;
    do this.#turn = (this.#turn + 1) % TRAFFIC.length;
    while (this.#queueAt(this.#turn).items.length === 0);
    const queue = this.#queueAt(this.#turn);
    const outgoing = queue.items.shift();
    queue.bytes -= outgoing?.bytes ?? 0;
    return outgoing;
  }

  /** Puts back what `take` gave last: the socket did not take it. */
  restore(outgoing: Outgoing): void {
    this.#length++;
    if (this.#tookReply) {
      this.#replies.unshift(outgoing);
      return;
    }
    const queue = this.#queueAt(this.#turn);
    queue.items.unshift(outgoing);
    queue.bytes += outgoing.bytes;
    this.#turn = (this.#turn + TRAFFIC.length - 1) % TRAFFIC.length;
  }

  /** Takes out the replies, in order, of a session that gets nothing else any more. */
  takeReplies(): Outgoing[] {
    const replies = [...this.#replies];
    this.#replies.clear();
    this.#length -= replies.length;
    return replies;
  }

  /** Empties the outbox. @returns the kept messages that were in it, newest first */
  clear(): Message[] {
    const messages: Message[] = [];
    for (const traffic of TRAFFIC) {
      const { items } = this.#queues[traffic];
      for (let item = items.pop(); item !== undefined; item = items.pop()) {
        if (item.message !== undefined) messages.push(item.message);
      }
      this.#queues[traffic].bytes = 0;
    }
    this.#replies.clear();
    this.#length = 0;
    return messages;
  }

  #queueAt(turn: number): Queue {
    return this.#queues[TRAFFIC[turn] as Traffic];
  }
}
