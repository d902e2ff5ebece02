// One stream: an ordered log, and those who follow it. Messages are gathered
// into blocks, made durable with the group they belong to, and only then shown
// to anybody. Who reads what stands in v1-readers.ts and native-reader.ts.
import { randomInt } from 'node:crypto';
import { BlockWriter, stampSections, type Block } from '../../protocol/index.js';
import type { Committer, Commits } from '../store/commits.js';
import type { StreamContext } from './stream-context.js';
import type { NativeReader } from './native-reader.js';
import type { Session } from '../sessions/session.js';
import type { Place } from '../store/storage.js';
import type { KeptMessage, Retention } from '../store/store.js';
import { IdWindow, type Remembered } from '../store/id-window.js';
import type { SubjectIndex } from './subject-index.js';
import { V1Readers } from './v1-readers.js';

/** Blocks that are small enough to be joined before they are stored, in octets together. */
const JOINED_BYTES_MAX = 256 * 1024;

const LIFE_MAX = 2 ** 32;

/** What the broker itself wrote and could not store yet, in octets at most. */
const OWN_BYTES_MAX = 64 * 1024 * 1024;

/** What became of a message with an id. */
export interface Accepted {
  readonly sequence: number;
  /** The message with the same id that came before; undefined for the first one. */
  readonly repeats: Remembered | undefined;
}

export class Stream implements Committer {
  readonly name: string;
  readonly v1Readers: V1Readers;
  readonly nativeReaders = new Set<NativeReader>();
  /** Tells it from an earlier one of its name that was forgotten; 0 where it is kept. */
  readonly life: number;
  /** Sessions that chose it to write to. */
  writers = 0;
  /** The last sequence that is durable. */
  lastSequence: number;
  /** Messages before this sequence were never in its log, as far as is known: they were refused. */
  begins = 1;
  /** The last message of each subject; undefined while nobody asks for it. */
  index: SubjectIndex | undefined;
  /** The sequence that the next message gets. */
  nextSequence: number;
  readonly #context: StreamContext;
  /** Where its log is. */
  readonly place: Place;
  readonly #retention: Retention;
  readonly #writer = new BlockWriter();
  /** The ids of messages that have one. */
  readonly #ids: IdWindow;
  /** True once it was deleted: what still gathers in it goes nowhere. */
  removed = false;
  /** Blocks that gathered before what is in the writer. */
  #gathered: Block[] = [];
  /** Blocks handed to the store, not durable yet. */
  readonly #sealed: Block[] = [];
  /** Messages that could not be stored, one commit after another. */
  #lostInEpisode = 0;

  /**
   * @param lastSequence the last one that its log holds, for a stream that is not new
   * @param place where its log is, for a stream that is not new
   */
  constructor(name: string, context: StreamContext, lastSequence = 0, place?: Place) {
    const { durability, retention } = context.policies.stream(name);
    this.name = name;
    this.#context = context;
    this.place = place ?? context.storage.place(durability);
    this.#retention = retention;
    this.life = this.passing ? randomInt(1, LIFE_MAX) : 0;
    this.#ids = new IdWindow({ queue: idQueueOf(name), place: this.place, bound: context.ids });
    this.v1Readers = new V1Readers(this, context);
    this.lastSequence = lastSequence;
    this.nextSequence = lastSequence + 1;
  }

  get readers(): number {
    return this.v1Readers.size + this.nativeReaders.size;
  }

  /** How many of its readers read the log, because they are behind. */
  get behind(): number {
    let count = this.v1Readers.behind;
    for (const reader of this.nativeReaders) if (!reader.live) count++;
    return count;
  }

  /** True where nobody writes or reads it. */
  get unused(): boolean {
    return this.writers === 0 && this.readers === 0;
  }

  /** True where its messages go with the process. */
  get passing(): boolean {
    return !this.place.store.persistent;
  }

  /** True where nothing would be lost if the stream did not exist. */
  get idle(): boolean {
    return this.unused && this.nextSequence === 1;
  }

  /** The first sequence that the log still holds; where it is empty, the next one. */
  get firstSequence(): number {
    return this.readBlock(0)?.first ?? this.lastSequence + 1;
  }

  /** Accepts one message of an MLM/1 session, which does not get it back where it reads. */
  appendFrom(origin: Session, subject: string, content: readonly Buffer[]): void {
    this.v1Readers.noteOwn(origin, this.nextSequence);
    this.append(origin.address, subject, content);
  }

  /** Accepts one message. */
  append(sender: string, subject: string, content: readonly Buffer[]): void {
    const sequence = this.nextSequence++;
    this.#writer.append(sequence, this.#context.clock.wallMs(), sender, subject, content);
    this.place.commits.touch(this);
  }

