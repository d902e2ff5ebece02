// Requests that were given up and may have been answered all the same: while there
// are any, their replies are taken out of the mailbox. Whoever is not heard of for
// a while is forgotten. It sends nothing.
import type { Clock, Timer } from '../clock.js';

/** Forgotten after one to two of these, ms. */
const TURN_MS = 60_000;
const TRACKERS_MAX = 10_000;

export class LateReplies {
  readonly #clock: Clock;
  #trackers = new Set<string>();
  #older = new Set<string>();
  #timer: Timer | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#trackers.size + this.#older.size;
  }

  add(tracker: string): void {
    if (this.size >= TRACKERS_MAX) return;
    this.#trackers.add(tracker);
    this.#timer ??= this.#clock.start(TURN_MS, () => this.#turn());
  }

  /** The reply has come, or there will be none. */
  delete(tracker: string): void {
    this.#trackers.delete(tracker);
    this.#older.delete(tracker);
    if (this.size === 0) this.stop();
  }

  stop(): void {
    this.#clock.stop(this.#timer);
    this.#timer = undefined;
  }

  #turn(): void {
    this.#timer = undefined;
    this.#older = this.#trackers;
    this.#trackers = new Set();
    if (this.size > 0) this.#timer = this.#clock.start(TURN_MS, () => this.#turn());
  }
}
