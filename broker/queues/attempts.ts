// The rules of attempts at a request: how failures are remembered, how long to
// wait before the next attempt, and which request must be alone with its worker.
// It does nothing to a request but remember.
import type { Failure } from '../store/store.js';
import type { Message } from './message.js';

/** Why an attempt failed whose worker is not there any more. */
export const SESSION_ENDED = 'the session of the worker ended';

/** How long a request is held back for which its worker was not ready. */
export const NOT_READY_DELAY_MS = 1000;

const FAILURES_MAX = 20;
const RETRY_MS_MIN = 100;
const RETRY_MS_MAX = 60_000;

export function noteFailure(
  { failures }: Message,
  timeMs: number,
  failure: Omit<Failure, 'timeMs'>,
): void {
  failures.push({ timeMs, ...failure });
  while (failures.length > FAILURES_MAX) failures.shift();
}

/** How long to wait after so many attempts: twice as long each time. */
export function retryDelayMs(attempts: number): number {
  return Math.min(RETRY_MS_MAX, RETRY_MS_MIN * 2 ** Math.max(0, attempts - 1));
}

/**
 * True where a worker is to have a request by itself: it may end its worker, and has one attempt
 * left. Others that the worker held did not fail by themselves, and get theirs alone as well.
 */
export function goesAlone({ attempts, failures }: Message, attemptsMax: number): boolean {
  if (attempts === 0 || attempts < attemptsMax - 1) return false;
  return failures.at(-1)?.lost === true;
}
