// A message that is kept for a receiver: mail, or a request to a service. It
// knows which queue keeps it, so that whoever holds it (an outbox, the table of
// deadlines) can say what became of it.
import type { Expiring } from './deadlines.js';
import type { Session } from './session.js';
import type { KeptMessage } from './store/store.js';

/** Octets that a message costs beside its strings and content. */
const MESSAGE_OVERHEAD_BYTES = 200;

/** The queue that keeps a message: a mailbox or a service. */
export interface Keeper {
  /** A receiver's socket took the message. */
  taken(message: Message, receiver: Session): void;
  /** The session that was to receive the message ended first. */
  takeBack(message: Message): void;
  /** The message waited longer than its timeout. */
  expire(message: Message): void;
}

export class Message implements Expiring, KeptMessage {
  readonly keeper: Keeper;
  readonly sequence: number;
  /** The session that sent it; its address may have another session by now. */
  readonly origin: Session;
  readonly subject: string;
  readonly tracker: string;
  content: readonly Buffer[];
  readonly bytes: number;
  expiresAtMs = 0;
  heapIndex = -1;
  /** True once it is neither waiting nor under way: expired, or withdrawn. */
  gone = false;

  constructor(
    keeper: Keeper,
    sequence: number,
    origin: Session,
    subject: string,
    tracker: string,
    content: readonly Buffer[],
  ) {
    this.keeper = keeper;
    this.sequence = sequence;
    this.origin = origin;
    this.subject = subject;
    this.tracker = tracker;
    this.content = content;
    this.bytes = messageBytes(subject, tracker, content);
  }

  get sender(): string {
    return this.origin.address;
  }
}

/** What a message counts against the limits of its queue, in octets. */
export function messageBytes(subject: string, tracker: string, content: readonly Buffer[]): number {
  let bytes = MESSAGE_OVERHEAD_BYTES + subject.length + tracker.length;
  for (const frame of content) bytes += frame.length;
  return bytes;
}
