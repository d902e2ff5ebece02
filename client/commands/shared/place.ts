// Places in a stream as people write them: a sequence, a time, a while ago, so
// many of the last messages, a word. It reads texts and knows no stream: what a
// place is in a certain stream is found out elsewhere.
import type { From } from '../../index.js';
import { usageError } from './failure.js';

/** A message by its sequence, or by when the broker accepted it. */
export type Moment = { readonly sequence: number } | { readonly timeMs: number };

/** Up to where a stream is read: `now` is what it holds when reading begins. */
export type Until = 'now' | Moment;

const DURATIONS: Readonly<Record<string, number>> = {
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};
const MOMENTS = 'a sequence, a time as 2026-01-31T10:52, a while ago as 10m';
const FROM = `earliest, new, compact, last:N, ${MOMENTS}`;

/**
 * The place where reading is to begin.
 *
 * @param nowMs what is ago is counted from, ms since 1970
 * @param takes what complaints say that there can be
 * @throws {CommandError}
 */
export function fromOf(text: string, nowMs: number, what = '--from', takes = FROM): From {
  if (text === 'earliest' || text === 'new' || text === 'compact') return text;
  const [, last] = /^last:(.*)$/s.exec(text) ?? [];
  if (last !== undefined) return { last: countOf(last, what) };
  return momentOf(text, nowMs) ?? wrong(text, what, takes);
}

/** The place up to which is to be read. @throws {CommandError} */
export function untilOf(text: string, nowMs: number): Until {
  if (text === 'now') return text;
  return momentOf(text, nowMs) ?? wrong(text, '--until', `now, ${MOMENTS}`);
}

/** @returns undefined where the text is none */
function momentOf(text: string, nowMs: number): Moment | undefined {
  if (/^\d+$/.test(text)) {
    const sequence = Number(text);
    // There is no message 0: who writes it means the first one.
    return Number.isSafeInteger(sequence) ? { sequence: Math.max(1, sequence) } : undefined;
  }
  const [, amount, unit = ''] = /^(\d{1,9})([smhd])$/.exec(text) ?? [];
  if (amount !== undefined) {
    return { timeMs: Math.max(0, nowMs - Number(amount) * (DURATIONS[unit] as number)) };
  }
  const timeMs = timeOf(text);
  return timeMs === undefined ? undefined : { timeMs };
}

const TIME = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?)(Z|[+-]\d\d:\d\d)?)?$/;

/** A date or a date with a time, ISO 8601; without a zone it is the local one. */
function timeOf(text: string): number | undefined {
  const [, date, time = '00:00', zone = ''] = TIME.exec(text) ?? [];
  if (date === undefined || !isDate(date)) return undefined;
  const timeMs = Date.parse(`${date}T${time}${zone}`);
  return timeMs >= 0 ? timeMs : undefined;
}

/** The parser of times takes the 30th of February for a day in March. */
function isDate(date: string): boolean {
  const midnight = new Date(`${date}T00:00Z`);
  return !Number.isNaN(midnight.getTime()) && midnight.toISOString().startsWith(date);
}

function countOf(text: string, what: string): number {
  const value = /^\d+$/.test(text) ? Number(text) : 0;
  if (value >= 1 && Number.isSafeInteger(value)) return value;
  throw usageError(`${what} last:N takes a whole number of 1 or more, not "${text}"`);
}

function wrong(text: string, what: string, takes: string): never {
  throw usageError(`${what} takes ${takes}; not "${text}"`);
}
