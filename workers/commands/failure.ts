// How a wrapped command can fail, as classes that the runtime and the broker act
// on. It names them and makes errors of them; what leads to which is decided
// where it happens.
import { JobError } from '../job.js';

/**
 * What becomes of a request whose command failed.
 * - `failed`: it is tried again, a few times
 * - `bad-input`: it would fail again: nobody tries, its requester is told at once
 * - `transient`: it is tried again after a while
 * - `out-of-memory`: it is tried again where there is more memory
 * - `not-ready`: this worker cannot do it now, another one can; the attempt does not count
 */
export const FAILURE_CLASSES = [
  'failed',
  'bad-input',
  'transient',
  'out-of-memory',
  'not-ready',
] as const;
export type FailureClass = (typeof FAILURE_CLASSES)[number];

/** An error of a class, to be thrown by a handler. */
export function failure(name: FailureClass, message: string, cause?: unknown): JobError {
  return new JobError(name, message, { cause });
}

/** The request cannot be done, by nobody. */
export function badInput(message: string, cause?: unknown): JobError {
  return failure('bad-input', message, cause);
}

/** The time limit of one attempt is over: it is tried again, a few times. */
export function timeOver(message: string): JobError {
  return new JobError('time-limit', message);
}

/** What a signal that has fired says, as an error. */
export function reasonOf(signal: AbortSignal): Error {
  const { reason } = signal as { reason: unknown };
  return reason instanceof Error ? reason : failure('transient', 'the request was given up');
}

/** The message of whatever was thrown. */
export function messageOf(thrown: unknown): string {
  const message = fieldOf(thrown, 'message');
  return typeof message === 'string' ? message : String(thrown);
}

/** The code of a system error, as `ENOENT`; empty where it has none. */
export function systemCodeOf(thrown: unknown): string {
  const code = fieldOf(thrown, 'code');
  return typeof code === 'string' ? code : '';
}

/** Errors of the system may come from another realm, where `instanceof` says no. */
function fieldOf(thrown: unknown, name: string): unknown {
  if (typeof thrown !== 'object' || thrown === null) return undefined;
  return (thrown as Record<string, unknown>)[name];
}
