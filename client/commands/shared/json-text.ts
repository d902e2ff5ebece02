// JSON as text: written from decoded MessagePack, and laid out on one line. It
// never takes a document apart and puts it together again, so numbers of any
// size and repeated keys are shown as they were sent.
import type { Line } from './line.js';
import type { Role } from './styles.js';

/** How bytes inside a value are written: as JSON. */
export type WriteBytes = (bytes: Uint8Array) => string;

/**
 * Writes a decoded MessagePack value as JSON. What JSON does not have is written
 * as text: times in ISO 8601, `"NaN"`, `"Infinity"`. It calls itself for each
 * level: keep values that are nested without bound away from it.
 */
export function jsonOf(value: unknown, writeBytes: WriteBytes): string {
  if (typeof value === 'bigint') return value.toString();
  if (typeof value === 'number' && !Number.isFinite(value)) return JSON.stringify(String(value));
  if (value instanceof Uint8Array) return writeBytes(value);
  if (Array.isArray(value)) {
    return `[${value.map((item) => jsonOf(item, writeBytes)).join(',')}]`;
  }
  if (typeof value === 'object' && value !== null && !(value instanceof Date)) {
    const fields = Object.entries(value).map(
      ([key, field]) => `${JSON.stringify(key)}:${jsonOf(field, writeBytes)}`,
    );
    return `{${fields.join(',')}}`;
  }
  if (value instanceof Date && Number.isNaN(value.getTime())) return '"invalid time"';
  return value === undefined ? 'null' : JSON.stringify(value);
}

/** The parts of a JSON document, without the space between them. @param json a valid document */
function* jsonTokens(json: string): Generator<string> {
  let at = 0;
  while (at < json.length) {
    const end = tokenEnd(json, at);
    const token = json.slice(at, end);
    if (token.trim() !== '') yield token;
    at = end;
  }
}

/** True where no list or object of the text is deeper than `depthMax` levels. Any text will do. */
export function isShallowJson(text: string, depthMax: number): boolean {
  let depth = 0;
  for (const token of jsonTokens(text)) {
    if (token === '{' || token === '[') depth++;
    else if (token === '}' || token === ']') depth--;
    if (depth > depthMax) return false;
  }
  return true;
}

/** The document with no space between its parts. */
export function compactJson(json: string): string {
  return [...jsonTokens(json)].join('');
}

/** Adds a JSON document to a line: `{"a": 1, "b": [true, null]}`. */
export function addJson(line: Line, json: string): void {
  let held: string | undefined;
  for (const token of jsonTokens(json)) {
    if (line.isCut) return;
    // A string is a key where a colon follows it.
    if (held !== undefined) line.add(token === ':' ? 'key' : 'string', held);
    held = token.startsWith('"') ? token : undefined;
    if (token === ':' || token === ',') line.add('plain', `${token} `);
    else if (held === undefined) line.add(roleOf(token), token);
  }
  if (held !== undefined) line.add('string', held);
}

function tokenEnd(json: string, start: number): number {
  const first = json.charAt(start);
  if (first === '"') return stringEnd(json, start);
  if ('{}[]:,'.includes(first)) return start + 1;
  const word = !isSpace(json.charCodeAt(start));
  let at = start + 1;
  while (
    at < json.length &&
    isSpace(json.charCodeAt(at)) !== word &&
    !'{}[]:,"'.includes(json.charAt(at))
  )
    at++;
  return at;
}

function stringEnd(json: string, start: number): number {
  let at = start + 1;
  while (at < json.length && json.charAt(at) !== '"') at += json.charAt(at) === '\\' ? 2 : 1;
  return at + 1;
}

function isSpace(code: number): boolean {
  return code === 0x20 || (code >= 0x09 && code <= 0x0d);
}

function roleOf(token: string): Role {
  if (/^[{}[\]]/.test(token)) return 'plain';
  return /^[-\d]/.test(token) ? 'number' : 'literal';
}
