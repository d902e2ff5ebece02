// Time and chance as the SDK takes them, so that tests can turn them by hand.
// Nothing else in this folder calls setTimeout or Math.random.

/** A timer that `Clock.start` gave. */
export type Timer = object;

export interface Clock {
  /** Calls `action` once, after `ms` milliseconds. */
  start(ms: number, action: () => void): Timer;
  /** Forgets a timer; one that has fired, or none, is fine. */
  stop(timer: Timer | undefined): void;
  /** From 0 up to, not including, 1. */
  random(): number;
}

export const systemClock: Clock = {
  start: (ms, action) => setTimeout(action, ms),
  stop: (timer) => {
    clearTimeout(timer as NodeJS.Timeout | undefined);
  },
  random: () => Math.random(),
};
