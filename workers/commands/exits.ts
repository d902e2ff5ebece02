// What the end of a command means: success, or a failure of some class. It goes
// by the author's own table first, then by what the command said last, then by
// what such ends mean everywhere.
import type { JobError } from '../job.js';
import { FAILURE_CLASSES, failure, type FailureClass } from './failure.js';
import type { Exit } from './process-group.js';

/** What a status means: fine, or a failure. */
export const EXIT_MEANINGS = ['ok', ...FAILURE_CLASSES] as const;
export type ExitMeaning = (typeof EXIT_MEANINGS)[number];

/** A pattern of the author, whose engine takes linear time: strangers choose what is printed. */
export interface Matcher {
  matches(text: string): boolean;
}

/** How to read the end of a command. */
export interface ExitRules {
  /** By status (`3`) or signal (`SIGSEGV`). */
  readonly exitCodes: ReadonlyMap<string, ExitMeaning>;
  /** By what the end of standard error matches, for statuses that are not in the table. */
  readonly errors: readonly { readonly pattern: Matcher; readonly failure: FailureClass }[];
}

/**
 * Statuses that mean the same in many programs: those of sysexits.h, and those of shells. A
 * status of 1 or 2 says nothing: too many programs use them for everything.
 */
const KNOWN_CODES: Readonly<Record<string, FailureClass>> = {
  64: 'bad-input', // EX_USAGE
  65: 'bad-input', // EX_DATAERR
  66: 'bad-input', // EX_NOINPUT
  69: 'not-ready', // EX_UNAVAILABLE
  75: 'transient', // EX_TEMPFAIL
  78: 'not-ready', // EX_CONFIG
  126: 'not-ready', // Cannot be executed.
  127: 'not-ready', // Not found.
  129: 'transient', // SIGHUP
  130: 'transient', // SIGINT
  137: 'out-of-memory', // SIGKILL, which is what the kernel sends where memory runs out.
  143: 'transient', // SIGTERM
  SIGHUP: 'transient',
  SIGINT: 'transient',
  SIGTERM: 'transient',
  SIGKILL: 'out-of-memory',
};

/** How runtimes say that there was not enough memory. */
const NO_MEMORY =
  /\b(?:MemoryError|OutOfMemoryError|out of memory|std::bad_alloc|[Cc]annot allocate memory|memory exhausted)\b/;

/** Characters of standard error that a failure's reason holds. */
const REASON_CHARACTERS_MAX = 2000;

/**
 * Reads the end of a command.
 *
 * @param stderr the end of what it printed on standard error
 * @returns undefined where all is well
 */
export function failureOfExit(
  program: string,
  exit: Exit,
  stderr: string,
  rules: ExitRules,
): JobError | undefined {
  const meaning = meaningOf(exit, stderr, rules);
  if (meaning === 'ok') return undefined;
  return failure(meaning, `"${program}" ended ${nameOf(exit)}${said(stderr)}`);
}

function meaningOf(
  { code, signal }: Exit,
  stderr: string,
  { exitCodes, errors }: ExitRules,
): ExitMeaning {
  const key = signal ?? String(code);
  const own = exitCodes.get(key);
  if (own !== undefined) return own;
  if (code === 0) return 'ok';
  const said = errors.find(({ pattern }) => pattern.matches(stderr));
  if (said !== undefined) return said.failure;
  const known = Object.hasOwn(KNOWN_CODES, key) ? KNOWN_CODES[key] : undefined;
  return known ?? (NO_MEMORY.test(stderr) ? 'out-of-memory' : 'failed');
}

function nameOf({ code, signal }: Exit): string {
  return signal === null ? `with status ${String(code)}` : `by ${signal}`;
}

/** The last line first: reasons are cut where there is little room, and it tells the most. */
export function said(stderr: string): string {
  const lines = stderr.split(/[\r\n]+/).filter((line) => line.trim() !== '');
  const last = lines.at(-1);
  if (last === undefined) return '';
  const before = lines.slice(0, -1).join('\n').slice(-REASON_CHARACTERS_MAX);
  const more = before === '' ? '' : `\n${before}`;
  return `: ${last.trim().slice(-REASON_CHARACTERS_MAX)}${more}`;
}
