// Named cursors: how far somebody has come in a stream, kept by the broker. A
// reader that opens with a cursor begins after it; its confirms move it forward.
import type { Committer } from '../store/commits.js';
import type { Place } from '../store/storage.js';
import type { Stream } from './stream.js';

const DOCUMENT_KIND = 'cursor';
const NAME_BYTES_MAX = 255;

/** One cursor: everything up to `sequence` was confirmed. */
export interface Cursor {
  readonly stream: string;
  readonly name: string;
  readonly sequence: number;
}

export class Cursors implements Committer {
  readonly #place: Place;
  readonly #max: number;
  readonly #cursors = new Map<string, Map<string, number>>();
  /** Cursors that moved since the last commit. */
  readonly #moved = new Map<string, Cursor>();
  #size = 0;

  /** @param max how many there may be */
  constructor(place: Place, max: number) {
    this.#place = place;
    this.#max = max;
  }

  /** Takes over the cursors that the store holds. */
  recover(): void {
    for (const [key, value] of this.#place.store.documents(DOCUMENT_KIND)) {
      const at = key.indexOf('\0');
      this.#put(key.slice(0, at), key.slice(at + 1), value.readDoubleBE(0));
    }
  }

  /** The sequence up to which a cursor has come; undefined where there is none. */
  get(stream: string, name: string): number | undefined {
    return this.#cursors.get(stream)?.get(name);
  }

  list(stream: string): Cursor[] {
    const cursors = this.#cursors.get(stream) ?? new Map<string, number>();
    return [...cursors].map(([name, sequence]) => ({ stream, name, sequence }));
  }

  /** Moves a cursor forward; one that is further already stays. */
  advance(stream: Stream, name: string, sequence: number): void {
    const before = this.get(stream.name, name) ?? 0;
    const bounded = Math.min(sequence, stream.lastSequence);
    if (bounded > before) this.#move(stream.name, name, bounded);
  }

  /** Puts a cursor anywhere. @returns why not, where it does not */
  set(stream: string, name: string, sequence: number): string | undefined {
    if (name === '' || Buffer.byteLength(name) > NAME_BYTES_MAX) {
      return `a cursor's name has 1 to ${NAME_BYTES_MAX} octets`;
    }
    if (this.get(stream, name) === undefined && this.#size >= this.#max) {
      return `there are ${this.#max} cursors already`;
    }
    this.#move(stream, name, sequence);
    return undefined;
  }

  delete(stream: string, name: string): boolean {
    const cursors = this.#cursors.get(stream);
    if (cursors?.delete(name) !== true) return false;
    this.#size--;
    if (cursors.size === 0) this.#cursors.delete(stream);
    this.#moved.delete(keyOf(stream, name));
    this.#place.store.setDocument(DOCUMENT_KIND, keyOf(stream, name), undefined);
    this.#place.commits.touch(this);
    return true;
  }

  /** A stream is deleted: its cursors go with it. */
  forgetStream(stream: string): void {
    for (const { name } of this.list(stream)) this.delete(stream, name);
  }

  seal(): number {
    for (const [key, { sequence }] of this.#moved) {
      const value = Buffer.alloc(8);
      value.writeDoubleBE(sequence);
      this.#place.store.setDocument(DOCUMENT_KIND, key, value);
    }
    this.#moved.clear();
    return 0;
  }

  committed(): void {
    // Nobody waits for a cursor to be durable: one that is behind repeats messages, and loses none.
  }

  failed(): void {
    for (const [stream, cursors] of this.#cursors) {
      for (const [name, sequence] of cursors)
        this.#moved.set(keyOf(stream, name), { stream, name, sequence });
    }
  }

  #move(stream: string, name: string, sequence: number): void {
    this.#put(stream, name, sequence);
    this.#moved.set(keyOf(stream, name), { stream, name, sequence });
    this.#place.commits.touch(this);
  }

  #put(stream: string, name: string, sequence: number): void {
    const cursors = this.#cursors.get(stream) ?? new Map<string, number>();
    this.#cursors.set(stream, cursors);
    if (!cursors.has(name)) this.#size++;
    cursors.set(name, sequence);
  }
}

function keyOf(stream: string, name: string): string {
  return `${stream}\0${name}`;
}
