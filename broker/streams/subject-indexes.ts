// Which streams have an index of their subjects: those that somebody asked for
// lately. Each costs memory, and a little time with every message, so there are
// only so many, and one that nobody asks for goes.
import type { Clock } from '../clock.js';
import type { Stream } from './stream.js';
import { SubjectIndex } from './subject-index.js';

const INDEXES_MAX = 64;
const UNUSED_MS_MAX = 600_000;

export class SubjectIndexes {
  readonly #clock: Clock;
  readonly #indexesMax: number;
  /** Streams with an index, and when it was last asked for; the latest one comes last. */
  readonly #askedMs = new Map<Stream, number>();
  /** Those that still read the log, also where they were given up. */
  readonly #building = new Set<SubjectIndex>();

  constructor(clock: Clock, indexesMax = INDEXES_MAX) {
    this.#clock = clock;
    this.#indexesMax = indexesMax;
  }

  /** The index of a stream, which is begun where there is none. */
  of(stream: Stream): SubjectIndex {
    const index = (stream.index ??= this.#build(stream));
    this.#askedMs.delete(stream);
    this.#askedMs.set(stream, this.#clock.nowMs());
    const [oldest] = this.#askedMs.keys();
    if (this.#askedMs.size > this.#indexesMax && oldest !== undefined) this.forget(oldest);
    return index;
  }

  /** Gives up an index. Those who wait for it still get what it holds. */
  forget(stream: Stream): void {
    this.#askedMs.delete(stream);
    stream.index = undefined;
  }

  /** No log is read any more. */
  stop(): void {
    for (const index of this.#building) index.stop();
  }

  /** Gives up indexes that nobody has asked for in a while. */
  forgetUnused(): void {
    const before = this.#clock.nowMs() - UNUSED_MS_MAX;
    for (const [stream, askedMs] of this.#askedMs) {
      if (askedMs > before) return;
      this.forget(stream);
    }
  }

  #build(stream: Stream): SubjectIndex {
    const index = new SubjectIndex(stream);
    this.#building.add(index);
    index.whenComplete(() => this.#building.delete(index));
    return index;
  }
}
