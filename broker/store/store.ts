// What the broker asks of its storage: logs of stream blocks, queues of kept
// messages, and a commit that makes everything since the last one durable at
// once. Engines know this interface only; nothing in it is shaped after one
// database. Durability is the promise of the implementation.
import type { Block } from '../../protocol/records.js';

/** How much of a stream's log to keep; what exceeds it goes, oldest first. */
export interface Retention {
  /** Octets of log, at most. */
  readonly bytesMax: number;
  /** Messages, at most; more stay as far as they share a block with one that stays. */
  readonly messagesMax?: number;
  /** Milliseconds since they were accepted, at most; likewise. */
  readonly ageMsMax?: number;
}

/** A message that waits in a mailbox or a service queue. */
export interface KeptMessage {
  /** Its place in the queue; rises by one with each message of that queue. */
  readonly sequence: number;
  readonly sender: string;
  readonly subject: string;
  readonly tracker: string;
  /** When it was accepted, ms since 1970. */
  readonly acceptedWallMs: number;
  /** When it expires, ms since 1970; 0 for never. */
  readonly expiresWallMs: number;
  /** 0 to 9; what is more urgent goes first. */
  readonly priority: number;
  /** When it may be delivered at the earliest, ms since 1970; 0 for at once. */
  readonly notBeforeWallMs: number;
  /** By when a request is to be done, ms since 1970; 0 for any time. */
  readonly deadlineWallMs: number;
  /** Requests of one key run one at a time; empty for none. */
  readonly key: string;
  /** True for a request whose life is written down, with its tracker as its id. */
  readonly job: boolean;
  /** What a request asks of its worker, as it was sent; undefined for nothing. */
  readonly wants: unknown;
  /** How often it was delivered. */
  readonly attempts: number;
  /** Why earlier attempts failed, oldest first. */
  readonly failures: readonly Failure[];
  readonly content: readonly Buffer[];
}

/** A kept message of which nothing is said, to be spread. */
export const PLAIN_KEPT: KeptMessage = {
  sequence: 0,
  sender: '',
  subject: '',
  tracker: '',
  acceptedWallMs: 0,
  expiresWallMs: 0,
  priority: 0,
  notBeforeWallMs: 0,
  deadlineWallMs: 0,
  key: '',
  job: false,
  wants: undefined,
  attempts: 0,
  failures: [],
  content: [],
};

/** One attempt at a request that failed. */
export interface Failure {
  readonly timeMs: number;
  /** The address of the worker that had it. */
  readonly worker: string;
  readonly reason: string;
  /** True where the worker was lost with it, and did not say so itself. */
  readonly lost?: true;
}

/** A stream that the store already had when it was opened. */
export interface StoredStream {
  readonly name: string;
  readonly lastSequence: number;
}

/** What a queue kept when the store was opened. */
export interface KeptQueueContent {
  readonly queue: string;
  /** In the order of their sequences; read as they are asked for, and only until the next queue is. */
  readonly messages: Iterable<KeptMessage>;
}

export interface Store {
  /** True where what it keeps outlives the process. */
  readonly persistent: boolean;

  /** The streams that it holds. */
  streams(): StoredStream[];

  /** The queues that hold messages. */
  queues(): Iterable<KeptQueueContent>;

  /** Adds a block at the end of a stream's log. */
  appendBlock(stream: string, block: Block): void;

  /**
   * Reads from a stream's log.
   *
   * @returns the block that holds `sequence`, or the next one after it; undefined at the end
   */
  readBlock(stream: string, sequence: number): Block | undefined;

  /** Drops the oldest blocks of a log until it fits. @param wallMs the time now, ms since 1970 */
  trim(stream: string, retention: Retention, wallMs: number): void;

  /** Drops a whole log. */
  dropStream(stream: string): void;

  /** Octets that a stream's log holds. */
  streamBytes(stream: string): number;

  /** Keeps a message of a queue until it is released; what is kept under its sequence is replaced. */
  keep(queue: string, message: KeptMessage): void;

  /**
   * Reads a kept message.
   *
   * @returns undefined where there is none, it is not durable yet, or the store keeps it nowhere
   *   but with those who have it
   */
  readKept(queue: string, sequence: number): KeptMessage | undefined;

  /** Gives up a kept message: it was taken, or has expired. */
  release(queue: string, sequence: number): void;

  /** Keeps a small value under a name, or forgets it where the value is undefined. */
  setDocument(kind: string, name: string, value: Buffer | undefined): void;

  /** All values of a kind, by name. */
  documents(kind: string): Iterable<readonly [name: string, value: Buffer]>;

  /**
   * Makes all changes so far durable together.
   *
   * @returns undefined where they already are, else a promise of it; it rejects
   *   where they could not be made durable: then nothing was added, and what was
   *   released or trimmed goes with the next commit
   */
  commit(): Promise<void> | undefined;

  /** Commits and lets go of every resource. */
  close(): Promise<void>;
}
