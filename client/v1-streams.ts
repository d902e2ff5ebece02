// The verbs of streams on MLM/1: send to one, read one. It declares what is read, and
// brings each delivery to the readers that want it. Sessions, sockets and the
// one-stream-at-a-time rule of MLM/1 are not its business.
import { compilePattern, contentBytes, type Command, type Pattern } from '../protocol/index.js';
import { encodeBody } from './body.js';
import type { Declaration } from './declarations.js';
import { MlmError, notOnV1 } from './errors.js';
import { checkFrom } from './from.js';
import { StreamMessage } from './message.js';
import type { Sent } from './outbox.js';
import { checkCount, checkPattern, checkSignal, checkText } from './options.js';
import { DeliveryQueue, QueueIterator } from './queue.js';
import { boundsOf, sendUnder, type Room } from './room.js';
import type { ReadOptions, SendOptions, Stream, StreamReader } from './stream.js';
import { SubjectFilter } from './subject-filter.js';
import { Subscription } from './subscription.js';

/** A stream on MLM/1. */
export class V1Stream implements Stream {
  readonly name: string;
  readonly #streams: Streams;

  constructor(name: string, streams: Streams) {
    this.name = name;
    this.#streams = streams;
  }

  send(subject: string, body?: unknown, options?: SendOptions): Promise<Sent> {
    return this.#streams.send(this.name, subject, body, options);
  }

  publish(subject: string, body?: unknown): boolean {
    return this.#streams.publish(this.name, subject, body);
  }

  ready(): Promise<void> {
    return this.#streams.settled();
  }

  read(options: ReadOptions = {}): StreamReader {
    return this.#streams.read(this.name, options);
  }
}

/** One reader of a stream. */
export class V1StreamReader extends QueueIterator<StreamMessage> implements StreamReader {
  readonly ready: Promise<void>;
  readonly position = undefined;
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

  get lost(): number {
    return this.#lost;
  }

  async *batches(): AsyncGenerator<StreamMessage[], undefined> {
    try {
      for await (const first of this) {
        const batch = [first];
        for (let next = this.#queue.take(); next !== undefined; next = this.#queue.take()) {
          batch.push(next);
        }
        yield batch;
      }
    } finally {
      this.finish();
    }
    return undefined;
  }

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
  readonly reader: V1StreamReader;
}

export class Streams {
  readonly #room: Room;
  readonly #subscriptions = new Map<string, Subscription<Reading>>();

  constructor(room: Room) {
    this.#room = room;
    room.outbox.onLost = (stream, count, error) => room.events.refused({ stream, count, error });
  }

  send(stream: string, subject: string, body: unknown, options?: SendOptions): Promise<Sent> {
    const signal = options?.signal;
    try {
      checkText('subject', subject, { empty: true });
      if (options?.id !== undefined) throw notOnV1('an id for a message');
      checkSignal('sending', signal);
      const content = encodeBody(body);
      return sendUnder(this.#room, signal, { name: 'STREAM SEND', subject, content }, stream);
    } catch (error) {
      if (!(error instanceof MlmError)) throw error;
      return Promise.reject(error);
    }
  }

  publish(stream: string, subject: string, body: unknown): boolean {
    const { connection, outbox } = this.#room;
    checkText('subject', subject, { empty: true });
    const content = encodeBody(body);
    connection.post({ name: 'STREAM SEND', subject, content }, stream);
    return outbox.hasRoom;
  }

  /** Resolves once what waits now has left. */
  async settled(): Promise<void> {
    const { connection, outbox } = this.#room;
    if (connection.over !== undefined) throw connection.over;
    await outbox.settled();
  }

  read(stream: string, options: ReadOptions): V1StreamReader {
    if (options.from !== undefined) checkFrom(options.from);
    checkCan(options);
    const { pattern = '', signal, credit } = options;
    const { bufferMessagesMax = credit } = options;
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
      return new V1StreamReader(queue, Promise.resolve(), undefined, () => Promise.resolve());
    }
    const subscription = this.#subscriptionTo(stream);
    const declaration = this.#declare(subscription, stream, compiled);
    const filter = new SubjectFilter(compiled);
    const reader = new V1StreamReader(queue, declaration.ready, signal, () =>
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
      if (!reader.give(message, contentBytes(content))) continue;
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

/** @throws {MlmError} UNSUPPORTED where MLM/1 has no way to do it */
function checkCan({ from = 'new', cursor, own = false }: ReadOptions): void {
  const what =
    from !== 'new'
      ? 'reading from any other place than "new"'
      : cursor !== undefined
        ? 'a cursor'
        : own
          ? 'reading the own messages'
          : undefined;
  if (what !== undefined) throw notOnV1(what);
}
