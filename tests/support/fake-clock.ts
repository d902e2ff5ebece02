// Time for the broker that stands still until a test moves it. It fires timers
// in the order of their moments and never touches the real clock.
import type { Clock, Timer } from '../../broker/clock.js';

interface Planned {
  readonly atMs: number;
  readonly order: number;
  readonly action: () => void;
}

/** When the fake world begins, ms since 1970. */
const EPOCH_MS = 1_700_000_000_000;

export class FakeClock implements Clock {
  #nowMs = 0;
  #wallOffsetMs = EPOCH_MS;
  #order = 0;
  readonly #planned = new Set<Planned>();

  nowMs(): number {
    return this.#nowMs;
  }

  wallMs(): number {
    return this.#nowMs + this.#wallOffsetMs;
  }

  after(delayMs: number, action: () => void): Timer {
    if (!(delayMs >= 0 && delayMs < 2 ** 31)) {
      throw new RangeError(`no runtime has a timer of ${delayMs} ms`);
    }
    const planned = { atMs: this.#nowMs + delayMs, order: this.#order++, action };
    this.#planned.add(planned);
    return { cancel: () => void this.#planned.delete(planned) };
  }

  /** How many timers are set. */
  get timers(): number {
    return this.#planned.size;
  }

  /** When the next timer fires, ms from now; undefined without timers. */
  get nextMs(): number | undefined {
    const next = this.#next();
    return next === undefined ? undefined : next.atMs - this.#nowMs;
  }

  /** Lets time pass; every timer fires at its moment. */
  advance(ms: number): void {
    const untilMs = this.#nowMs + ms;
    for (let next = this.#next(); next && next.atMs <= untilMs; next = this.#next()) {
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      this.#fire(next);
    }
    this.#nowMs = untilMs;
  }

  /**
   * Lets time jump, as it does for a process that was stopped: each timer that
   * is due by then fires once, late.
   */
  jump(ms: number): void {
    this.#nowMs += ms;
    const due = [...this.#planned].filter(({ atMs }) => atMs <= this.#nowMs);
    due.sort((a, b) => a.atMs - b.atMs || a.order - b.order);
    for (const planned of due) this.#fire(planned);
  }

  /** Sets the wall clock forward or back, as an administrator does. */
  setWall(byMs: number): void {
    this.#wallOffsetMs += byMs;
  }

  #fire(planned: Planned): void {
    if (this.#planned.delete(planned)) planned.action();
  }

  #next(): Planned | undefined {
    let next: Planned | undefined;
    for (const planned of this.#planned) {
      const sooner =
        next === undefined ||
        planned.atMs < next.atMs ||
        (planned.atMs === next.atMs && planned.order < next.order);
      if (sooner) next = planned;
    }
    return next;
  }
}
