// The MLM/1 readers of one stream. Those that keep up are live and share the
// work: a subject is matched once for all of them, a message is encoded once.
// One whose outbox is full reads the log at its own pace until it has caught up.
import { BlockReader, encodeHeader, type Block } from '../../protocol/index.js';
import { Deque } from '../deque.js';
import type { StreamContext } from './stream-context.js';
import { Interests, type Interest } from './interests.js';
import { stepIntoLog } from './log-reader.js';
import { v1Outgoing, type Outgoing } from '../sessions/outbox.js';
import type { Refusal } from '../refusal.js';
import type { Session } from '../sessions/session.js';
import type { Stream } from './stream.js';

/** A reader with more patterns than this is looked up by subject, not matched. */
const PATTERNS_MATCHED_MAX = 4;
const OWN_MAX = 100_000;

/** One MLM/1 session that reads one stream. */
export interface V1Reader {
  readonly session: Session;
  readonly patterns: Set<Interest<V1Reader>>;
  /** True while it gets messages as they come; false while it reads the log. */
  live: boolean;
  /** The first sequence that it is still to get: while live, where it began to be. */
  position: number;
  /** Where it is in the log. */
  place: BlockReader | undefined;
  /** Sequences that it wrote itself without an address to know them by. */
  readonly own: Deque<number>;
  /** Messages that it missed since it fell behind. */
  missed: number;
}

export class V1Readers {
  readonly #stream: Stream;
  readonly #context: StreamContext;
  readonly #readers = new Map<Session, V1Reader>();
  readonly #interests = new Interests<V1Reader>();

  constructor(stream: Stream, context: StreamContext) {
    this.#stream = stream;
    this.#context = context;
  }

  get size(): number {
    return this.#readers.size;
  }

  /** How many of them read the log. */
  get behind(): number {
    let count = 0;
    for (const reader of this.#readers.values()) if (!reader.live) count++;
    return count;
  }

  has(session: Session): boolean {
    return this.#readers.has(session);
  }

  /** Patterns that a session reads here. */
  patternsOf(session: Session): number {
    return this.#readers.get(session)?.patterns.size ?? 0;
  }

  /** Adds a pattern to what a session reads, from the next message on. */
  add(session: Session, source: string): Refusal | undefined {
    const reader = this.#readers.get(session) ?? this.#newReader(session);
    const interest = this.#interests.add(source, reader);
    if ('reason' in interest) return interest;
    reader.patterns.add(interest);
    this.#readers.set(session, reader);
    return undefined;
  }

  #newReader(session: Session): V1Reader {
    return {
      session,
      patterns: new Set(),
      live: true,
      position: this.#stream.nextSequence,
      place: undefined,
      own: new Deque(),
      missed: 0,
    };
  }

  remove(session: Session): void {
    const reader = this.#readers.get(session);
    if (reader === undefined) return;
    this.#readers.delete(session);
    for (const interest of reader.patterns) this.#interests.remove(interest, reader);
  }

  /** A session writes a message; without an address, only its sequence tells that it is its own. */
  noteOwn(session: Session, sequence: number): void {
    if (session.address !== '') return;
    const reader = this.#readers.get(session);
    if (reader === undefined) return;
    const { own } = reader;
    const passed = reader.live ? this.#stream.lastSequence : reader.position - 1;
    while ((own.peek() ?? Infinity) <= passed) own.shift();
    // A reader that is so far behind gets the oldest of its own messages back.
    if (own.length >= OWN_MAX) own.shift();
    own.push(sequence);
  }

  /** Gives the live ones a block that has just become durable. */
  deliver(block: Block): void {
    if (this.#readers.size === 0) return;
    const messages = new BlockReader(block.bytes);
    while (messages.next()) {
      const readers = this.#interests.readersFor(messages.subject);
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
        this.#deliverTo(reader, outgoing);
      }
    }
  }

  /** A session has room again: if it is behind, it goes on in the log. @returns false where it stays behind */
  resume(session: Session): boolean {
    const reader = this.#readers.get(session);
    if (reader === undefined || reader.live) return true;
    while (this.#readLog(reader));
    return reader.live;
  }

  /** Reads on in the log for one reader. @returns false where it is live again, or has no room */
  #readLog(reader: V1Reader): boolean {
    const messages = reader.place ?? this.#findPlace(reader);
    if (messages === undefined) {
      this.#goLive(reader);
      return false;
    }
    reader.place = messages;
    while (messages.next()) {
      const { sequence } = messages;
      if (this.#wants(reader, messages.subject) && !this.#isOwn(reader, messages)) {
        if (!reader.session.takesMore('stream')) {
          // This step is taken again when there is room.
          reader.place = undefined;
          reader.position = sequence;
          return false;
        }
        this.#deliverTo(reader, this.#outgoing(messages));
      }
      reader.position = sequence + 1;
    }
    reader.place = undefined;
    return true;
  }

  #findPlace(reader: V1Reader): BlockReader | undefined {
    const step = stepIntoLog(this.#stream, reader.position);
    if (step === undefined) return undefined;
    reader.missed += step.missed;
    reader.position = step.from + step.missed;
    this.#context.counters.streamGaps += step.missed;
    const messages = new BlockReader(step.block.bytes);
    messages.seek(reader.position);
    return messages;
  }

  #fallBehind(reader: V1Reader, sequence: number): void {
    reader.live = false;
    reader.position = sequence;
    this.#context.log.info('a reader fell behind: it reads from the log', {
      stream: this.#stream.name,
      address: reader.session.address,
    });
  }

  #goLive(reader: V1Reader): void {
    reader.live = true;
    reader.position = this.#stream.lastSequence + 1;
    this.#context.log[reader.missed > 0 ? 'warn' : 'info'](
      'a reader has caught up: it is live again',
      {
        stream: this.#stream.name,
        address: reader.session.address,
        missed: reader.missed,
      },
    );
    reader.missed = 0;
  }

  /** True where the reader wrote the message itself: it does not get that. */
  #isOwn(reader: V1Reader, messages: BlockReader): boolean {
    const { address } = reader.session;
    if (address !== '') return messages.sender === address;
    while ((reader.own.peek() ?? Infinity) < messages.sequence) reader.own.shift();
    return reader.own.peek() === messages.sequence;
  }

  #deliverTo(reader: V1Reader, outgoing: Outgoing): void {
    this.#context.counters.streamDeliveries++;
    reader.session.deliver('stream', outgoing);
  }

  #outgoing(messages: BlockReader): Outgoing {
    const { sender, subject } = messages;
    const address = this.#stream.name;
    const head = encodeHeader({ name: 'STREAM DELIVER', address, sender, subject });
    return v1Outgoing(head, messages.content());
  }

  /** True where the reader asked for messages with this subject. */
  #wants(reader: V1Reader, subject: string): boolean {
    if (reader.patterns.size > PATTERNS_MATCHED_MAX) {
      return this.#interests.readersFor(subject).includes(reader);
    }
    for (const { pattern } of reader.patterns) if (pattern.matches(subject)) return true;
    return false;
  }
}
