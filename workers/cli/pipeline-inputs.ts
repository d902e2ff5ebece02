// The inputs of a run from a command line: `-i name=value`, `-i name=@file`, and
// values without a name, which go to the inputs in their order. What is wrong is told
// all at once; nothing is sent.
import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { CommandError, EXIT } from '../../client/commands/shared/failure.js';
import type { InputDefinition } from '../pipelines/definition.js';
import { checkInputs, type InputFile, type Inputs } from '../pipelines/inputs.js';

type Definitions = ReadonlyMap<string, InputDefinition>;

/** A value that was written for an input. */
interface Written {
  readonly name: string;
  readonly text: string;
}

/**
 * Reads what was written.
 *
 * @param named each as `name=value` or `name=@file`
 * @param values for the inputs that are not named, in the order of the pipeline
 * @throws {CommandError} with all that is wrong
 */
export async function readInputs(
  definitions: Definitions,
  named: readonly string[],
  values: readonly string[],
): Promise<Inputs> {
  const wrong: string[] = [];
  const written = named.flatMap((text) => writtenAs(text, wrong));
  written.push(...placeValues(definitions, written, values, wrong));
  const read: Record<string, unknown> = {};
  for (const { name, text } of written) {
    const definition = definitions.get(name);
    try {
      const value = definition === undefined ? text : await valueOf(definition, text);
      const before = Object.hasOwn(read, name) ? read[name] : undefined;
      if (definition?.type === 'files') {
        read[name] = [...(Array.isArray(before) ? (before as unknown[]) : []), value];
      } else if (before === undefined) read[name] = value;
      else wrong.push(`input "${name}" was given twice`);
    } catch (error) {
      wrong.push(`input "${name}": ${(error as Error).message}`);
      read[name] = undefined;
    }
  }
  const unread = new Set(Object.keys(read).filter((name) => read[name] === undefined));
  const checked = checkInputs(definitions, read);
  wrong.push(...checked.wrong.filter((line) => ![...unread].some((name) => isOf(line, name))));
  if (wrong.length > 0) throw new CommandError(wrong.join('; '), EXIT.usage);
  return checked.values;
}

/** True for a complaint about an input of which something else was told already. */
function isOf(line: string, name: string): boolean {
  return line === `input "${name}" is missing`;
}

function writtenAs(text: string, wrong: string[]): Written[] {
  const at = text.indexOf('=');
  if (at > 0) return [{ name: text.slice(0, at), text: text.slice(at + 1) }];
  wrong.push(`-i takes name=value or name=@file, not "${text}"`);
  return [];
}

/** Gives values to the inputs that have none; a list of files takes all that are left. */
function placeValues(
  definitions: Definitions,
  written: readonly Written[],
  values: readonly string[],
  wrong: string[],
): Written[] {
  const left = [...values];
  const placed: Written[] = [];
  const taken = new Set(written.map(({ name }) => name));
  for (const { name, type } of definitions.values()) {
    if (taken.has(name)) continue;
    const texts = left.splice(0, type === 'files' ? left.length : 1);
    const isFile = type === 'file' || type === 'files';
    placed.push(...texts.map((text) => ({ name, text: isFile ? `@${text}` : text })));
  }
  if (left.length > 0) wrong.push(`there is no input left for "${left.join('", "')}"`);
  return placed;
}

/** @throws {Error} that says what is wrong with it */
async function valueOf({ name, type }: InputDefinition, text: string): Promise<unknown> {
  // Two of them are one that is meant.
  const isPath = text.startsWith('@') && !text.startsWith('@@');
  if (type === 'file' || type === 'files') {
    if (isPath) return fileAt(text.slice(1));
    throw new Error(`it is a file: write ${name}=@PATH`);
  }
  const value = isPath
    ? (await contentOf(text.slice(1))).toString('utf8')
    : text.replace(/^@@/, '@');
  switch (type) {
    case 'string':
      return value;
    case 'number':
      return numberIn(value);
    case 'boolean':
      if (value === 'true' || value === 'false') return value === 'true';
      throw new Error(`it is true or false, not "${value}"`);
    case 'json':
      return jsonIn(value);
  }
}

function numberIn(text: string): number {
  const value = text.trim() === '' ? NaN : Number(text);
  if (Number.isFinite(value)) return value;
  throw new Error(`it is a number, not "${text}"`);
}

function jsonIn(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (cause) {
    throw new Error(`it is JSON: ${(cause as Error).message}`, { cause });
  }
}

async function fileAt(path: string): Promise<InputFile> {
  return { name: basename(path), content: await contentOf(path) };
}

async function contentOf(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (cause) {
    throw new Error(`cannot read ${path}: ${(cause as Error).message}`, { cause });
  }
}
