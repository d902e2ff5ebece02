// Streams: a log per stream and the readers that follow it. A reader that keeps
// up is live: it gets each message as it becomes durable. One that does not is
// switched to reading the log at its own pace, and back when it has caught up,
// so that a slow reader costs neither memory nor anybody else's time.
import { compilePattern, encodeHeader, ProtocolError, type Pattern } from '../protocol/index.js';
import { BlockReader, BlockWriter, type Block } from '../protocol/records.js';
import type { Committer } from './commits.js';
import { Deque } from './deque.js';
import type { EngineContext } from './engine-context.js';
import type { Outgoing } from './outbox.js';
import { refused, type Refusal } from './refusal.js';
import type { Session } from './session.js';
import type { StoredStream } from './store/store.js';

const SUBJECTS_CACHED_MAX = 10_000;

/** One session that reads one stream. */
export interface Reader {
  readonly session: Session;
  readonly stream: Stream;
  readonly patterns: Set<PatternGroup>;
  /** True while it gets messages as they come; false while it reads the log. */
  live: boolean;
  /** The first sequence that it is still to get: while live, where it began to be. */
  position: number;
  /** Where it is in the log. */
  place: { block: Block; reader: BlockReader } | undefined;
  /** Sequences that it wrote itself without an address to know them by. */
  readonly own: Deque<number>;
  /** Messages that it missed since it fell behind. */
  missed: number;
}

/** The readers that asked for one pattern; a pattern is matched once for all of them. */
interface PatternGroup {
  readonly pattern: Pattern;
  readonly readers: Set<Reader>;
}

export class Stream implements Committer {
  readonly name: string;
  readonly readers = new Map<Session, Reader>();
  /** Sessions that chose it to write to. */
  writers = 0;
  /** The last sequence that is durable. */
  lastSequence = 0;
  readonly #context: EngineContext;
  readonly #writer = new BlockWriter();
  readonly #groups = new Map<string, PatternGroup>();
  #readersOfSubject = new Map<string, readonly Reader[]>();
  #nextSequence: number;
  /** Blocks handed to the store, not durable yet. */
  readonly #sealed: Block[] = [];

  /** @param lastSequence the last one that its log holds, for a stream that is not new */
  constructor(name: string, context: EngineContext, lastSequence = 0) {
    this.name = name;
    this.#context = context;
    this.lastSequence = lastSequence;
    this.#nextSequence = lastSequence + 1;
  }

  /** True where nothing would be lost if the stream did not exist. */
  get idle(): boolean {
    const unread = this.#context.store.persistent && this.#nextSequence > 1;
    return this.writers === 0 && this.readers.size === 0 && !unread;
  }

  /** Accepts a message. */
  append(origin: Session, subject: string, content: readonly Buffer[]): void {
    const sequence = this.#nextSequence++;
    if (origin.address === '') this.readers.get(origin)?.own.push(sequence);
    this.#writer.append(sequence, this.#context.clock.wallMs(), origin.address, subject, content);
    this.#context.commits.touch(this);
  }

  seal(): number {
    for (const block of this.#writer.take()) {
      this.#context.store.appendBlock(this.name, block);
      this.#sealed.push(block);
    }
    return this.#nextSequence - 1;
  }

  committed(mark: number): void {
    while (this.#sealed.length > 0 && (this.#sealed[0] as Block).last <= mark) {
      this.#deliverLive(this.#sealed.shift() as Block);
    }
    this.lastSequence = mark;
    this.#context.store.trim(this.name, this.#context.limits.stream);
  }

