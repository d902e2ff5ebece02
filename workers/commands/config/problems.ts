// What is wrong with a configuration, in lines that name the place and say what
// to write instead. All problems are told at once; nothing is repaired.
import type { KeyPath, Place } from '../../yaml/place.js';

export { dotted, type KeyPath } from '../../yaml/place.js';

/** One thing that is wrong. */
export interface Problem {
  readonly path: KeyPath;
  readonly message: string;
  /** Whether the key itself is wrong, rather than its value. */
  readonly atKey?: boolean;
}

/** Tells where the value of a path stands, and what to call it. */
export interface Source {
  readonly name: string;
  /** @param atKey the place of the last key, rather than of its value */
  placeOf(path: KeyPath, atKey: boolean): Place | undefined;
  keyOf(path: KeyPath): string;
}

/** A configuration that cannot be used. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  /** One line for each thing that is wrong. */
  readonly lines: readonly string[];

  constructor(lines: readonly string[], options?: ErrorOptions) {
    super(lines.join('\n'), options);
    this.lines = lines;
  }
}

/** `workers.yaml:12:5: services.ocr.timeLimit: "90" is no duration`, in the order of the file. */
export function linesOf(problems: readonly Problem[], source: Source): string[] {
  return problems
    .map(({ path, message, atKey = false }) => {
      return { path, message, place: source.placeOf(path, atKey) };
    })
    .sort((a, b) => compare(a.place, b.place))
    .map(({ path, message, place }) => lineOf(source, place, path, message));
}

function lineOf(source: Source, place: Place | undefined, path: KeyPath, message: string): string {
  const where = place === undefined ? '' : `:${place.line}:${place.column}`;
  return [`${source.name}${where}`, source.keyOf(path), message]
    .filter((part) => part !== '')
    .join(': ');
}

function compare(a: Place | undefined, b: Place | undefined): number {
  if (a === undefined || b === undefined) return Number(b !== undefined) - Number(a !== undefined);
  return a.line - b.line || a.column - b.column;
}
