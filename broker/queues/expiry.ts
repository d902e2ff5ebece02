// Watches things that fall due at a moment and says so when it has come: messages
// that expire, requests that are delayed. One timer serves them all: it is set
// for the nearest moment. Where the broker itself stood still, it takes what came
// meanwhile before it says that something has fallen due.
import type { Clock, Timer } from '../clock.js';
import { Deadlines, type Expiring } from './deadlines.js';

const RESOLUTION_MS = 5;
const TIMER_MS_MAX = 2 ** 31 - 1;
/** Items that fall due in one go, before others have their turn. */
const DUE_AT_ONCE = 500;
/** A timer that fires so much too late, ms, tells that the broker stood still. */
const LATE_MS = 100;
/** How long it then takes what came meanwhile: extensions of leases, replies, workers. */
const LOOK_MS = 50;
/** One that is always late has work for two, and does not put this off for ever. */
const LOOKS_MAX = 10;

export class Expiry<Item extends Expiring> {
  readonly #clock: Clock;
  readonly #deadlines = new Deadlines<Item>();
  readonly #onDue: (item: Item) => void;
  readonly #afterwards: () => void;
  #timer: Timer | undefined;
  /** The moment for which the timer was set; Infinity where there is none. */
  #timerAtMs = Infinity;
  /** When the timer is to fire: never before it is set. */
  #firesAtMs = 0;
  /** How often in a row the timer was late. */
  #looks = 0;

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
    if (nextMs === undefined || nextMs >= this.#timerAtMs || this.#looks > 0) return;
    this.#timer?.cancel();
    this.#timerAtMs = nextMs;
    this.#set(Math.min(TIMER_MS_MAX, Math.max(RESOLUTION_MS, nextMs - this.#clock.nowMs())));
  }

  #set(delayMs: number): void {
    this.#firesAtMs = this.#clock.nowMs() + delayMs;
    this.#timer = this.#clock.after(delayMs, () => this.#fire());
  }

  #fire(): void {
    const nowMs = this.#clock.nowMs();
    if (nowMs - this.#firesAtMs > LATE_MS && this.#looks < LOOKS_MAX) {
      this.#looks++;
      this.#set(LOOK_MS);
      return;
    }
    this.#looks = 0;
    this.#timerAtMs = Infinity;
    for (let due = 0; due < DUE_AT_ONCE; due++) {
      const item = this.#deadlines.takeExpired(nowMs);
      if (item === undefined) break;
      this.#onDue(item);
    }
    this.#arm();
    this.#afterwards();
  }
}
