// A pattern that remembers what it said: subjects repeat, and matching one
// costs more than looking it up. What it remembers is bounded.
import type { Pattern } from '../protocol/index.js';

const SUBJECTS_MAX = 1000;

export class SubjectFilter {
  readonly #pattern: Pattern;
  readonly #known = new Map<string, boolean>();

  constructor(pattern: Pattern) {
    this.#pattern = pattern;
  }

  matches(subject: string): boolean {
    if (this.#pattern.matchesAll) return true;
    let matches = this.#known.get(subject);
    if (matches === undefined) {
      if (this.#known.size >= SUBJECTS_MAX) this.#known.clear();
      matches = this.#pattern.matches(subject);
      this.#known.set(subject, matches);
    }
    return matches;
  }
}
