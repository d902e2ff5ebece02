// A message that is kept for a receiver: mail, or a request to a service. It
// knows which queue keeps it, so that whoever holds it (an outbox, the table of
// deadlines) can say what became of it.
import type { Expiring } from './deadlines.js';
import type { Session } from '../sessions/session.js';
import type { Failure, KeptMessage } from '../store/store.js';

/** Octets that a message costs beside its strings and content. */
const MESSAGE_OVERHEAD_BYTES = 200;

/** The queue that keeps a message: a mailbox or a service. */
export interface Keeper {
  /** The message is about to be sent: its receiver may confirm it before the socket says so. */
  sending(message: Message, receiver: Session): void;
  /** It was not sent. */
  unsent(message: Message, receiver: Session): void;
  /** A receiver's socket took the message. */
  taken(message: Message): void;
  /** The session that was to receive the message ended first. */
  takeBack(message: Message): void;
  /** The message waited longer than its timeout. */
  expire(message: Message): void;
  /** The time for which the message was to be held back is over. */
  due(message: Message): void;
  /** A native receiver has done with the message, or gives it up. */
  confirm(message: Message, receiver: Session, statusCode: number, reason: string): void;
}

/** A message that is held back until a moment. */
export interface Delay extends Expiring {
  readonly message: Message;
}

/** What a message is made of. */
export interface MessageFields extends KeptMessage {
  /** The session that sent it; undefined for one that an earlier run of the broker accepted. */
  readonly origin: Session | undefined;
}

export class Message implements Expiring, MessageFields {
  readonly keeper: Keeper;
  readonly sequence: number;
  readonly sender: string;
  readonly origin: Session | undefined;
  readonly subject: string;
  readonly tracker: string;
  readonly acceptedWallMs: number;
  readonly expiresWallMs: number;
  readonly priority: number;
  /** When it may be delivered at the earliest, ms since 1970; 0 for at once. */
  notBeforeWallMs: number;
  /** How often it was delivered. */
  attempts: number;
  /** Why earlier attempts failed, oldest first. */
  readonly failures: Failure[];
  /** Rises with each delivery: a confirm of an earlier one is not valid any more. */
  epoch = 0;
  content: readonly Buffer[];
  readonly bytes: number;
  expiresAtMs = 0;
  heapIndex = -1;
  /** True once it is neither waiting nor under way: expired, or withdrawn. */
  gone = false;

  constructor(keeper: Keeper, fields: MessageFields) {
    this.keeper = keeper;
    this.sequence = fields.sequence;
    this.sender = fields.sender;
    this.origin = fields.origin;
    this.subject = fields.subject;
    this.tracker = fields.tracker;
    this.acceptedWallMs = fields.acceptedWallMs;
    this.expiresWallMs = fields.expiresWallMs;
    this.priority = fields.priority;
    this.notBeforeWallMs = fields.notBeforeWallMs;
    this.attempts = fields.attempts;
    this.failures = [...fields.failures];
    this.content = fields.content;
    this.bytes = messageBytes(fields.subject, fields.tracker, fields.content);
  }
}

/** What a message counts against the limits of its queue, in octets. */
export function messageBytes(subject: string, tracker: string, content: readonly Buffer[]): number {
  let bytes = MESSAGE_OVERHEAD_BYTES + subject.length + tracker.length;
  for (const frame of content) bytes += frame.length;
  return bytes;
}
