// The books of a crash run, judged: each function names what it found wrong, and
// nothing where all is well.
import type { Ledger, ReadLife } from './ledger.js';
import type { Logged } from './run.js';

/** Faults shown; one is as bad as a thousand. */
const SHOWN = 20;

type Log = readonly Logged[];

/** Confirmed messages that are not in the log at the sequence that was confirmed. */
export function lostFrom(log: Log, { stored }: Ledger): string[] {
  const bySequence = new Map(log.map(({ sequence, subject }) => [sequence, subject]));
  return some(
    [...stored]
      .filter(([subject, sequence]) => bySequence.get(sequence) !== subject)
      .map(([subject, sequence]) => `${subject} was confirmed as ${sequence}`),
  );
}

/**
 * What is wrong with the order of the log: sequences rise one by one, each
 * writer's messages come in the order in which it sent them, and nothing comes
 * twice, though some writers send again what was not confirmed when they lost
 * their session: with an id.
 */
export function disorderIn(log: Log): string[] {
  const faults: string[] = [];
  const lastOf = new Map<string, number>();
  for (const [at, { sequence, subject }] of log.entries()) {
    const due = log[0]!.sequence + at;
    if (sequence !== due) faults.push(`${sequence} stands where ${due} is due`);
    const [writer = '', number = ''] = subject.split('/');
    const last = lastOf.get(writer) ?? 0;
    lastOf.set(writer, Number(number));
    if (Number(number) <= last) faults.push(`${subject} comes after ${writer}/${last}`);
  }
  return some(faults);
}

/** What cursor readers did not get, or not in order. */
export function missedBy(log: Log, { read }: Ledger): string[] {
  const subjects = new Map(log.map(({ sequence, subject }) => [sequence, subject]));
  return some([...read].flatMap(([cursor, lives]) => missedByOne(cursor, lives, log, subjects)));
}

/** Each life begins at or before what the lives before it have not seen, and goes on without a hole. */
function missedByOne(
  cursor: string,
  lives: readonly ReadLife[],
  log: Log,
  logged: ReadonlyMap<number, string>,
): string[] {
  const faults: string[] = [];
  let due = log[0]?.sequence ?? 1;
  for (const { first, subjects } of lives.filter((life) => life.subjects.length > 0)) {
    if (first > due) faults.push(`${cursor} goes on at ${first}, and never got ${due}`);
    const wrong = subjects.findIndex((subject, at) => logged.get(first + at) !== subject);
    if (wrong >= 0) faults.push(`${cursor} got ${subjects[wrong]} as ${first + wrong}`);
    due = Math.max(due, first + subjects.length);
  }
  const last = log.at(-1)?.sequence ?? 0;
  if (due !== last + 1) faults.push(`${cursor} never got ${due} to ${last}`);
  return faults;
}

/** Mail that was accepted and never received. */
export function undeliveredMail({ mailAccepted, mailDone }: Ledger): string[] {
  return some([...mailAccepted].filter((subject) => !mailDone.has(subject)));
}

/** Requests that were accepted, or answered, and never handled. */
export function unhandledRequests({ requestsAccepted, answered, requestsDone }: Ledger): string[] {
  return some([...requestsAccepted, ...answered].filter((subject) => !requestsDone.has(subject)));
}

/** Jobs that were accepted and whose life is not written down from its one beginning to its one end. */
export function unfinishedJobs(
  jobs: ReadonlyMap<string, readonly string[]>,
  { jobsAccepted }: Ledger,
): string[] {
  return some(
    [...new Set([...jobsAccepted, ...jobs.keys()])]
      .filter((id) => !isWholeLife(jobs.get(id) ?? []))
      .map((id) => `${id}: ${(jobs.get(id) ?? []).join(', ')}`),
  );
}

function isWholeLife(events: readonly string[]): boolean {
  const between = events.slice(1, -1);
  return (
    events[0] === 'queued' &&
    events.at(-1) === 'succeeded' &&
    between.every((event) => event === 'started' || event === 'retrying')
  );
}

/** Messages that were read more than once. */
export function repeatsOf({ read }: Ledger): number {
  let repeats = 0;
  for (const lives of read.values()) {
    let due = 0;
    for (const { first, subjects } of lives) {
      const end = first + subjects.length;
      repeats += Math.max(0, Math.min(due, end) - first);
      due = Math.max(due, end);
    }
  }
  return repeats;
}

function some(faults: readonly string[]): string[] {
  if (faults.length <= SHOWN) return [...faults];
  return [...faults.slice(0, SHOWN), `and ${faults.length - SHOWN} more`];
}
