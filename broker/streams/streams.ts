// The streams of the broker by name, and what sessions do with them: the verbs
// of MLM/1 and of native sessions. How one stream works stands in stream.ts.
import { contentBytes } from '../../protocol/index.js';
import type { StreamContext, StreamsContext } from './stream-context.js';
import { NativeReader, type NativeReaderOptions } from './native-reader.js';
import { refused, type Refusal } from '../refusal.js';
import type { Session } from '../sessions/session.js';
import { IdBound } from '../store/id-window.js';
import type { Place } from '../store/storage.js';
import type { KeptMessage } from '../store/store.js';
import { idQueueOf, isOwn, Stream } from './stream.js';
import { SubjectIndexes } from './subject-indexes.js';

/** The sender of what the broker itself writes; no client can have this address. */
const OWN_SENDER = '$broker';
/** The streams that the broker itself writes to. */
const OWN_STREAMS: readonly string[] = ['$jobs', '$presence'];

export class Streams {
  readonly #context: StreamContext;
  readonly #streams = new Map<string, Stream>();
  /** Sessions for which the log has said so. */
  readonly #sentTooLarge = new WeakSet<Session>();

  /** @param wake has what was queued for sessions sent soon */
  constructor(context: StreamsContext, wake: () => void) {
    const indexes = new SubjectIndexes(context.clock);
    this.#context = { ...context, ids: new IdBound(), indexes, wake };
  }

  /** How many there are, beside those of the broker itself. */
  get size(): number {
    return this.#streams.size - OWN_STREAMS.filter((name) => this.#streams.has(name)).length;
  }

  [Symbol.iterator](): IterableIterator<Stream> {
    return this.#streams.values();
  }

  get(name: string): Stream | undefined {
    return this.#streams.get(name);
  }

