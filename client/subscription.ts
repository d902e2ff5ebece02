// One stream that this client reads: its readers here, and the patterns that
// the broker knows of. The broker delivers to the session; who of the readers
// gets a message is decided here, by each reader's own pattern, so that several
// readers of one stream each get what they asked for, once.
import type { Command, Pattern } from '../protocol/index.js';
import type { Declaration } from './declarations.js';
import { SubjectFilter } from './subject-filter.js';

type StreamDelivery = Command<'STREAM DELIVER'>;

/** A pattern that was declared with STREAM READ. */
interface Declared {
  readonly filter: SubjectFilter;
  readonly declaration: Declaration;
}

/** Beyond this many patterns of one stream, everything is read and sorted out here. */
const PATTERNS_MAX = 16;

export class Subscription<Reader> {
  readonly readers = new Set<Reader>();
  readonly #declared = new Map<string, Declared>();
  #last: StreamDelivery | undefined;
  #lastMatching = 0;
  #copies = 0;
  /** The broker has shown that it delivers once per reader. */
  #once = false;

  /** The declaration that brings what matches `pattern`, if it was made. */
  declarationFor(pattern: Pattern): Declaration | undefined {
    return (this.#declared.get('') ?? this.#declared.get(pattern.source))?.declaration;
  }

  /** What to declare for a pattern: itself, or everything where there are too many. */
  sourceFor(pattern: Pattern): string {
    return this.#declared.size < PATTERNS_MAX ? pattern.source : '';
  }

  declare(pattern: Pattern, declaration: Declaration): void {
    this.#declared.set(pattern.source, { filter: new SubjectFilter(pattern), declaration });
    this.#once = false;
  }

  /** The broker refused a declaration. */
  undeclare(source: string): void {
    this.#declared.delete(source);
  }

  /** Every declaration made for this stream. */
  get declarations(): Declaration[] {
    return [...this.#declared.values()].map(({ declaration }) => declaration);
  }

  /**
   * The C broker delivers a message once for each pattern of a session that
   * matches; this project's broker once. A delivery that equals the one before
   * it, to the last octet, counts as a copy while fewer have come than patterns
   * match, until a single one shows that this broker makes no copies.
   */
  isCopy(delivery: StreamDelivery): boolean {
    if (this.#once || this.#declared.size < 2) return false;
    const last = this.#last;
    if (last !== undefined && this.#copies < this.#lastMatching && sameDelivery(last, delivery)) {
      this.#copies++;
      return true;
    }
    if (last !== undefined && this.#lastMatching > 1 && this.#copies === 1) {
      this.#once = true;
      this.#last = undefined;
      return false;
    }
    this.#last = delivery;
    this.#lastMatching = this.#matching(delivery.subject);
    this.#copies = 1;
    return false;
  }

  #matching(subject: string): number {
    let matching = 0;
    for (const { filter, declaration } of this.#declared.values()) {
      if (declaration.isAccepted && filter.matches(subject)) matching++;
    }
    return matching;
  }
}

function sameDelivery(a: StreamDelivery, b: StreamDelivery): boolean {
  return (
    a.subject === b.subject &&
    a.sender === b.sender &&
    a.content.length === b.content.length &&
    a.content.every((frame, at) => frame.equals(b.content[at] as Buffer))
  );
}
