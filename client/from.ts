// Where a reader of a stream begins: what may be said, the check of it, and how
// it is told to the broker. It reads nothing.
import { MlmError } from './errors.js';

/**
 * Where to begin to read.
 * - `new`: what is sent from now on
 * - `earliest`: the oldest message that the stream still holds
 * - `compact`: the last message of each subject that the stream holds, by rising sequence, then
 *   what comes: a stream as a table of current states. For the own messages too, `own` is needed
 * - `{ sequence }`: this message, or the next one that is still there
 * - `{ timeMs }`: the first message accepted at or after this moment, ms since 1970
 * - `{ last }`: so many of the newest messages, then what comes
 */
export type From =
  | 'new'
  | 'earliest'
  | 'compact'
  | { readonly sequence: number }
  | { readonly timeMs: number }
  | { readonly last: number };

const WORDS = ['new', 'earliest', 'compact'];
const KEYS = ['sequence', 'timeMs', 'last'];

/** @throws {MlmError} INVALID_ARGUMENT, naming what is allowed */
export function checkFrom(from: From): From {
  const given: unknown = from;
  if (typeof given === 'string' && WORDS.includes(given)) return from;
  if (typeof given === 'object' && given !== null) {
    const entries = Object.entries(given);
    const [key = '', value] = entries[0] ?? [];
    if (entries.length === 1 && KEYS.includes(key) && Number.isSafeInteger(value) && value >= 0) {
      return from;
    }
  }
  const allowed =
    '"new", "earliest", "compact", { sequence }, { timeMs } or { last }, with a whole number of 0 or more';
  throw new MlmError('INVALID_ARGUMENT', `from is ${shown(given)}; it must be ${allowed}`);
}

function shown(given: unknown): string {
  try {
    return given === undefined ? 'undefined' : JSON.stringify(given);
  } catch {
    return 'something else';
  }
}
