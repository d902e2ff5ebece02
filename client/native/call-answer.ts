// What becomes of a call to the broker, and what its answer holds.
import type { MlmError } from '../errors.js';

/** What is told what becomes of a call. */
export interface CallAnswer {
  done(value: unknown): void;
  refused(error: MlmError): void;
  /** The session was lost before the answer came: whether it was done is unknown. */
  dropped(): void;
}

/** The handle in the value of a RESULT. */
export function handleIn(value: unknown): number {
  return numberIn(value, 'handle');
}

/** A number in the value of a RESULT; 0 where there is none. */
export function numberIn(value: unknown, key: string): number {
  const map = value as Readonly<Record<string, unknown>> | null | undefined;
  const number = typeof map === 'object' ? map?.[key] : undefined;
  return typeof number === 'number' ? number : 0;
}