  /** Takes over the streams that a store holds. */
  recover(place: Place): void {
    for (const { name, lastSequence } of place.store.streams()) {
      if (this.#streams.has(name)) {
        this.#context.log.warn(
          'a stream lies in two stores: the one with the stronger promise counts',
          {
            stream: name,
          },
        );
      } else this.#streams.set(name, new Stream(name, this.#context, lastSequence, place));
    }
  }

  /** Takes over the message ids of a stream that a store holds; after `recover`. */
  recoverIds(place: Place, name: string, ids: readonly KeptMessage[]): void {
    const stream = this.#streams.get(name);
    if (stream?.place === place) stream.recoverIds(ids);
    // The log that they belong to is gone, or lies in another store.
    else for (const { sequence } of ids) place.store.release(idQueueOf(name), sequence);
  }

  /**
   * The broker itself writes a message.
   *
   * @param name a stream's name that begins with `$`, which no client writes to
   * @returns the stream, which was created where there was none; its commits
   *   tell when the message is durable
   */
  appendOwn(name: string, subject: string, content: readonly Buffer[]): Stream {
    if (!isOwn(name)) throw new Error(`${name} is not a stream of the broker itself`);
    const stream = this.#streams.get(name) ?? this.#create(name);
    stream.append(OWN_SENDER, subject, content);
    return stream;
  }

  /**
   * A stream to look at. One of the broker itself may be looked at before anything was
   * written to it.
   */
  peek(name: string): Stream | undefined {
    return this.#streams.get(name) ?? (isOwn(name) ? new Stream(name, this.#context) : undefined);
  }

  /** Applies every stream's retention; time alone can make messages too old. */
  trimAll(): void {
    for (const stream of this.#streams.values()) stream.trim();
    this.#context.indexes.forgetUnused();
  }

  /** Nothing is read from the logs any more but what sessions ask for. */
  stop(): void {
    this.#context.indexes.stop();
  }

  /** STREAM WRITE: the session writes to this stream from now on. */
  write(session: Session, name: string): Refusal | undefined {
    const stream = this.#requireToWrite(name);
    if ('reason' in stream) return stream;
    if (session.stream === stream) return undefined;
    this.#leave(session);
    session.stream = stream;
    stream.writers++;
    return undefined;
  }

  /** STREAM SEND. MLM/1 has no answer to it: a message that is too large is counted and logged. */
  send(session: Session, subject: string, content: readonly Buffer[]): Refusal | undefined {
    const { stream } = session;
    if (stream === undefined) {
      return refused('STREAM SEND before STREAM WRITE: choose a stream first');
    }
    const bytes = contentBytes(content);
    if (bytes > this.#context.limits.messageBytesMax) {
      this.noteTooLarge(session, stream, bytes);
      return undefined;
    }
    this.#context.counters.streamMessages++;
    stream.appendFrom(session, subject, content);
    return undefined;
  }

  /** STREAM READ. */
  read(session: Session, name: string, pattern: string): Refusal | undefined {
    if (this.#subscriptions(session) >= this.#context.limits.subscriptionsMax) {
      return this.#tooManySubscriptions();
    }
    const stream = this.#require(name);
    if ('reason' in stream) return stream;
    const refusal = stream.v1Readers.add(session, pattern);
    if (refusal === undefined) session.readers.add(stream);
    else this.#forgetIdle(stream);
    return refusal;
  }

  /** STREAM CANCEL: all patterns of that stream. */
  cancel(session: Session, name: string): void {
    const stream = this.#streams.get(name);
    if (stream?.v1Readers.has(session) !== true) return;
    stream.v1Readers.remove(session);
    session.readers.delete(stream);
    this.#forgetIdle(stream);
  }

  /** A native session writes to a stream. @returns the handle under which it does */
  openWriter(session: Session, name: string): number | Refusal {
    const { streams, streamHandles, handle } = nativeOf(session);
    const existing = this.#streams.get(name);
    const known = existing === undefined ? undefined : streamHandles.get(existing);
    if (known !== undefined) return known;
    const { subscriptionsMax } = this.#context.limits;
    if (streams.size >= subscriptionsMax) {
      return refused(
        `a session writes to ${subscriptionsMax} streams at most; "unwrite" closes one`,
      );
    }
    const stream = this.#requireToWrite(name);
    if ('reason' in stream) return stream;
    stream.writers++;
    const number = handle();
    streams.set(number, stream);
    streamHandles.set(stream, number);
    return number;
  }

  /** A native session writes no more under a handle. */
  closeWriter(session: Session, handle: number): void {
    const { streams, streamHandles } = nativeOf(session);
    const stream = streams.get(handle);
    if (stream === undefined) return;
    streams.delete(handle);
    streamHandles.delete(stream);
    stream.writers--;
    this.#forgetIdle(stream);
  }

  /** A native session reads a stream. @returns the reader; `resume` begins it */
  openReader(
    session: Session,
    name: string,
    options: Pick<NativeReaderOptions, 'pattern' | 'credit' | 'own' | 'cursor'>,
    place: (stream: Stream) => Pick<NativeReaderOptions, 'position' | 'compactTo'>,
  ): NativeReader | Refusal {
    const { readers, handle } = nativeOf(session);
    if (readers.size >= this.#context.limits.subscriptionsMax) return this.#tooManySubscriptions();
    const stream = this.#require(name);
    if ('reason' in stream) return stream;
    const start = place(stream);
    const reader = new NativeReader(
      { ...options, ...start, session, stream, handle: handle() },
      this.#context,
    );
    readers.set(reader.handle, reader);
    stream.nativeReaders.add(reader);
    reader.begin();
    return reader;
  }

  /**
   * The sequence of the last message with a subject, as far as the index knows it.
   *
   * @returns 0 where there is none; undefined while the index is being built
   */
  lastOf(stream: Stream, subject: string): number | undefined {
    const index = this.#context.indexes.of(stream);
    if (!index.isComplete) index.whenComplete(() => undefined);
    if (!index.isComplete) return undefined;
    const sequence = index.lastOf(subject) ?? 0;
    return sequence >= stream.firstSequence ? sequence : 0;
  }

  closeReader(session: Session, handle: number): void {
    const { readers } = nativeOf(session);
    const reader = readers.get(handle);
    if (reader === undefined) return;
    readers.delete(handle);
    reader.close();
    reader.stream.nativeReaders.delete(reader);
    this.#forgetIdle(reader.stream);
  }

  /** Removes a stream with all its messages, unless somebody writes or reads it. */
  delete(name: string): Refusal | undefined {
    if (isOwn(name)) return refused(`${name} is the broker's own stream: it can be trimmed only`);
    const stream = this.#streams.get(name);
    if (stream === undefined) return refused(`there is no stream ${name}`);
    if (stream.readers > 0 || stream.writers > 0) {
      return refused(`stream ${name} has ${stream.readers} readers and ${stream.writers} writers`);
    }
    this.#drop(stream);
    return undefined;
  }

  /** Drops the oldest messages of a stream until its log has at most so many octets. */
  trim(stream: Stream, bytesMax: number): void {
    stream.trim({ bytesMax });
  }

  noteTooLarge(session: Session, stream: Stream, bytes: number): void {
    this.#context.counters.refused++;
    if (this.#sentTooLarge.has(session)) return;
    this.#sentTooLarge.add(session);
    this.#context.log.warn('a message is too large and was refused', {
      stream: stream.name,
      sender: session.address,
      bytes,
    });
  }

  /** The session has room again. */
  resume(session: Session): void {
    for (const stream of session.readers) {
      if (stream.v1Readers.resume(session)) continue;
      // It takes no more: its other streams have the first turn next time.
      session.readers.delete(stream);
      session.readers.add(stream);
      break;
    }
    if (session.native === undefined) return;
    for (const reader of session.native.readers.values()) reader.resume();
  }

  /** The session ends. */
  detach(session: Session): void {
    this.#leave(session);
    for (const stream of [...session.readers]) this.cancel(session, stream.name);
    if (session.native === undefined) return;
    for (const handle of [...session.native.readers.keys()]) this.closeReader(session, handle);
    for (const handle of [...session.native.streams.keys()]) this.closeWriter(session, handle);
  }

  #leave(session: Session): void {
    const { stream } = session;
    if (stream === undefined) return;
    session.stream = undefined;
    stream.writers--;
    this.#forgetIdle(stream);
  }

  #subscriptions(session: Session): number {
    let count = 0;
    for (const stream of session.readers) count += stream.v1Readers.patternsOf(session);
    return count;
  }

  #tooManySubscriptions(): Refusal {
    return refused(`a session reads ${this.#context.limits.subscriptionsMax} patterns at most`);
  }

  #requireToWrite(name: string): Stream | Refusal {
    if (!isOwn(name)) return this.#require(name);
    return refused(
      `"${name}" is not a name for a stream to write to: only the broker writes to $…`,
    );
  }

  #require(name: string): Stream | Refusal {
    const existing = this.#streams.get(name);
    if (existing !== undefined) return existing;
    if (isOwn(name)) {
      return OWN_STREAMS.includes(name)
        ? this.#create(name)
        : refused(`there is no stream ${name}; the broker's own are ${OWN_STREAMS.join(', ')}`);
    }
    const { streamsMax } = this.#context.limits;
    if (this.size >= streamsMax && !this.#makeRoom()) {
      return refused(`there are ${streamsMax} streams already`);
    }
    return this.#create(name);
  }

  #create(name: string): Stream {
    const stream = new Stream(name, this.#context);
    this.#streams.set(name, stream);
    return stream;
  }

  /** Forgets a stream that nobody uses and that would not outlive the broker anyway. */
  #makeRoom(): boolean {
    for (const stream of this.#streams.values()) {
      if (!stream.unused || !stream.passing || isOwn(stream.name)) continue;
      this.#drop(stream);
      return true;
    }
    return false;
  }

  /** A stream that nobody writes or reads, and that holds nothing, is forgotten. */
  #forgetIdle(stream: Stream): void {
    if (stream.idle && this.#streams.get(stream.name) === stream) this.#drop(stream);
  }

  #drop(stream: Stream): void {
    this.#streams.delete(stream.name);
    stream.drop();
  }
}

function nativeOf(session: Session) {
  const { native } = session;
  if (native === undefined) throw new Error('a native verb in a session of MLM/1');
  const { streams, streamHandles, readers } = native;
  return { streams, streamHandles, readers, handle: () => native.newHandle() };
}
