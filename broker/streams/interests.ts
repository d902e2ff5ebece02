// Who wants which subjects: patterns, and those who asked for each. A subject is
// matched with a pattern once, not once for each reader or message; a pattern
// that matches one subject only is not matched with others at all. It delivers
// nothing.
import type { Pattern } from '../../protocol/index.js';
import { patternOf, type Refusal } from '../refusal.js';

const SUBJECTS_KNOWN_MAX = 10_000;
/** Readers in the lists of all known subjects together. */
const READERS_KNOWN_MAX = 1_000_000;

/** Those who asked for one pattern. */
export interface Interest<Reader> {
  readonly pattern: Pattern;
  readonly readers: Set<Reader>;
}

/** What is known of one subject. */
interface Known<Reader> {
  /** The interests that match, of those that were looked at. */
  readonly interests: Interest<Reader>[];
  /** How many were looked at. */
  looked: number;
  /** Who wants it, as it was at a change. */
  readers: readonly Reader[];
  atChange: number;
}

export class Interests<Reader> {
  readonly #bySource = new Map<string, Interest<Reader>>();
  /** Those that match one subject only. */
  readonly #bySubject = new Map<string, Set<Interest<Reader>>>();
  /** All others, in the order in which they came. Those that nobody has any more stay for a while. */
  #searched: Interest<Reader>[] = [];
  #gone = 0;
  readonly #known = new Map<string, Known<Reader>>();
  #readersKnown = 0;
  /** Counts who came and went. */
  #changes = 0;

  /** @returns the interest that the reader now has; the refusal of a pattern that is none */
  add(source: string, reader: Reader): Interest<Reader> | Refusal {
    const interest = this.#bySource.get(source) ?? this.#begin(source);
    if ('reason' in interest) return interest;
    if (!interest.readers.has(reader)) this.#changes++;
    interest.readers.add(reader);
    return interest;
  }

  remove(interest: Interest<Reader>, reader: Reader): void {
    if (!interest.readers.delete(reader)) return;
    this.#changes++;
    if (interest.readers.size === 0) this.#end(interest);
  }

  /** Who wants a subject, each once. */
  readersFor(subject: string): readonly Reader[] {
    const known = this.#known.get(subject) ?? this.#newlyKnown(subject);
    if (known.atChange === this.#changes) return known.readers;
    this.#lookAtNew(known, subject);
    this.#readersKnown -= known.readers.length;
    known.readers = this.#gather(known, subject);
    known.atChange = this.#changes;
    this.#readersKnown += known.readers.length;
    const { readers } = known;
    if (this.#readersKnown > READERS_KNOWN_MAX) this.#forget();
    return readers;
  }

  #newlyKnown(subject: string): Known<Reader> {
    if (this.#known.size >= SUBJECTS_KNOWN_MAX) this.#forget();
    const known: Known<Reader> = { interests: [], looked: 0, readers: [], atChange: -1 };
    this.#known.set(subject, known);
    return known;
  }

  #lookAtNew(known: Known<Reader>, subject: string): void {
    while (known.looked < this.#searched.length) {
      const interest = this.#searched[known.looked++] as Interest<Reader>;
      if (interest.readers.size > 0 && interest.pattern.matches(subject)) {
        known.interests.push(interest);
      }
    }
  }

  #gather({ interests }: Known<Reader>, subject: string): Reader[] {
    const readers = new Set<Reader>();
    for (const interest of this.#bySubject.get(subject) ?? []) {
      for (const reader of interest.readers) readers.add(reader);
    }
    for (const interest of interests) {
      for (const reader of interest.readers) readers.add(reader);
    }
    return [...readers];
  }

  #begin(source: string): Interest<Reader> | Refusal {
    const pattern = patternOf(source);
    if ('reason' in pattern) return pattern;
    const interest = { pattern, readers: new Set<Reader>() };
    this.#bySource.set(source, interest);
    if (pattern.exact === undefined) this.#searched.push(interest);
    else {
      const others = this.#bySubject.get(pattern.exact) ?? new Set();
      this.#bySubject.set(pattern.exact, others.add(interest));
    }
    return interest;
  }

  #end(interest: Interest<Reader>): void {
    const { source, exact } = interest.pattern;
    this.#bySource.delete(source);
    if (exact === undefined) {
      if (++this.#gone * 2 > this.#searched.length) this.#sweep();
      return;
    }
    const others = this.#bySubject.get(exact);
    others?.delete(interest);
    if (others?.size === 0) this.#bySubject.delete(exact);
  }

  /** Drops the interests that nobody has any more; which subjects match is then found out anew. */
  #sweep(): void {
    this.#searched = this.#searched.filter(({ readers }) => readers.size > 0);
    this.#gone = 0;
    this.#forget();
  }

  #forget(): void {
    this.#known.clear();
    this.#readersKnown = 0;
  }
}
