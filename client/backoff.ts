// How long to wait before the next attempt: doubling, bounded, and with chance
// in it, so that a thousand clients of one broker do not come back as one. It
// counts; it holds no timer.
import type { Clock } from './clock.js';

const FIRST_MS = 100;
const LAST_MS = 5000;

export class Backoff {
  readonly #clock: Clock;
  #attempts = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** How many delays were given since the last reset. */
  get attempts(): number {
    return this.#attempts;
  }

  /** The next delay in ms: between half and all of 100, 200, 400, … 5000. */
  next(): number {
    const full = Math.min(LAST_MS, FIRST_MS * 2 ** Math.min(this.#attempts, 16));
    this.#attempts++;
    return Math.round(full * (0.5 + this.#clock.random() / 2));
  }

  /** The session has proved stable: begin with the shortest delay again. */
  reset(): void {
    this.#attempts = 0;
  }
}
