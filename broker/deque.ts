// A double-ended queue in a ring: every operation at either end is constant
// time, and memory shrinks again after a burst.

const RING_MIN = 16;

/** A queue open at both ends. */
export class Deque<Item> {
  #ring = new Array<Item | undefined>(RING_MIN);
  #head = 0;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** The item at the front, or undefined. */
  peek(): Item | undefined {
    return this.#ring[this.#head];
  }

  /** The item at the back, or undefined. */
  peekBack(): Item | undefined {
    return this.at(this.#length - 1);
  }

  /** The item at a place counted from the front, or undefined. */
  at(place: number): Item | undefined {
    if (place < 0 || place >= this.#length) return undefined;
    return this.#ring[(this.#head + place) & (this.#ring.length - 1)];
  }

  push(item: Item): void {
    if (this.#length === this.#ring.length) this.#resize(this.#length * 2);
    this.#ring[(this.#head + this.#length) & (this.#ring.length - 1)] = item;
    this.#length++;
  }

  unshift(item: Item): void {
    if (this.#length === this.#ring.length) this.#resize(this.#length * 2);
    this.#head = (this.#head - 1) & (this.#ring.length - 1);
    this.#ring[this.#head] = item;
    this.#length++;
  }

  shift(): Item | undefined {
    if (this.#length === 0) return undefined;
    const item = this.#ring[this.#head];
    this.#ring[this.#head] = undefined;
    this.#head = (this.#head + 1) & (this.#ring.length - 1);
    this.#length--;
    if (this.#length * 8 < this.#ring.length && this.#ring.length > RING_MIN) {
      this.#resize(this.#ring.length / 2);
    }
    return item;
  }

  pop(): Item | undefined {
    if (this.#length === 0) return undefined;
    const at = (this.#head + this.#length - 1) & (this.#ring.length - 1);
    const item = this.#ring[at];
    this.#ring[at] = undefined;
    this.#length--;
    return item;
  }

  /** Keeps only the items for which `keep` holds, in order. */
  filter(keep: (item: Item) => boolean): void {
    const kept = [...this].filter(keep);
    this.clear();
    for (const item of kept) this.push(item);
  }

  clear(): void {
    this.#ring = new Array<Item | undefined>(RING_MIN);
    this.#head = 0;
    this.#length = 0;
  }

  *[Symbol.iterator](): Generator<Item> {
    for (let at = 0; at < this.#length; at++) {
      yield this.#ring[(this.#head + at) & (this.#ring.length - 1)] as Item;
    }
  }

  #resize(size: number): void {
    const ring = new Array<Item | undefined>(size);
    for (let at = 0; at < this.#length; at++) {
      ring[at] = this.#ring[(this.#head + at) & (this.#ring.length - 1)];
    }
    this.#ring = ring;
    this.#head = 0;
  }
}