  failed(mark: number, why: string): void {
    let refusedCount = 0;
    while (this.#sealed.length > 0 && (this.#sealed[0] as Block).last <= mark) {
      const block = this.#sealed.shift() as Block;
      refusedCount += block.last - block.first + 1;
    }
    if (refusedCount === 0) return;
    this.#context.counters.refused += refusedCount;
    this.#context.log.error('stream messages could not be stored and are lost', {
      stream: this.name,
      messages: refusedCount,
      why,
    });
  }

  /** Adds a pattern to what a session reads, from the next message on. */
  read(session: Session, source: string): Refusal | undefined {
    let reader = this.readers.get(session);
    const group = this.#groups.get(source) ?? this.#newGroup(source);
    if ('reason' in group) return group;
    if (reader === undefined) {
      reader = {
        session,
        stream: this,
        patterns: new Set(),
        live: true,
        position: this.#nextSequence,
        place: undefined,
        own: new Deque(),
        missed: 0,
      };
      this.readers.set(session, reader);
      session.readers.set(this, reader);
    }
    reader.patterns.add(group);
    group.readers.add(reader);
    this.#readersOfSubject = new Map();
    return undefined;
  }

  cancel(session: Session): void {
    const reader = this.readers.get(session);
    if (reader === undefined) return;
    this.readers.delete(session);
    session.readers.delete(this);
    for (const group of reader.patterns) {
      group.readers.delete(reader);
      if (group.readers.size === 0) this.#groups.delete(group.pattern.source);
    }
    this.#readersOfSubject = new Map();
  }

  /** Gives a reader that is behind what its session has room for. */
  catchUp(reader: Reader): void {
    while (!reader.live) {
      if (reader.position > this.lastSequence) {
        this.#goLive(reader);
        return;
      }
      if (!this.#readLog(reader)) return;
    }
  }

  #deliverLive(block: Block): void {
    if (this.readers.size === 0) return;
    const messages = new BlockReader(block.bytes);
    while (messages.next()) {
      const readers = this.#readersFor(messages.subject);
      if (readers.length === 0) continue;
      let outgoing: Outgoing | undefined;
      for (const reader of readers) {
        if (!reader.live || messages.sequence < reader.position) continue;
        if (this.#isOwn(reader, messages)) continue;
        if (!reader.session.takesMore('stream')) {
          this.#fallBehind(reader, messages.sequence);
          continue;
        }
        outgoing ??= this.#outgoing(messages);
        this.#deliver(reader, outgoing);
      }
    }
  }

  /** Reads on in the log for one reader. @returns false where its session has no room */
  #readLog(reader: Reader): boolean {
    const place = this.#placeOf(reader);
    if (place === undefined) return true;
    while (place.reader.next()) {
      const messages = place.reader;
      const wanted = matchesAny(reader, messages.subject) && !this.#isOwn(reader, messages);
      if (wanted) {
        if (!reader.session.takesMore('stream')) {
          // The step is taken again when there is room.
          reader.place = undefined;
          reader.position = messages.sequence;
          return false;
        }
        this.#deliver(reader, this.#outgoing(messages));
      }
      reader.position = messages.sequence + 1;
    }
    reader.place = undefined;
    return true;
  }

  #placeOf(reader: Reader): Reader['place'] {
    if (reader.place !== undefined) return reader.place;
    const block = this.#context.store.readBlock(this.name, reader.position);
    if (block === undefined || block.first > this.lastSequence) {
      reader.position = this.lastSequence + 1;
      return undefined;
    }
    if (block.first > reader.position) this.#noteGap(reader, block.first);
    const messages = new BlockReader(block.bytes);
    messages.seek(reader.position);
    reader.place = { block, reader: messages };
    return reader.place;
  }

  #noteGap(reader: Reader, first: number): void {
    const missed = first - reader.position;
    reader.missed += missed;
    reader.position = first;
    this.#context.counters.streamGaps += missed;
  }

  #fallBehind(reader: Reader, sequence: number): void {
    reader.live = false;
    reader.position = sequence;
    this.#context.log.info('a reader fell behind: it reads from the log', {
      stream: this.name,
      address: reader.session.address,
    });
  }

  #goLive(reader: Reader): void {
    reader.live = true;
    reader.place = undefined;
    const level = reader.missed > 0 ? 'warn' : 'info';
    this.#context.log[level]('a reader has caught up: it is live again', {
      stream: this.name,
      address: reader.session.address,
      missed: reader.missed,
    });
    reader.missed = 0;
  }

  /** True where the reader wrote the message itself: it does not get that. */
  #isOwn(reader: Reader, messages: BlockReader): boolean {
    const { address } = reader.session;
    if (address !== '') return messages.sender === address;
    while ((reader.own.peek() ?? Infinity) < messages.sequence) reader.own.shift();
    return reader.own.peek() === messages.sequence;
  }

  #deliver(reader: Reader, outgoing: Outgoing): void {
    this.#context.counters.streamDeliveries++;
    reader.session.deliver('stream', outgoing);
  }

  #outgoing(messages: BlockReader): Outgoing {
    const { sender, subject } = messages;
    const head = encodeHeader({ name: 'STREAM DELIVER', address: this.name, sender, subject });
    const content = messages.content();
    let bytes = head.length;
    for (const frame of content) bytes += frame.length;
    return { head, content, bytes, message: undefined };
  }

  #readersFor(subject: string): readonly Reader[] {
    const known = this.#readersOfSubject.get(subject);
    if (known !== undefined) return known;
    const readers = new Set<Reader>();
    for (const group of this.#groups.values()) {
      if (!group.pattern.matches(subject)) continue;
      for (const reader of group.readers) readers.add(reader);
    }
    const list = [...readers];
    if (this.#readersOfSubject.size >= SUBJECTS_CACHED_MAX) this.#readersOfSubject.clear();
    this.#readersOfSubject.set(subject, list);
    return list;
  }

  #newGroup(source: string): PatternGroup | Refusal {
    try {
      const group = { pattern: compilePattern(source), readers: new Set<Reader>() };
      this.#groups.set(source, group);
      return group;
    } catch (error) {
      if (error instanceof ProtocolError) return refused(error.message);
      throw error;
    }
  }
}

