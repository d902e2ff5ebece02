// The data directory: makes it, locks it, and says whether it is one at all. Who
// has the lock stands in directory-lock.ts; what is in the databases is not its
// business.
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createHash } from 'node:crypto';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { DirectoryLock, isOfLock, LOCK_NAME_BYTES } from './directory-lock.js';

/** The version of everything that is written into a data directory. */
export const FORMAT = 3;
const MARKER = 'malamute.json';
const UNFINISHED_MARKER = 'malamute.json.new';
const SOCKET_PATH_MAX = 100;
const ELSEWHERE = 'choose another directory (--data, MLM_DATA)';

/** A data directory that cannot be used; the message says why and what to do. */
export class DataDirectoryError extends Error {
  override readonly name = 'DataDirectoryError';
}

export class DataDirectory {
  readonly path: string;
  readonly #lock: DirectoryLock;

  private constructor(path: string, lock: DirectoryLock) {
    this.path = path;
    this.#lock = lock;
  }

  /**
   * Takes a data directory, making it where there is none.
   *
   * @throws {DataDirectoryError} where it is another program's, of another
   *   format, in use, or not to be written to
   */
  static async take(path: string): Promise<DataDirectory> {
    const asked = resolve(path);
    attempt(`cannot make the data directory ${asked}`, () => makeFolder(asked));
    // One name for each directory, whatever links lead to it.
    const full = realpathSync(asked);
    const lock = await takeLock(full);
    try {
      checkFormat(full);
    } catch (error) {
      await lock.release();
      throw error;
    }
    return new DataDirectory(full, lock);
  }

  /** Where a file of the directory lies. */
  file(name: string): string {
    return join(this.path, name);
  }

  async release(): Promise<void> {
    await this.#lock.release();
  }
}

/** Makes what there is not of a path, one folder after the other: `recursive` never returns in /proc. */
function makeFolder(path: string): void {
  const missing: string[] = [];
  for (let at = path; !existsSync(at); at = dirname(at)) missing.unshift(at);
  for (const folder of missing) {
    try {
      mkdirSync(folder);
    } catch (error) {
      // Another broker may be making it too.
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
  if (!statSync(path).isDirectory()) throw new Error('it is not a directory');
}

function checkFormat(path: string): void {
  const marker = join(path, MARKER);
  if (!existsSync(marker)) {
    const others = readdirSync(path).filter(
      (name) => name !== UNFINISHED_MARKER && !isOfLock(name),
    );
    if (others.length > 0) {
      throw new DataDirectoryError(
        `${path} is not a data directory of this broker (it holds ${others[0] ?? ''}); choose an empty one`,
      );
    }
    attempt(`cannot write to the data directory ${path}`, () => writeMarker(path));
    return;
  }
  const format = readFormat(marker);
  if (format === FORMAT) return;
  throw new DataDirectoryError(
    `${path} has format ${format ?? 'unknown'}, this broker reads format ${FORMAT}; ` +
      'run the version that wrote it, or choose another directory',
  );
}

function readFormat(marker: string): number | undefined {
  try {
    const { format } = JSON.parse(readFileSync(marker, 'utf8')) as { format?: unknown };
    return typeof format === 'number' ? format : undefined;
  } catch {
    return undefined;
  }
}

/** It appears whole or not at all: the disk may be full. */
function writeMarker(path: string): void {
  const unfinished = join(path, UNFINISHED_MARKER);
  try {
    writeFileSync(unfinished, `${JSON.stringify({ format: FORMAT })}\n`, { flush: true });
    renameSync(unfinished, join(path, MARKER));
  } catch (error) {
    rmSync(unfinished, { force: true });
    throw error;
  }
}

async function takeLock(path: string): Promise<DirectoryLock> {
  let lock: DirectoryLock | undefined;
  try {
    lock = await DirectoryLock.take(lockFolder(path));
  } catch (cause) {
    throw failure(`cannot lock the data directory ${path}`, cause);
  }
  if (lock !== undefined) return lock;
  throw new DataDirectoryError(
    `${path} is in use by another broker; stop that one, or ${ELSEWHERE}`,
  );
}

/** A socket's path is short; a directory that lies deep is locked from elsewhere. */
function lockFolder(path: string): string {
  if (Buffer.byteLength(path) + 1 + LOCK_NAME_BYTES <= SOCKET_PATH_MAX) return path;
  const name = createHash('sha256').update(path).digest('hex').slice(0, 24);
  const folder = join(tmpdir(), `malamute-${name}`);
  makeFolder(folder);
  return folder;
}

function attempt(what: string, action: () => void): void {
  try {
    action();
  } catch (cause) {
    throw failure(what, cause);
  }
}

function failure(what: string, cause: unknown): DataDirectoryError {
  return new DataDirectoryError(`${what}: ${(cause as Error).message}; ${ELSEWHERE}`, { cause });
}
