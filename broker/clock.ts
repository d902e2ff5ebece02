// Time as the broker sees it, so that tests can hold it still. Deadlines use
// the monotonic clock, which never jumps; the wall clock only stamps messages.
import { performance } from 'node:perf_hooks';

/** A timer that can be taken back. */
export interface Timer {
  cancel(): void;
}

export interface Clock {
  /** Milliseconds since some fixed moment; never goes back. */
  nowMs(): number;
  /** Milliseconds since 1970. */
  wallMs(): number;
  /** Runs `action` once, after `delayMs`. */
  after(delayMs: number, action: () => void): Timer;
}

export const systemClock: Clock = {
  nowMs: () => performance.now(),
  wallMs: () => Date.now(),
  after: (delayMs, action) => {
    const timer = setTimeout(action, delayMs);
    return { cancel: () => clearTimeout(timer) };
  },
};
