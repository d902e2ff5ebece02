// A message that is kept for a receiver: mail, or a request to a service. It
// knows which queue keeps it and who holds it, so that whoever comes upon it (an
// outbox, the table of deadlines) can say what became of it.
import { contentBytes } from '../../protocol/index.js';
import type { Expiring } from './deadlines.js';
import type { Held } from './held.js';
import type { Session } from '../sessions/session.js';
import type { Failure, KeptMessage } from '../store/store.js';
import type { Share } from './sharing.js';
import type { WaitingLine } from './waiting-line.js';
import { NO_WANTS, type Needs, type Wants } from './wants.js';

/** Octets of memory that a message costs beside its strings and content, as measured. */
const MESSAGE_OVERHEAD_BYTES = 700;

/** The queue that keeps a message: a mailbox or a service. */
export interface Keeper {
  /** The message is about to be sent: its receiver may confirm it before the socket says so. */
  sending(message: Message, receiver: Session): void;
  /** It was not sent. */
  unsent(message: Message, receiver: Session): void;
  /** A receiver's socket took the message. */
  taken(message: Message): void;
  /** The session that was to receive the message, or held it, ended first. */
  takeBack(message: Message): void;
  /** The message waited longer than its timeout, or its deadline is over. */
  expire(message: Message): void;
  /** The time for which the message was to be held back is over. */
  due(message: Message): void;
  /** A native receiver has done with the message, or gives it up. */
  confirm(held: Held, statusCode: number, reason: string): void;
  /** What can happen to requests alone; undefined for a mailbox. */
  readonly requests: RequestKeeper | undefined;
}

/** The queue that keeps a request. */
export interface RequestKeeper {
  /** The request has waited long enough for the worker that it prefers. */
  settle(message: Message): void;
  /** A native worker has done a request, and this is its reply. */
  reply(held: Held, content: readonly Buffer[]): void;
  /** A native worker says how far it is. */
  progress(held: Held, kind: number, content: readonly Buffer[]): void;
  /** A native worker still works on it. */
  extend(held: Held): void;
  /** A native worker did not say in time that it still works on it. */
  leaseOver(held: Held): void;
  /** A native worker has stopped working on what it does not hold any more. */
  freed(held: Held): void;
}

/** A message that is held back until a moment. */
export interface Delay extends Expiring {
  readonly message: Message;
  /** True where it waits for a worker that it prefers, and will take another one then. */
  readonly settles: boolean;
}

/** What is known of a message in this run of the broker alone. */
export interface MessageNow {
  /** The session that sent it; undefined for one that an earlier run of the broker accepted. */
  readonly origin: Session | undefined;
  /** Clock time (ms) until which it may wait for a receiver; 0 for as long as it takes. */
  readonly waitUntilMs: number;
  /** Clock time (ms) by which it is to be done; 0 for any time. */
  readonly doneByMs: number;
  /** True where its sender is not told what becomes of it: a reply. */
  readonly quiet: boolean;
}

export class Message implements Expiring, KeptMessage, MessageNow {
  readonly keeper: Keeper;
  readonly sequence: number;
  readonly sender: string;
  readonly origin: Session | undefined;
  readonly subject: string;
  readonly tracker: string;
  readonly acceptedWallMs: number;
  readonly expiresWallMs: number;
  readonly deadlineWallMs: number;
  readonly waitUntilMs: number;
  readonly doneByMs: number;
  readonly priority: number;
  readonly key: string;
  readonly job: boolean;
  readonly wants: unknown;
  readonly quiet: boolean;
  /** What it asks of its worker, as it was read. */
  wanted: Wants = NO_WANTS;
  /** What a worker must have to get it now; undefined for nothing special. */
  needs: Needs | undefined = undefined;
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
  /** Its place in the order of those that wait; that of its sequence, or further back. */
  order: number;
  /** While it is held back: until when. */
  heldBack: Delay | undefined = undefined;
  /** While it waits for a worker that it prefers: until when. */
  settling: Delay | undefined = undefined;
  /** The line in which it waits. */
  line: WaitingLine | undefined = undefined;
  /** The delivery by which a native receiver holds it. */
  holder: Held | undefined = undefined;
  /** What it has to do with other requests for the same; undefined where nobody keeps results. */
  share: Share | undefined = undefined;
  /** True once it is neither waiting nor under way: expired, or withdrawn. */
  gone = false;

  constructor(keeper: Keeper, kept: KeptMessage, now: MessageNow) {
    this.keeper = keeper;
    this.sequence = kept.sequence;
    this.order = kept.sequence;
    this.sender = kept.sender;
    this.origin = now.origin;
    this.subject = kept.subject;
    this.tracker = kept.tracker;
    this.acceptedWallMs = kept.acceptedWallMs;
    this.expiresWallMs = kept.expiresWallMs;
    this.deadlineWallMs = kept.deadlineWallMs;
    this.waitUntilMs = now.waitUntilMs;
    this.doneByMs = now.doneByMs;
    this.priority = kept.priority;
    this.key = kept.key;
    this.job = kept.job;
    this.wants = kept.wants;
    this.quiet = now.quiet;
    this.notBeforeWallMs = kept.notBeforeWallMs;
    this.attempts = kept.attempts;
    this.failures = [...kept.failures];
    this.content = kept.content;
    this.bytes = messageBytes(kept.subject, kept.tracker, kept.content);
  }
}

/** What a message counts against the limits of its queue, in octets. */
export function messageBytes(subject: string, tracker: string, content: readonly Buffer[]): number {
  return MESSAGE_OVERHEAD_BYTES + subject.length + tracker.length + contentBytes(content);
}
