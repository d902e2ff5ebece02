// The moments at which waiting messages expire, nearest first: a binary heap in
// which every item knows its place, so that one that was delivered is taken out
// at once and keeps nothing alive.

/** Something that expires. `heapIndex` belongs to `Deadlines`. */
export interface Expiring {
  /** Clock time (ms) at which it expires. */
  expiresAtMs: number;
  /** Its place in the heap, -1 where it is not in one. */
  heapIndex: number;
}

export class Deadlines<Item extends Expiring> {
  readonly #heap: Item[] = [];

  get size(): number {
    return this.#heap.length;
  }

  /** When the next item expires (ms of the clock); undefined where there is none. */
  get nextMs(): number | undefined {
    return this.#heap[0]?.expiresAtMs;
  }

  add(item: Item): void {
    this.#heap.push(item);
    this.#rise(this.#heap.length - 1, item);
  }

  remove(item: Item): void {
    const at = item.heapIndex;
    if (at < 0) return;
    item.heapIndex = -1;
    const last = this.#heap.pop() as Item;
    if (last === item) return;
    this.#sink(at, last);
    if (last.heapIndex === at) this.#rise(at, last);
  }

  /** Takes out one item that has expired by `nowMs`, the earliest first. */
  takeExpired(nowMs: number): Item | undefined {
    const first = this.#heap[0];
    if (first === undefined || first.expiresAtMs > nowMs) return undefined;
    this.remove(first);
    return first;
  }

  #rise(from: number, item: Item): void {
    const heap = this.#heap;
    let at = from;
    while (at > 0) {
      const parentAt = (at - 1) >> 1;
      const parent = heap[parentAt] as Item;
      if (parent.expiresAtMs <= item.expiresAtMs) break;
      heap[at] = parent;
      parent.heapIndex = at;
      at = parentAt;
    }
    heap[at] = item;
    item.heapIndex = at;
  }

  #sink(from: number, item: Item): void {
    const heap = this.#heap;
    let at = from;
    for (;;) {
      let childAt = 2 * at + 1;
      let child = heap[childAt];
      if (child === undefined) break;
      const right = heap[childAt + 1];
      if (right !== undefined && right.expiresAtMs < child.expiresAtMs) {
        child = right;
        childAt++;
      }
      if (child.expiresAtMs >= item.expiresAtMs) break;
      heap[at] = child;
      child.heapIndex = at;
      at = childAt;
    }
    heap[at] = item;
    item.heapIndex = at;
  }
}
