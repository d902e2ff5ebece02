// A stream as its user sees it, and what its verbs take and give: the same on
// MLM/1 and in native sessions. How they are done stands in v1-streams.ts and in
// native/streams.ts.
import type { From } from './from.js';
import type { StreamMessage } from './message.js';
import type { Sent } from './outbox.js';

export type { From };

/** Messages that a reader does not get: retention had removed them before it came to them. */
export interface Gap {
  readonly stream: string;
  readonly first: number;
  readonly last: number;
  readonly reason: string;
}

export interface ReadOptions {
  /** Subjects to read: a regular expression, searched, not anchored. Without it all. */
  readonly pattern?: string | undefined;
  /** Ends the reader, as `break` does. */
  readonly signal?: AbortSignal | undefined;
  /** Where to begin. Default `new`. All but `new` need a native session. */
  readonly from?: From | undefined;
  /**
   * The name of a cursor that the broker keeps: how far readers with this name have come. Where
   * it exists, reading begins after it, else at `from`, and it is made. Native sessions only.
   */
  readonly cursor?: string | undefined;
  /**
   * When the cursor moves. `auto` (the default): asking for the next message says that the one
   * before it is dealt with; one whose loop was left by `break` or an error is not. `manual`:
   * only by `message.confirm()`.
   */
  readonly confirm?: 'auto' | 'manual' | undefined;
  /** Whether to read also what this client itself sends. Default false. Native sessions only. */
  readonly own?: boolean | undefined;
  /**
   * Messages that may wait for this reader. Default 100000, or fewer where they are large, so that
   * `bufferBytesMax` holds. In native sessions this is the credit given to the broker; on MLM/1
   * it is `bufferMessagesMax` by another name.
   */
  readonly credit?: number | undefined;
  /** Messages that may wait for this reader. Default: the client's `bufferMessagesMax`, or 1000 on MLM/1. */
  readonly bufferMessagesMax?: number | undefined;
  /** Called when the reader comes to messages that are not there any more; see also the event `gap`. */
  readonly onGap?: ((gap: Gap) => void) | undefined;
}

export interface SendOptions {
  /** Takes the message back while it waits to be sent. */
  readonly signal?: AbortSignal | undefined;
  /**
   * What tells this message from all others that this address sends to the stream: 1 to 255
   * octets. One that comes again (the session was lost, the program starts anew) is not written
   * again: it resolves with the sequence of the first one. The broker remembers the last 10,000
   * ids of an address for each stream, across its own restarts too where the stream is durable.
   * Native sessions only.
   */
  readonly id?: string | undefined;
}

/** A stream, to send to and to read. It costs nothing until used. */
export interface Stream {
  readonly name: string;

  /**
   * Sends a message to the stream. Messages to one stream keep their order,
   * awaited or not.
   *
   * In a native session it resolves when the broker has accepted the message
   * (what that means is said by the durability of the stream), with its sequence.
   * Where the session is lost before, the message is sent again in the next one:
   * should the broker have had it already, the stream then has it twice, unless it
   * has an `id`. On MLM/1 it resolves when the message has left: whether it arrived is not told.
   *
   * @param body see `encodeBody`: frames as they are, anything else as MessagePack
   * @throws {MlmError} BUFFER_FULL, CLOSED, DISCONNECTED, ABORTED, INVALID_ARGUMENT,
   *   UNSUPPORTED for an id on MLM/1, or REFUSED with the broker's reason
   */
  send(subject: string, body?: unknown, options?: SendOptions): Promise<Sent>;

  /**
   * Sends a message and does not wait: the fastest way. What becomes of it is not
   * told, unless the broker refuses it: by the event `refused`. `client.flush()`
   * waits for all of them.
   *
   * ```ts
   * for (const reading of readings) {
   *   if (!stream.publish('temp', reading)) await stream.ready();
   * }
   * ```
   *
   * @returns false where no more can be sent now: wait for `ready()`
   * @throws {MlmError} BUFFER_FULL where that was not done; CLOSED, DISCONNECTED, INVALID_ARGUMENT
   */
  publish(subject: string, body?: unknown): boolean;

  /**
   * Waits until there is room for more: at most half of the client's bounds
   * (`bufferMessagesMax`, `bufferBytesMax`) is taken by what is not accepted yet.
   *
   * @throws {MlmError} CLOSED, DISCONNECTED
   */
  ready(): Promise<void>;

  /**
   * Reads the stream: from now on, unless `from` or `cursor` says otherwise
   * (`ready` tells when "now" is). Leaving the loop ends it. A client does not
   * read its own messages, unless `own`.
   *
   * ```ts
   * for await (const message of stream.read({ pattern: '^temp', from: 'earliest' })) …
   * ```
   *
   * In a native session a reader that does not keep up is simply behind: it gets
   * everything that the stream still holds, and after a lost session goes on with
   * the next message. Where retention was faster, it comes to a gap (event `gap`,
   * `onGap`), then goes on. On MLM/1 it makes the client take nothing more from
   * the broker once `bufferMessagesMax` wait for it, except while an answer is
   * awaited; only if four times as many gather are messages dropped (event
   * `dropped`), and what is sent while there is no session is missed.
   *
   * @throws {MlmError} INVALID_ARGUMENT, CLOSED, UNSUPPORTED for what MLM/1 cannot.
   *   The loop throws REFUSED where the broker refuses, DISCONNECTED where the
   *   session is lost for good; it just ends where the client is closed
   */
  read(options?: ReadOptions): StreamReader;
}

/** One reader of a stream. */
export interface StreamReader extends AsyncIterableIterator<StreamMessage, undefined> {
  /** Resolves when the broker has accepted the reading: what is sent from then on arrives. */
  readonly ready: Promise<void>;
  /**
   * The first sequence that the reader can still give out: where the broker let it begin, then
   * the one after the last message. Undefined before `ready`, and on MLM/1.
   */
  readonly position: number | undefined;
  /** How many messages this reader did not get: it was too slow, or retention too fast. */
  readonly lost: number;
  /**
   * Yields what is there in lists, none of them empty: less to pay for each
   * message. Use either this or the reader itself.
   */
  batches(): AsyncGenerator<StreamMessage[], undefined>;
  /** Ends the reader, as `break` does. */
  return(): Promise<IteratorResult<StreamMessage, undefined>>;
  /** Ends the reader. @returns resolves when the broker delivers no more for it */
  cancel(): Promise<void>;
}
