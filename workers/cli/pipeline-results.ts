// What a run gave, for people and for programs; its files written to a folder. The
// names of files come from workers too: none of them leads out of the folder.
import { mkdir, writeFile } from 'node:fs/promises';
import { basename, extname, join } from 'node:path';
import { CommandError } from '../../client/commands/shared/failure.js';
import { safeText } from '../../client/commands/shared/safe-text.js';
import { size } from '../../client/commands/shared/units.js';
import type { FetchFile } from '../pipelines/bodies.js';
import type { Pipeline } from '../pipelines/definition.js';
import { FileValue, mapFiles } from '../pipelines/file-value.js';

/** The outputs of a run by name; a file that was written is `{ name, bytes, path }`. */
export type Results = Readonly<Record<string, unknown>>;

/** A file as it is shown. */
interface ShownFile {
  readonly name: string;
  readonly bytes: number;
  /** Where it was written. */
  readonly path?: string;
}

/** The results as they are, without a look at their files. */
export function resultsOf(outputs: unknown): Results {
  return mapFiles(outputs ?? {}, ({ name, bytes }): ShownFile => ({ name, bytes })) as Results;
}

/**
 * Writes each output to a file of a folder, which is made where it is not there: files as
 * they are, a text as `.txt`, anything else as `.json`.
 *
 * @returns the results, with the paths of their files
 * @throws {CommandError} where the folder or a file cannot be written; {BodyError} where a
 *   file is not kept any more
 */
export async function writeResults(
  folder: string,
  { outputs: definitions }: Pipeline,
  outputs: Readonly<Record<string, unknown>>,
  fetch: FetchFile,
): Promise<Results> {
  const files = new OutputFolder(folder);
  const results: Record<string, unknown> = {};
  for (const [name, output] of Object.entries(outputs)) {
    const wanted = definitions.get(name)?.file;
    const paths = new Map<FileValue, string>();
    for (const file of filesIn(output)) {
      paths.set(file, await files.write(wanted ?? nameOf(file, name), await fetch(file)));
    }
    const shown = mapFiles(output, (file) => shownFile(file, paths.get(file)));
    results[name] = shown;
    if (isFiles(output)) continue;
    const isText = typeof output === 'string';
    const text = isText ? output : `${JSON.stringify(shown, null, 2)}\n`;
    const own = paths.size === 0 ? wanted : undefined;
    await files.write(own ?? `${name}.${isText ? 'txt' : 'json'}`, Buffer.from(text));
  }
  return results;
}

/** The results in lines: `name: value`. */
export function resultLines(results: Results): string[] {
  return Object.entries(results).map(([name, value]) => `${name}: ${shown(value)}`);
}

function shown(value: unknown): string {
  if (typeof value === 'string') return safeText(value, '\n');
  if (Array.isArray(value) && value.length > 0 && value.every(isShownFile)) {
    return value.map(shown).join(', ');
  }
  if (!isShownFile(value)) return safeText(JSON.stringify(value));
  const { name, bytes, path } = value;
  return safeText(path ?? `${name === '' ? 'a file' : name} (${size(bytes)}; --out writes it)`);
}

function isShownFile(value: unknown): value is ShownFile {
  if (typeof value !== 'object' || value === null) return false;
  return 'name' in value && 'bytes' in value && Object.keys(value).length <= 3;
}

function shownFile({ name, bytes }: FileValue, path: string | undefined): ShownFile {
  return { name, bytes, ...(path !== undefined && { path }) };
}

function filesIn(value: unknown): FileValue[] {
  const files: FileValue[] = [];
  mapFiles(value, (file) => files.push(file));
  return files;
}

/** True for a file, and for a list of nothing but files. */
function isFiles(value: unknown): boolean {
  if (value instanceof FileValue) return true;
  return (
    Array.isArray(value) && value.length > 0 && value.every((item) => item instanceof FileValue)
  );
}

function nameOf({ name }: FileValue, output: string): string {
  return name === '' ? output : name;
}

/** A folder in which no file of one run overwrites another one. */
class OutputFolder {
  readonly #folder: string;
  readonly #written = new Set<string>();

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** @returns the path @throws {CommandError} */
  async write(wanted: string, octets: Uint8Array): Promise<string> {
    const path = join(this.#folder, this.#freeName(plainName(wanted)));
    try {
      await mkdir(this.#folder, { recursive: true });
      await writeFile(path, octets);
    } catch (cause) {
      throw new CommandError(`cannot write ${path}: ${(cause as Error).message}`, undefined, cause);
    }
    return path;
  }

  /** `clip.mp4`, `clip-2.mp4`, `clip-3.mp4` … */
  #freeName(name: string): string {
    const end = extname(name);
    const start = name.slice(0, name.length - end.length);
    let free = name;
    for (let count = 2; this.#written.has(free); count++) free = `${start}-${count}${end}`;
    this.#written.add(free);
    return free;
  }
}

/** The last part of a path, as a name that is harmless in a folder and on a terminal. */
function plainName(name: string): string {
  const last = basename(name.replaceAll('\\', '/')).replace(/[\p{C}:*?"<>|]/gu, '_');
  const visible = last.replace(/^\.+/, '').slice(-100);
  return visible === '' ? 'file' : visible;
}