function matchesAny(reader: Reader, subject: string): boolean {
  for (const { pattern } of reader.patterns) if (pattern.matches(subject)) return true;
  return false;
}

export class Streams {
  readonly #context: EngineContext;
  readonly #streams = new Map<string, Stream>();

  constructor(context: EngineContext) {
    this.#context = context;
  }

  get size(): number {
    return this.#streams.size;
  }

  /** Takes over the streams that the store holds. */
  recover(stored: readonly StoredStream[]): void {
    for (const { name, lastSequence } of stored) {
      this.#streams.set(name, new Stream(name, this.#context, lastSequence));
    }
  }

  [Symbol.iterator](): IterableIterator<Stream> {
    return this.#streams.values();
  }

  /** STREAM WRITE: the session writes to this stream from now on. */
  write(session: Session, name: string): Refusal | undefined {
    const stream = this.#require(name);
    if ('reason' in stream) return stream;
    if (session.stream === stream) return undefined;
    this.#leave(session);
    session.stream = stream;
    stream.writers++;
    return undefined;
  }

  /** STREAM SEND. */
  send(session: Session, subject: string, content: readonly Buffer[]): Refusal | undefined {
    if (session.stream === undefined)
      return refused('STREAM SEND before STREAM WRITE: choose a stream first');
    if (this.#isTooLarge(session, content)) return undefined;
    this.#context.counters.streamMessages++;
    session.stream.append(session, subject, content);
    return undefined;
  }

  /** STREAM READ. */
  read(session: Session, name: string, pattern: string): Refusal | undefined {
    const { subscriptionsMax } = this.#context.limits;
    let subscriptions = 0;
    for (const reader of session.readers.values()) subscriptions += reader.patterns.size;
    if (subscriptions >= subscriptionsMax) {
      return refused(`a session reads ${subscriptionsMax} patterns at most`);
    }
    const stream = this.#require(name);
    if ('reason' in stream) return stream;
    const refusal = stream.read(session, pattern);
    this.#forgetIdle(stream);
    return refusal;
  }

  /** STREAM CANCEL: all patterns of that stream; what was queued of it is dropped. */
  cancel(session: Session, name: string): void {
    const stream = this.#streams.get(name);
    if (stream?.readers.has(session) !== true) return;
    stream.cancel(session);
    this.#forgetIdle(stream);
  }

  /** The session has room again. */
  resume(session: Session): void {
    for (const [stream, reader] of session.readers) stream.catchUp(reader);
  }

  /** The session ends. */
  detach(session: Session): void {
    this.#leave(session);
    for (const stream of [...session.readers.keys()]) {
      stream.cancel(session);
      this.#forgetIdle(stream);
    }
  }

  /** MLM/1 has no answer to a STREAM SEND: a message that is too large is counted and logged. */
  #isTooLarge(session: Session, content: readonly Buffer[]): boolean {
    let bytes = 0;
    for (const frame of content) bytes += frame.length;
    if (bytes <= this.#context.limits.messageBytesMax) return false;
    this.#context.counters.refused++;
    this.#context.log.warn('a message is too large and was refused', {
      stream: session.stream?.name,
      sender: session.address,
      bytes,
    });
    return true;
  }

  #leave(session: Session): void {
    const { stream } = session;
    if (stream === undefined) return;
    session.stream = undefined;
    stream.writers--;
    this.#forgetIdle(stream);
  }

  #require(name: string): Stream | Refusal {
    const existing = this.#streams.get(name);
    if (existing !== undefined) return existing;
    const { streamsMax } = this.#context.limits;
    if (name.startsWith('$')) return refused(`"${name}" is not a name for a stream`);
    if (this.#streams.size >= streamsMax) return refused(`there are ${streamsMax} streams already`);
    const stream = new Stream(name, this.#context);
    this.#streams.set(name, stream);
    return stream;
  }

  /** A stream that nobody writes or reads, and whose log nobody could read later, is forgotten. */
  #forgetIdle(stream: Stream): void {
    if (!stream.idle || this.#streams.get(stream.name) !== stream) return;
    this.#streams.delete(stream.name);
    this.#context.store.dropStream(stream.name);
  }
}
