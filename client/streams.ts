// The verbs of streams: send to one, read one. It declares what is read, and
// brings each delivery to the readers that want it. Sessions, sockets and the
// one-stream-at-a-time rule of MLM/1 are not its business.
import { compilePattern, type Command, type Pattern } from '../protocol/index.js';
import { encodeBody } from './body.js';
import type { Declaration } from './declarations.js';
import { MlmError } from './errors.js';
import { StreamMessage } from './message.js';
import { checkCount, checkPattern, checkSignal, checkText } from './options.js';
import { DeliveryQueue, QueueIterator } from './queue.js';
import { boundsOf, sendUnder, type Room } from './room.js';
import { SubjectFilter } from './subject-filter.js';
import { Subscription } from './subscription.js';
import { bytesOf } from './value.js';

export interface ReadOptions {
  /** Subjects to read: a regular expression, searched, not anchored. Without it all. */
  readonly pattern?: string | undefined;
  /** Ends the reader, as `break` does. */
  readonly signal?: AbortSignal | undefined;
  /** Messages that may wait for this reader. Default: the client's `bufferMessagesMax`, or 1000. */
  readonly bufferMessagesMax?: number | undefined;
}

export interface SendOptions {
  /** Takes the message back while it waits to be sent. */
  readonly signal?: AbortSignal | undefined;
}

/** A stream, to send to and to read. It costs nothing until used. */
export class Stream {
  readonly name: string;
  readonly #streams: Streams;

  /** @internal */
  constructor(name: string, streams: Streams) {
    this.name = name;
    this.#streams = streams;
  }

  /**
   * Sends a message to the stream. Messages to one stream keep their order,
   * awaited or not.
   *
   * @param body see `encodeBody`: frames as they are, anything else as MessagePack
   * @returns resolves when the message has left for the broker: at once, or when
   *   there is a session again. MLM/1 does not tell whether it arrived
   * @throws {MlmError} BUFFER_FULL, CLOSED, DISCONNECTED, ABORTED, INVALID_ARGUMENT, or
   *   REFUSED where the broker does not let us write to the stream
   */
  send(subject: string, body?: unknown, options?: SendOptions): Promise<void> {
    return this.#streams.send(this.name, subject, body, options);
  }

  /**
   * Reads what others send to the stream from now on (`ready` tells when "now"
   * is). Leaving the loop cancels. A client does not read its own messages.
   *
   * ```ts
   * for await (const message of stream.read({ pattern: '^temp' })) …
   * ```
   *
   * A reader that does not keep up makes the client take nothing more from the
   * broker, once `bufferMessagesMax` wait for it, except while a reply or an
   * answer of the broker is awaited. Only if four times as many gather in such
   * times are messages dropped: counted in `lost`, and told by the event `dropped`.
   *
   * @throws {MlmError} INVALID_ARGUMENT (a pattern that is not valid), CLOSED.
   *   The loop throws REFUSED where the broker refuses, DISCONNECTED where the
   *   session is lost for good; it just ends where the client is closed
   */
  read(options: ReadOptions = {}): StreamReader {
    return this.#streams.read(this.name, options);
  }
}

/** One reader of a stream. */
export class StreamReader extends QueueIterator<StreamMessage> {
  /** Resolves when the broker has accepted the reading: what is sent from then on arrives. */
  readonly ready: Promise<void>;
  readonly #queue: DeliveryQueue<StreamMessage>;
  readonly #cancelled: () => Promise<void>;
  #lost = 0;
  #dropping = false;

  /** @internal */
  constructor(
    queue: DeliveryQueue<StreamMessage>,
    ready: Promise<void>,
    signal: AbortSignal | undefined,
    onEnd: () => Promise<void>,
  ) {
    let cancelled: Promise<void> | undefined;
    const end = (): Promise<void> => (cancelled ??= onEnd());
    super(queue, signal, () => void end());
    this.#queue = queue;
    this.#cancelled = end;
    this.ready = ready;
  }

  /** How many messages this reader missed because it was too slow. */
  get lost(): number {
    return this.#lost;
  }

  /** Ends the reader. @returns resolves when the broker delivers no more for it */
  cancel(): Promise<void> {
    this.finish();
    return this.#cancelled();
  }

  /** @internal @returns true where this is the first message of a row to be dropped */
  give(message: StreamMessage, bytes: number): boolean {
    const taken = this.#queue.push(message, bytes);
    const first = !taken && !this.#dropping;
    this.#dropping = !taken;
    if (!taken) this.#lost++;
    return first;
  }
}