  /**
   * Accepts messages that come as sections, which it stamps and keeps as they are.
   *
   * @param count how many messages they hold
   * @returns the sequence of the first one
   */
  appendSections(bytes: Buffer, count: number): number {
    const first = this.nextSequence;
    this.nextSequence += count;
    stampSections(bytes, first, this.#context.clock.wallMs());
    this.#gathered.push(...this.#writer.take(), { first, last: first + count - 1, bytes });
    this.place.commits.touch(this);
    return first;
  }

  /**
   * Accepts one message with an id, as a section.
   *
   * @returns its sequence, or that of the message which this one repeats
   */
  appendOnce(sender: string, id: string, section: Buffer): Accepted {
    const earlier = this.#ids.find(sender, id);
    if (earlier !== undefined) return { sequence: earlier.sequence, repeats: earlier };
    const sequence = this.appendSections(section, 1);
    this.#ids.remember(sender, id, sequence);
    return { sequence, repeats: undefined };
  }

  /** Takes over the message ids that its store holds. */
  recoverIds(ids: readonly KeptMessage[]): void {
    this.#ids.recover(ids);
  }

  seal(): number {
    const blocks = [...this.#gathered, ...this.#writer.take()];
    this.#gathered = [];
    if (this.removed) return this.nextSequence - 1;
    for (const block of join(blocks)) {
      this.place.store.appendBlock(this.name, block);
      this.#sealed.push(block);
    }
    return this.nextSequence - 1;
  }

  committed(mark: number): void {
    for (const block of this.#settle(mark)) {
      this.#endEpisode();
      if (this.lastSequence === 0) this.begins = block.first;
      this.lastSequence = block.last;
      this.index?.note(block);
      this.v1Readers.deliver(block);
      for (const reader of this.nativeReaders) reader.deliver(block);
    }
    this.trim(this.#retention);
  }

  /** Octets that its log holds. */
  get bytes(): number {
    return this.place.store.streamBytes(this.name);
  }

  /** The commits that its messages become durable with. */
  get commits(): Commits {
    return this.place.commits;
  }

  /** The block of its log that holds a sequence, or the next one; undefined at the end. */
  readBlock(sequence: number): Block | undefined {
    return this.place.store.readBlock(this.name, sequence);
  }

  /** Drops the oldest messages, as far as a retention says; the stream's own where none is given. */
  trim(retention: Retention = this.#retention): void {
    this.place.store.trim(this.name, retention, this.#context.clock.wallMs());
    if (this.place.store.persistent && retention !== this.#retention)
      this.place.commits.touch(this);
  }

  /** Drops the whole log. */
  drop(): void {
    this.removed = true;
    this.#ids.forget();
    this.#context.indexes.forget(this);
    this.place.store.dropStream(this.name);
    if (this.place.store.persistent) this.place.commits.touch(this);
  }

  failed(mark: number, why: string): void {
    const lost = this.#settle(mark);
    if (isOwn(this.name) && this.#gatherAgain(lost)) return;
    let refused = 0;
    for (const { first, last } of lost) refused += last - first + 1;
    if (refused === 0) return;
    this.#context.counters.refused += refused;
    const isFirst = this.#lostInEpisode === 0;
    this.#lostInEpisode += refused;
    if (isFirst) {
      this.#context.log.error('stream messages could not be stored', { stream: this.name, why });
    }
  }

  /** Something of it was stored: what was lost before is told once, however often that was. */
  #endEpisode(): void {
    if (this.#lostInEpisode === 0) return;
    this.#context.log.info('stream messages are stored again', {
      stream: this.name,
      lost: this.#lostInEpisode,
    });
    this.#lostInEpisode = 0;
  }

  /** What the broker itself wrote has no sender to be told: it goes with the next commit, within bounds. */
  #gatherAgain(blocks: readonly Block[]): boolean {
    const again = [...blocks, ...this.#gathered];
    const bytes = again.reduce((sum, block) => sum + block.bytes.length, 0);
    if (bytes > OWN_BYTES_MAX) return false;
    this.#gathered = again;
    if (blocks.length > 0) this.place.commits.touch(this);
    return true;
  }

  /** Takes the blocks up to a mark off the list of those that are not durable. */
  #settle(mark: number): Block[] {
    const settled: Block[] = [];
    while (this.#sealed.length > 0 && (this.#sealed[0] as Block).last <= mark) {
      settled.push(this.#sealed.shift() as Block);
    }
    return settled;
  }
}

/** True for the streams that the broker itself writes to, and nobody else. */
export function isOwn(name: string): boolean {
  return name.startsWith('$');
}

/** The name under which the store keeps the message ids of a stream. */
export function idQueueOf(stream: string): string {
  return `ids/${stream}`;
}

/** Joins small neighbours, so that many lone messages do not become many lone blocks. */
function join(blocks: readonly Block[]): Block[] {
  if (blocks.length < 2) return [...blocks];
  const joined: Block[] = [];
  let group: Block[] = [];
  let bytes = 0;
  for (const block of blocks) {
    if (bytes + block.bytes.length > JOINED_BYTES_MAX && group.length > 0) {
      joined.push(joinGroup(group));
      group = [];
      bytes = 0;
    }
    group.push(block);
    bytes += block.bytes.length;
  }
  joined.push(joinGroup(group));
  return joined;
}

function joinGroup(group: readonly Block[]): Block {
  const first = group[0] as Block;
  if (group.length === 1) return first;
  const bytes = Buffer.concat(group.map((block) => block.bytes));
  return { first: first.first, last: (group.at(-1) as Block).last, bytes };
}
