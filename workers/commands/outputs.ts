// The files that a command has made, as the frames of a reply. It takes plain
// files from the folder of the job and nothing else: a link could lead anywhere.
import { constants } from 'node:fs';
import { open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { encodeBody } from '../../client/index.js';
import { failure, systemCodeOf } from './failure.js';

/** Files and folders that are looked at in the folder of one job. */
const ENTRIES_MAX = 100_000;

/** Files that make the reply: one by its name, or any number. */
export interface OutputFiles {
  /** Names relative to the folder of the job, with `*` and `?` for what is between slashes. */
  readonly patterns: readonly string[];
  /** The reply is the one file; otherwise a list of the names, and then the files. */
  readonly single: boolean;
}

/**
 * Reads the files.
 *
 * @param bytesMax octets of all of them together
 * @returns one frame; or the names as a MessagePack list, sorted, then a frame for each
 * @throws {JobError} `failed` where a file by name is missing, or they are too large
 */
export async function collectFiles(
  folder: string,
  { patterns, single }: OutputFiles,
  bytesMax: number,
): Promise<Buffer | Buffer[]> {
  const names = await namesOf(folder, patterns);
  const frames: Buffer[] = [];
  let room = bytesMax;
  for (const name of names) {
    const frame = await readPlainFile(folder, name, room);
    room -= frame.length;
    frames.push(frame);
  }
  if (single) return frames[0] as Buffer;
  return [...encodeBody(names), ...frames];
}

async function namesOf(folder: string, patterns: readonly string[]): Promise<string[]> {
  const literal = patterns.filter((pattern) => !isGlob(pattern));
  const globs = patterns.filter(isGlob).map(globExpression);
  const found = globs.length === 0 ? [] : await listFiles(folder);
  const matching = found.filter((name) => globs.some((glob) => glob.test(name)));
  const order = new Intl.Collator('en', { numeric: true });
  return [...new Set([...literal, ...matching])].sort((a, b) => order.compare(a, b));
}

/** Whether a name stands for any number of files. */
export function isGlob(name: string): boolean {
  return /[*?]/.test(name);
}

function globExpression(glob: string): RegExp {
  const escaped = glob.replaceAll(/[\\^$.|+()[\]{}]/g, '\\$&');
  return new RegExp(`^${escaped.replaceAll(/\*+/g, '[^/]*').replaceAll('?', '[^/]')}$`, 'u');
}

/** The names of all plain files, in folders too. Links are not followed. */
async function listFiles(root: string): Promise<string[]> {
  const names: string[] = [];
  const folders = [''];
  let seen = 0;
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    for (const entry of await readdir(join(root, folder), { withFileTypes: true })) {
      if (++seen > ENTRIES_MAX) throw failure('failed', 'the command has made too many files');
      const name = folder === '' ? entry.name : `${folder}/${entry.name}`;
      if (entry.isDirectory()) folders.push(name);
      else if (entry.isFile()) names.push(name);
    }
  }
  return names;
}

async function readPlainFile(folder: string, name: string, bytesMax: number): Promise<Buffer> {
  await checkFolders(folder, name);
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;
  const file = await open(join(folder, name), O_RDONLY | O_NOFOLLOW | O_NONBLOCK).catch(
    (cause: unknown) => {
      throw failure('failed', cannotRead(name, systemCodeOf(cause)), cause);
    },
  );
  try {
    const stats = await file.stat();
    if (!stats.isFile()) throw failure('failed', `the output "${name}" is no plain file`);
    if (stats.size > bytesMax) {
      throw failure('failed', `the output is too large: "${name}" has ${stats.size} octets`);
    }
    return await file.readFile();
  } finally {
    await file.close();
  }
}

/** The folders on the way to a file must be folders, too, and no links. */
async function checkFolders(folder: string, name: string): Promise<void> {
  const parts = name.split('/').slice(0, -1);
  const { O_RDONLY, O_NOFOLLOW, O_DIRECTORY } = constants;
  for (let depth = 1; depth <= parts.length; depth++) {
    const path = join(folder, ...parts.slice(0, depth));
    const handle = await open(path, O_RDONLY | O_NOFOLLOW | O_DIRECTORY).catch((cause: unknown) => {
      throw failure('failed', cannotRead(name, systemCodeOf(cause)), cause);
    });
    await handle.close();
  }
}

function cannotRead(name: string, code: string): string {
  switch (code) {
    case 'ENOENT':
      return `the command has not made the file "${name}"`;
    case 'ELOOP':
    case 'ENOTDIR':
      return `the output "${name}" is a link, or lies behind one`;
    default:
      return `the output "${name}" cannot be read (${code})`;
  }
}
