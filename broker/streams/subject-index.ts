// The last message of each subject of one stream, by its sequence. It is built by
// reading the log a slice at a time, so that the broker does not stand still
// meanwhile, and is then kept up to date with each block that becomes durable. It
// knows a bounded number of subjects, and neither sessions nor patterns.
import { BlockReader, type Block } from '../../protocol/index.js';

/** Subjects that are known at least; those that did not change for the longest time go first. */
const SUBJECTS_MAX = 100_000;
/** Blocks, and octets of them, that are read before others have their turn. */
const SLICE_BLOCKS = 16;
const SLICE_BYTES = 512 * 1024;

/** What the index needs of its stream. */
export interface IndexedLog {
  readonly lastSequence: number;
  readBlock(sequence: number): Block | undefined;
}

export class SubjectIndex {
  readonly #log: IndexedLog;
  readonly #subjectsMax: number;
  /** What was there when the index began, by rising sequence, but for what changed since. */
  readonly #old = new Map<string, number>();
  /** What came since, by rising sequence. */
  readonly #new = new Map<string, number>();
  /** The subject of the last message of all; undefined before one came. */
  #latest: string | undefined;
  /** The last message to read of what was there. */
  readonly #scanTo: number;
  #scanFrom = 1;
  #complete = false;
  #waiting: (() => void)[] = [];
  #slice: NodeJS.Immediate | undefined;

  /** @param subjectsMax how many subjects to know; up to an eighth more are now and then */
  constructor(log: IndexedLog, subjectsMax = SUBJECTS_MAX) {
    this.#log = log;
    this.#subjectsMax = subjectsMax;
    this.#scanTo = log.lastSequence;
  }

  /** How many subjects it knows. */
  get size(): number {
    return this.#old.size + this.#new.size;
  }

  /** True once what was there when the index began has been read. */
  get isComplete(): boolean {
    return this.#complete;
  }

  /** Calls `told` once the index is complete: at once, or after slices of the log were read. */
  whenComplete(told: () => void): void {
    if (this.#complete) {
      told();
      return;
    }
    this.#waiting.push(told);
    if (this.#slice === undefined) this.#scan();
  }

  /** A block has become durable. */
  note(block: Block): void {
    const messages = new BlockReader(block.bytes);
    while (messages.next()) {
      const { subject, sequence } = messages;
      // What comes again is where it belongs already: behind all others.
      if (subject !== this.#latest) {
        this.#old.delete(subject);
        this.#new.delete(subject);
        this.#latest = subject;
      }
      this.#new.set(subject, sequence);
    }
    this.#evict();
  }

  /** The sequence of the last message with a subject. */
  lastOf(subject: string): number | undefined {
    return this.#new.get(subject) ?? this.#old.get(subject);
  }

  /** Subjects and the sequences of their last messages, which rise; also while the index changes. */
  *entries(): Generator<[subject: string, sequence: number]> {
    yield* this.#old;
    yield* this.#new;
  }

  /** Reads no more of the log: whoever waits is never told. */
  stop(): void {
    this.#waiting = [];
    if (this.#slice !== undefined) clearImmediate(this.#slice);
  }

  #scan(): void {
    this.#slice = undefined;
    let bytes = 0;
    for (let blocks = 0; blocks < SLICE_BLOCKS && bytes < SLICE_BYTES; blocks++) {
      const block = this.#scanFrom > this.#scanTo ? undefined : this.#log.readBlock(this.#scanFrom);
      if (block === undefined || block.first > this.#scanTo) {
        this.#complete = true;
        for (const told of this.#waiting.splice(0)) told();
        return;
      }
      this.#noteOld(block);
      bytes += block.bytes.length;
    }
    this.#slice = setImmediate(() => this.#scan());
  }

  #noteOld(block: Block): void {
    const messages = new BlockReader(block.bytes);
    messages.seek(this.#scanFrom);
    while (messages.next() && messages.sequence <= this.#scanTo) {
      const { subject, sequence } = messages;
      if (this.#new.has(subject)) continue;
      this.#old.delete(subject);
      this.#old.set(subject, sequence);
    }
    this.#scanFrom = block.last + 1;
    this.#evict();
  }

  /** Many at a time: to find the first entry of a map from which many went takes long. */
  #evict(): void {
    let beyond = this.size - this.#subjectsMax;
    if (beyond * 8 <= this.#subjectsMax) return;
    for (const map of [this.#old, this.#new]) {
      for (const subject of map.keys()) {
        if (beyond-- <= 0) return;
        map.delete(subject);
      }
    }
  }
}
