// A bound for the time that something of the broker may take. It is in two parts:
// where this process stood still, it takes what came meanwhile in between, and
// does not blame the broker. What follows when time is up is the caller's business.
import type { Clock, Timer } from './clock.js';

/** How long what has come is looked at before time is up, ms. */
const LOOK_MS = 50;

export class TimeLimit {
  readonly #clock: Clock;
  #timer: Timer;

  /** @param onOver called once after `ms`, unless it is stopped before */
  constructor(clock: Clock, ms: number, onOver: () => void) {
    const lookMs = Math.min(LOOK_MS, ms / 4);
    this.#clock = clock;
    this.#timer = clock.start(ms - lookMs, () => {
      this.#timer = clock.start(lookMs, onOver);
    });
  }

  /** Safe to call again, and after its end. */
  stop(): void {
    this.#clock.stop(this.#timer);
  }
}
