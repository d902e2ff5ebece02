// One line of output while it is put together, and the only gate through which
// a stranger's text gets into one: whatever is added comes out harmless. A line
// can have a bound; what is beyond is cut off and the cut shown.
import { safeParts } from './safe-text.js';
import type { Paint, Role } from './styles.js';

const CUT = '…';

export interface LineOptions {
  /** Characters after which the line is cut. Default: none. */
  readonly charactersMax?: number | undefined;
  /** Unsafe characters to leave as they are, for output of several lines. */
  readonly keep?: string | undefined;
}

export class Line {
  readonly #paint: Paint;
  readonly #charactersMax: number;
  readonly #keep: string;
  #text = '';
  #characters = 0;
  #cut = false;

  constructor(paint: Paint, { charactersMax = Infinity, keep = '' }: LineOptions = {}) {
    this.#paint = paint;
    this.#charactersMax = charactersMax;
    this.#keep = keep;
  }

  /** Characters that are shown. */
  get length(): number {
    return this.#characters;
  }

  /** True once the line is cut: what is added now is not shown. */
  get isCut(): boolean {
    return this.#cut;
  }

  add(role: Role, text: string): this {
    if (this.#cut) return this;
    const room = this.#charactersMax - this.#characters;
    // A character becomes one or more, so what is beyond the room is never shown.
    const candidate = text.length > room ? text.slice(0, room) : text;
    for (const part of safeParts(candidate, this.#keep)) {
      this.#put(part.escaped ? 'note' : role, part.text);
    }
    if (candidate.length < text.length) this.#finish();
    return this;
  }

  /** Adds a text and fills up with spaces to this many characters. */
  column(role: Role, text: string, width: number): this {
    const before = this.#characters;
    this.add(role, text);
    const missing = width - (this.#characters - before);
    return missing > 0 ? this.add('plain', ' '.repeat(missing)) : this;
  }

  /** The line, without an end of line. */
  toString(): string {
    return this.#text;
  }

  #put(role: Role, text: string): void {
    if (this.#cut) return;
    this.#text += this.#paint(role, text);
    this.#characters += text.length;
  }

  #finish(): void {
    if (this.#cut) return;
    this.#cut = true;
    this.#characters += CUT.length;
    this.#text += this.#paint('note', CUT);
  }
}