/** What is known of one reader here. */
interface Reading {
  readonly filter: SubjectFilter;
  readonly declaration: Declaration;
  readonly queue: DeliveryQueue<StreamMessage>;
  readonly reader: StreamReader;
}

export class Streams {
  readonly #room: Room;
  readonly #subscriptions = new Map<string, Subscription<Reading>>();

  constructor(room: Room) {
    this.#room = room;
  }

  send(stream: string, subject: string, body: unknown, options?: SendOptions): Promise<void> {
    const signal = options?.signal;
    try {
      checkText('subject', subject, { empty: true });
      checkSignal('sending', signal);
      const content = encodeBody(body);
      return sendUnder(this.#room, signal, { name: 'STREAM SEND', subject, content }, stream);
    } catch (error) {
      if (!(error instanceof MlmError)) throw error;
      return Promise.reject(error);
    }
  }

  read(stream: string, { pattern = '', signal, bufferMessagesMax }: ReadOptions): StreamReader {
    const compiled = checkPattern(pattern);
    if (bufferMessagesMax !== undefined) checkCount('bufferMessagesMax', bufferMessagesMax);
    const { connection, intake } = this.#room;
    if (connection.over !== undefined) throw connection.over;
    const queue = new DeliveryQueue<StreamMessage>(
      boundsOf(this.#room, bufferMessagesMax),
      intake,
      true,
    );
    if (signal?.aborted === true) {
      queue.end();
      return new StreamReader(queue, Promise.resolve(), undefined, () => Promise.resolve());
    }
    const subscription = this.#subscriptionTo(stream);
    const declaration = this.#declare(subscription, stream, compiled);
    const filter = new SubjectFilter(compiled);
    const reader = new StreamReader(queue, declaration.ready, signal, () =>
      this.#leave(subscription, stream, reading),
    );
    const reading: Reading = { filter, declaration, queue, reader };
    subscription.readers.add(reading);
    return reader;
  }

  deliver(delivery: Command<'STREAM DELIVER'>): void {
    const subscription = this.#subscriptions.get(delivery.address);
    // What was on its way when its last reader left has no reader.
    if (subscription === undefined || subscription.isCopy(delivery)) return;
    const { address, sender, subject, content } = delivery;
    let message: StreamMessage | undefined;
    for (const { filter, reader } of subscription.readers) {
      if (!filter.matches(subject)) continue;
      message ??= new StreamMessage(address, sender, subject, content);
      if (!reader.give(message, bytesOf(content))) continue;
      this.#room.events.emit('dropped', { from: 'stream', name: address, subject, sender });
    }
  }

  /** The client is over: every reader ends after what it has. */
  end(error: MlmError | undefined): void {
    for (const { readers } of this.#subscriptions.values()) {
      for (const { queue } of readers) queue.end(error);
    }
    this.#subscriptions.clear();
  }

  #subscriptionTo(stream: string): Subscription<Reading> {
    let subscription = this.#subscriptions.get(stream);
    if (subscription === undefined) {
      subscription = new Subscription();
      this.#subscriptions.set(stream, subscription);
    }
    return subscription;
  }

  #declare(subscription: Subscription<Reading>, stream: string, wanted: Pattern): Declaration {
    const known = subscription.declarationFor(wanted);
    if (known !== undefined) return known;
    const source = subscription.sourceFor(wanted);
    const pattern = source === wanted.source ? wanted : compilePattern(source);
    const declaration = this.#room.connection.declare(
      { name: 'STREAM READ', stream, pattern: source },
      (error) => {
        subscription.undeclare(source);
        for (const reading of subscription.readers) {
          if (reading.declaration === declaration) reading.queue.end(error);
        }
      },
    );
    subscription.declare(pattern, declaration);
    return declaration;
  }

  /** A reader has left. MLM/1 cancels a stream as a whole, so only the last one cancels. */
  #leave(subscription: Subscription<Reading>, stream: string, reading: Reading): Promise<void> {
    subscription.readers.delete(reading);
    reading.queue.clear();
    if (subscription.readers.size > 0) return Promise.resolve();
    if (this.#subscriptions.get(stream) !== subscription) return Promise.resolve();
    this.#subscriptions.delete(stream);
    const { connection } = this.#room;
    for (const declaration of subscription.declarations) connection.undeclare(declaration);
    return connection.command({ name: 'STREAM CANCEL', stream });
  }
}
