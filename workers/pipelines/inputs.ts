// What a run is given, held against what its pipeline asks for: unknown names,
// missing ones, wrong types, all at once; defaults put in. It reads no files.
import type { InputDefinition } from './definition.js';
import { FileValue } from './file-value.js';
import type { InputType } from './shapes.js';
import { kindOf } from './template.js';

/** A file that a run is given. */
export interface InputFile {
  readonly name: string;
  readonly content: Uint8Array;
}

/** The inputs of a run by name: JSON values, and files. */
export type Inputs = Readonly<Record<string, unknown>>;

/** Values of all inputs that have one; and what is wrong, each a line. */
export interface CheckedInputs {
  readonly values: Inputs;
  readonly wrong: readonly string[];
}

/** Holds what is given against the definition, and puts the defaults in. */
export function checkInputs(
  definitions: ReadonlyMap<string, InputDefinition>,
  given: Inputs,
): CheckedInputs {
  const wrong: string[] = [];
  const known = [...definitions.keys()].join(', ');
  for (const name of Object.keys(given)) {
    if (definitions.has(name)) continue;
    wrong.push(`there is no input "${name}"; there ${known === '' ? 'are none' : `are ${known}`}`);
  }
  const values: Record<string, unknown> = {};
  for (const { name, type, default: fallback } of definitions.values()) {
    const value = Object.hasOwn(given, name) ? given[name] : fallback;
    const complaint = value === undefined ? 'is missing' : checkValue(type, value);
    if (complaint === undefined) values[name] = value;
    else wrong.push(`input "${name}" ${complaint}`);
  }
  return { values, wrong };
}

/** @returns what is wrong with a value of a type, as the end of a sentence */
export function checkValue(type: InputType, value: unknown): string | undefined {
  const holds: Readonly<Record<InputType, () => boolean>> = {
    string: () => typeof value === 'string',
    number: () => typeof value === 'number' && Number.isFinite(value),
    boolean: () => typeof value === 'boolean',
    json: () => true,
    file: () => isFile(value),
    files: () => Array.isArray(value) && value.every(isFile),
  };
  if (holds[type]()) return undefined;
  return `must be ${WORDS[type]}, not ${isFile(value) ? 'a file' : kindOf(value)}`;
}

const WORDS: Readonly<Record<InputType, string>> = {
  string: 'a text',
  number: 'a number',
  boolean: 'true or false',
  json: 'JSON',
  file: 'a file',
  files: 'a list of files',
};

/** True for a file: one to be sent, or one that the broker has. */
export function isFile(value: unknown): value is FileValue | InputFile {
  if (value instanceof FileValue) return true;
  if (typeof value !== 'object' || value === null) return false;
  const { name, content } = value as Partial<InputFile>;
  return typeof name === 'string' && content instanceof Uint8Array;
}
