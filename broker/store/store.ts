// What the broker asks of its storage: logs of stream blocks, queues of kept
// messages, and a commit that makes everything since the last one durable at
// once. Engines know this interface only; nothing in it is shaped after one
// database. Durability is the promise of the implementation.
import type { Block } from '../../protocol/records.js';

/** How much of a stream's log to keep; what exceeds it goes, oldest first. */
export interface Retention {
  /** Octets of log, at most. */
  readonly bytesMax: number;
}

/** A message that waits in a mailbox or a service queue. */
export interface KeptMessage {
  /** Its place in the queue; rises by one with each message of that queue. */
  readonly sequence: number;
  readonly sender: string;
  readonly subject: string;
  readonly tracker: string;
  readonly content: readonly Buffer[];
}

export interface Store {
  /** Adds a block at the end of a stream's log. */
  appendBlock(stream: string, block: Block): void;

  /**
   * Reads from a stream's log.
   *
   * @returns the block that holds `sequence`, or the next one after it; undefined at the end
   */
  readBlock(stream: string, sequence: number): Block | undefined;

  /**
   * Drops the oldest blocks of a log until it fits.
   *
   * @returns the first sequence that is still there; undefined where the log is empty
   */
  trim(stream: string, retention: Retention): number | undefined;

  /** Drops a whole log. */
  dropStream(stream: string): void;

  /** Octets that a stream's log holds. */
  streamBytes(stream: string): number;

  /** Keeps a message of a queue until it is released. */
  keep(queue: string, message: KeptMessage): void;

  /** Gives up a kept message: it was taken, or has expired. */
  release(queue: string, sequence: number): void;

  /**
   * Makes all changes so far durable together.
   *
   * @returns undefined where they already are, else a promise of it; it rejects
   *   where they could not be made durable, and then none of them was
   */
  commit(): Promise<void> | undefined;

  /** Commits and lets go of every resource. */
  close(): Promise<void>;
}
