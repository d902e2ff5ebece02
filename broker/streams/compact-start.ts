// How a compact reader begins: with the last message of each subject that it
// wants. They are chosen from the index of the stream, a slice at a time, and
// then taken from the log. What comes after them is not this file's business.
import { BlockReader, BlockWriter, type Pattern } from '../../protocol/index.js';
import type { Stream } from './stream.js';
import type { SubjectIndex } from './subject-index.js';

/** Subjects that are looked at before others have their turn. */
const SLICE_SUBJECTS = 1000;

export interface CompactOptions {
  readonly stream: Stream;
  readonly index: SubjectIndex;
  readonly pattern: Pattern;
  /** The first sequence that is wanted. */
  readonly from: number;
  /** The last one; what is later is not compacted. */
  readonly upTo: number;
  /** Called once it is known which messages they are; perhaps at once. */
  readonly known: () => void;
}

/** Messages as sections, and how many of those that were asked for are not there any more. */
export interface Taken {
  readonly bytes: Buffer;
  readonly count: number;
  /** The sequence of one that retention has removed, before which the taking ended. */
  readonly missed: number | undefined;
}

export class CompactStart {
  /** The last one that is compacted. */
  readonly upTo: number;
  readonly #options: CompactOptions;
  /** Rising, once they are known. */
  #sequences: readonly number[] | Float64Array = [];
  readonly #found: number[] = [];
  #at = 0;
  #isKnown = false;
  #stopped = false;
  #slice: NodeJS.Immediate | undefined;

  constructor(options: CompactOptions) {
    this.#options = options;
    this.upTo = options.upTo;
  }

  /** Begins to choose. */
  begin(): void {
    this.#options.index.whenComplete(() => this.#choose());
  }

  /** True once it is known which messages they are. */
  get isKnown(): boolean {
    return this.#isKnown;
  }

  /** True once all of them were taken. */
  get isOver(): boolean {
    return this.#isKnown && this.#at === this.#sequences.length;
  }

  /**
   * Takes those of the messages that lie in one block with the next one.
   *
   * @param max how many, at most
   * @param without a sender whose messages are left out; undefined for none
   */
  take(max: number, without: string | undefined): Taken {
    const next = this.#sequences[this.#at] as number;
    const block = this.#options.stream.readBlock(next);
    if (block === undefined || block.first > next) {
      this.#at++;
      return { bytes: Buffer.alloc(0), count: 0, missed: next };
    }
    const writer = new BlockWriter();
    const messages = new BlockReader(block.bytes);
    let count = 0;
    while (count < max && (this.#sequences[this.#at] ?? Infinity) <= block.last) {
      messages.seek(this.#sequences[this.#at++] as number);
      messages.next();
      if (messages.sender === without) continue;
      writer.copy(messages);
      count++;
    }
    const bytes = Buffer.concat(writer.take().map((each) => each.bytes));
    return { bytes, count, missed: undefined };
  }

  /** Nobody wants them any more. */
  stop(): void {
    this.#stopped = true;
    if (this.#slice !== undefined) clearImmediate(this.#slice);
  }

  #choose(): void {
    if (this.#stopped) return;
    const { index, pattern, stream } = this.#options;
    const from = Math.max(this.#options.from, stream.firstSequence);
    if (pattern.exact === undefined) {
      this.#chooseSlice(index.entries(), index.size, from);
      return;
    }
    const sequence = index.lastOf(pattern.exact);
    if (sequence !== undefined && sequence >= from && sequence <= this.upTo) {
      this.#found.push(sequence);
    }
    this.#chosen();
  }

  /**
   * @param left how many subjects to look at: those that are new come after them
   * @param from the first sequence that is still there
   */
  #chooseSlice(entries: Iterator<[string, number]>, left: number, from: number): void {
    const { pattern } = this.#options;
    for (let subjects = 0; subjects < SLICE_SUBJECTS; subjects++) {
      const next = entries.next();
      if (next.done === true || subjects === left) {
        this.#chosen();
        return;
      }
      const [subject, sequence] = next.value;
      // What changed since is not compacted: the reader gets it afterwards.
      if (sequence < from || sequence > this.upTo) continue;
      if (pattern.matches(subject)) this.#found.push(sequence);
    }
    this.#slice = setImmediate(() => this.#chooseSlice(entries, left - SLICE_SUBJECTS, from));
  }

  #chosen(): void {
    this.#sequences = Float64Array.from(this.#found.splice(0)).sort();
    this.#isKnown = true;
    this.#options.known();
  }
}
