// Watches things that fall due at a moment and says so when it has come: messages
// that expire, requests that are delayed. One timer serves them all: it is set
// for the nearest moment.
import type { Clock, Timer } from '../clock.js';
import { Deadlines, type Expiring } from './deadlines.js';

const RESOLUTION_MS = 5;
const TIMER_MS_MAX = 2 ** 31 - 1;
/** Items that fall due in one go, before others have their turn. */
const DUE_AT_ONCE = 500;

export class Expiry<Item extends Expiring> {
  readonly #clock: Clock;
  readonly #deadlines = new Deadlines<Item>();
  readonly #onDue: (item: Item) => void;
  readonly #afterwards: () => void;
  #timer: Timer | undefined;
  #timerAtMs = Infinity;

  /**
   * @param onDue called for each item whose moment has come
   * @param afterwards called once, after those that fell due together
   */
  constructor(clock: Clock, onDue: (item: Item) => void, afterwards: () => void) {
    this.#clock = clock;
    this.#onDue = onDue;
    this.#afterwards = afterwards;
  }

  /** Watches an item from now on. @param delayMs 0 for one that never falls due */
  watch(item: Item, delayMs: number): void {
    if (delayMs === 0) return;
    this.#deadlines.remove(item);
    item.expiresAtMs = this.#clock.nowMs() + delayMs;
    this.#deadlines.add(item);
    this.#arm();
  }

  /** Stops watching an item. */
  unwatch(item: Item): void {
    this.#deadlines.remove(item);
  }

  stop(): void {
    this.#timer?.cancel();
  }

  #arm(): void {
    const nextMs = this.#deadlines.nextMs;
    if (nextMs === undefined || nextMs >= this.#timerAtMs) return;
    this.#timer?.cancel();
    this.#timerAtMs = nextMs;
    const delayMs = Math.min(TIMER_MS_MAX, Math.max(RESOLUTION_MS, nextMs - this.#clock.nowMs()));
    this.#timer = this.#clock.after(delayMs, () => this.#fire());
  }

  #fire(): void {
    this.#timerAtMs = Infinity;
    const nowMs = this.#clock.nowMs();
    for (let due = 0; due < DUE_AT_ONCE; due++) {
      const item = this.#deadlines.takeExpired(nowMs);
      if (item === undefined) break;
      this.#onDue(item);
    }
    this.#arm();
    this.#afterwards();
  }
}
