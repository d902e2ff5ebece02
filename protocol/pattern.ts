// Subject patterns: regular expressions, searched, not anchored; the empty
// pattern matches everything. The engine takes time linear in the subject,
// whatever the pattern, so that a pattern from a stranger cannot stall a broker.
//
// Source: the meaning of CZMQ's zrex as recorded in tests/fixtures/patterns.json,
// with the standard meaning where zrex deviates from it.
import { RE2JS } from 're2js';
import { ProtocolError } from './errors.js';

/**
 * Steps of a compiled pattern, at most: a subject is matched in time that grows
 * with them. A subject has 255 octets, so that no sensible pattern has more.
 */
const STEPS_MAX = 600;
/** How often a pattern may repeat something, times its length: compiling takes time like that. */
const REPEATED_MAX = 50_000;

/** A compiled subject pattern. */
export interface Pattern {
  /** The pattern as the client wrote it. */
  readonly source: string;
  /** True where the pattern matches every subject (it is empty). */
  readonly matchesAll: boolean;
  /** The one subject that it matches; undefined where others may match as well. */
  readonly exact: string | undefined;
  /** True where `subject` holds a match anywhere. */
  matches(subject: string): boolean;
}

/**
 * Compiles a subject pattern.
 *
 * @param source a regular expression: `^ $ . [] () | * + ? {n}`, `\d \D \s \S \w \W`,
 *   and zrex's own `\a` and `\A` for alphabetic and not alphabetic
 * @throws {ProtocolError} fault `pattern`, where the expression is not valid, or is
 *   so large that matching it would keep others waiting
 */
export function compilePattern(source: string): Pattern {
  if (source === '') return { source, matchesAll: true, exact: undefined, matches: () => true };
  if (repeats(source) * source.length > REPEATED_MAX) throw tooLarge(source);
  let engine: RE2JS;
  try {
    engine = RE2JS.compile(translateClasses(source));
  } catch (cause) {
    const detail = cause instanceof Error ? cause.message : String(cause);
    throw new ProtocolError('pattern', 'pattern', `"${source}" is not a valid pattern: ${detail}`);
  }
  if (engine.programSize() > STEPS_MAX) throw tooLarge(source);
  const { plain, end } = plainBeginning(source);
  if (end > 0 && end === source.length - 1 && source.endsWith('$')) {
    return { source, matchesAll: false, exact: plain, matches: (subject) => subject === plain };
  }
  const matches =
    plain === ''
      ? (subject: string) => engine.test(subject)
      : (subject: string) => subject.startsWith(plain) && engine.test(subject);
  return { source, matchesAll: false, exact: undefined, matches };
}

/**
 * The text with which every match of an anchored pattern begins, as far as it is
 * plain, and where in the pattern it ends; empty, and at 0, where there is none.
 * To compare it costs next to nothing, so that thousands of patterns can be
 * looked at for one subject.
 */
function plainBeginning(source: string): { plain: string; end: number } {
  // An alternative at the top may begin otherwise.
  if (!source.startsWith('^') || hasAlternatives(source)) return { plain: '', end: 0 };
  let plain = '';
  let at = 1;
  while (at < source.length) {
    const isEscape = source.charAt(at) === '\\' && isPlainEscape(source.charAt(at + 1));
    if (!isEscape && SPECIAL.includes(source.charAt(at))) break;
    const char = String.fromCodePoint(source.codePointAt(isEscape ? at + 1 : at) as number);
    const next = at + char.length + (isEscape ? 1 : 0);
    // What may be missing, or be there several times, is not required.
    if (next < source.length && REPEATED.includes(source.charAt(next))) break;
    plain += char;
    at = next;
  }
  return { plain, end: at };
}

function hasAlternatives(source: string): boolean {
  for (let at = 0; at < source.length; at++) {
    if (source.charAt(at) === '\\') at++;
    else if (source.charAt(at) === '|') return true;
  }
  return false;
}

const SPECIAL = '\\^$.[](){}|*+?';
const REPEATED = '*+?{';

function isPlainEscape(char: string): boolean {
  return char !== '' && SPECIAL.includes(char);
}

/** Rewrites zrex's `\a` and `\A`; inside brackets too. Everything else stays as it is. */
function translateClasses(source: string): string {
  let out = '';
  let inClass = false;
  for (let at = 0; at < source.length; at++) {
    const char = source.charAt(at);
    if (char === '\\') {
      const escaped = source.charAt(++at);
      if (escaped === 'a') out += inClass ? 'A-Za-z' : '[A-Za-z]';
      else if (escaped === 'A') out += inClass ? '[:^alpha:]' : '[^A-Za-z]';
      else out += char + escaped;
      continue;
    }
    if (char === '[' && !inClass) {
      inClass = true;
      // A bracket right after the opening one (or its caret) is a member.
      const caret = source.charAt(at + 1) === '^' ? '^' : '';
      const member = source.charAt(at + 1 + caret.length) === ']' ? ']' : '';
      out += `[${caret}${member}`;
      at += caret.length + member.length;
      continue;
    }
    if (char === ']') inClass = false;
    out += char;
  }
  return out;
}

/** The counts of all `{n}` and `{n,m}` together. */
function repeats(source: string): number {
  let count = 0;
  for (const [, least, most] of source.matchAll(/\{(\d+)(?:,(\d*))?\}/g)) {
    count += Math.max(Number(least), Number(most ?? 0));
  }
  return count;
}

function tooLarge(source: string): ProtocolError {
  return new ProtocolError('pattern', 'pattern', `"${source}" repeats too much`);
}
