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
  /** Not in any order: to keep one would cost more with each message than to sort now and then. */
  readonly #lasts = new Map<string, number>();
  /** What was there when the index began is read up to here; what comes later is noted as it comes. */
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
    return this.#lasts.size;
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
    while (messages.next()) this.#lasts.set(messages.subject, messages.sequence);
    this.#evict();
  }

  /** The sequence of the last message with a subject. */
  lastOf(subject: string): number | undefined {
    return this.#lasts.get(subject);
  }

  /** Subjects and the sequences of their last messages; new subjects come at the end. */
  entries(): Iterator<[subject: string, sequence: number], undefined> {
    return this.#lasts.entries();
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

  /** What was noted meanwhile is younger. */
  #noteOld(block: Block): void {
    const lasts = this.#lasts;
    const messages = new BlockReader(block.bytes);
    messages.seek(this.#scanFrom);
    while (messages.next() && messages.sequence <= this.#scanTo) {
      const { subject, sequence } = messages;
      if ((lasts.get(subject) ?? 0) < sequence) lasts.set(subject, sequence);
    }
    this.#scanFrom = block.last + 1;
    this.#evict();
  }

  /** Many at a time: to find out which ones did not change for the longest time takes long. */
  #evict(): void {
    const beyond = this.size - this.#subjectsMax;
    if (beyond * 8 <= this.#subjectsMax) return;
    const oldest = Float64Array.from(this.#lasts.values()).sort();
    const from = oldest[beyond] as number;
    for (const [subject, sequence] of this.#lasts) {
      if (sequence < from) this.#lasts.delete(subject);
    }
  }
}
