// Opens an LMDB database for the store, and has its failures said by us: as
// errors with words that tell what to do, and not by LMDB on standard error.
// What is kept in the database is not its business.
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import * as lmdb from 'lmdb';
import type { RootDatabase } from 'lmdb';
import { checkDatabase } from './check-database.js';
import { DataDirectoryError } from './data-directory.js';
import { DISK_FULL, logPathsOf } from './database-file.js';

/** LMDB reports the first where the disk took less than it was given, the second where nothing. */
const [EIO, ENOSPC] = [5, 28];
/** What LMDB calls back with where nothing has failed; the second one says nothing new. */
const STATUS_OK_MAX = 2;
const NOTHING_TO_TELL = 1;
/** Octets that a new database takes, and some more. */
const NEW_BYTES = 128 * 1024;

export interface OpenDatabase {
  readonly root: RootDatabase<Buffer, Buffer>;
  /** Why a commit failed, in words. @param error what it was rejected with */
  readonly whyFailed: (error: unknown) => Promise<Error>;
}

/**
 * Opens a database.
 *
 * @param file where it lies; made where it is missing
 * @param flush whether a commit waits until the disk has it, or only until the
 *   operating system has
 * @throws {DataDirectoryError} where it cannot be opened; it was not changed
 */
export function openDatabase(file: string, { flush }: { flush: boolean }): OpenDatabase {
  try {
    if (!existsSync(file) || !existsSync(`${file}-lock`)) requireRoom(`${file}-new`);
    checkDatabase(file);
    const root = lmdb.open<Buffer, Buffer>({
      path: file,
      encoding: 'binary',
      keyEncoding: 'binary',
      maxDbs: 8,
      // A commit resolves when it is flushed, not before.
      overlappingSync: false,
      // Every commit is one explicit batch; the implicit ones leave promises that nobody can catch.
      eventTurnBatching: false,
      noSync: !flush,
    });
    const failures = new CommitFailures(root);
    return { root, whyFailed: (error) => failures.explain(error) };
  } catch (cause) {
    throw openingError(file, cause);
  }
}

/** LMDB maps a file of its own into memory, where a disk without room ends the process. */
function requireRoom(trial: string): void {
  try {
    writeFileSync(trial, Buffer.alloc(NEW_BYTES, 1));
  } finally {
    rmSync(trial, { force: true });
  }
}

/** A failure to open a database, or to read it, in words. */
export function openingError(file: string, cause: unknown): DataDirectoryError {
  if (cause instanceof DataDirectoryError) return cause;
  const { code, message } = cause as { code?: unknown; message: string };
  if (isDiskFull(code)) {
    return new DataDirectoryError(`cannot open ${file}: ${DISK_FULL}; make room, and try again`, {
      cause,
    });
  }
  // The system's own refusals have names; LMDB's have numbers, or none. Where what was
  // read is less than it says, that has a name, too.
  if (typeof code === 'string' && !code.startsWith('ERR_')) {
    return new DataDirectoryError(`cannot open ${file}: ${message}`, { cause });
  }
  // Without the database that they follow on, they are of no use, or worse.
  const logs = logPathsOf(file)
    .filter(existsSync)
    .map((path) => basename(path));
  return new DataDirectoryError(
    `${file} is damaged (${message}); restore it from a backup, or move it away to start empty` +
      (logs.length === 0 ? '' : `, in both cases together with ${logs.join(' and ')}`),
    { cause },
  );
}

function isDiskFull(code: unknown): boolean {
  return code === EIO || code === ENOSPC || code === 'ENOSPC';
}

/** What LMDB's writes run through: it calls `done` with a status, and hands over what that returns. */
interface Environment {
  startWriting?: (address: number, done: (status: number) => unknown) => void;
}

/**
 * LMDB tells of a commit that failed in three ways: the commit rejects, a promise
 * on its error rejects with the reason, and the reason is printed. The first is
 * enough: the status that makes it do the other two is kept here.
 */
class CommitFailures {
  readonly #isTold: boolean;
  /** Of the last commit that failed, until it is asked for. */
  #status: number | undefined;
  /** Who asked for it before it came. */
  #waiting: ((status: number) => void) | undefined;

  constructor(root: RootDatabase<Buffer, Buffer>) {
    const { env } = root as unknown as { env: Environment };
    const startWriting = env.startWriting?.bind(env);
    this.#isTold = startWriting !== undefined;
    if (startWriting === undefined) return;
    const quiet: typeof startWriting = (address, done) =>
      startWriting(address, (status) => {
        if (status >= 0 && status <= STATUS_OK_MAX) return done(status);
        this.#keep(status);
        return done(NOTHING_TO_TELL);
      });
    // Its own methods are read-only, so this one goes before them.
    Object.defineProperty(env, 'startWriting', { value: quiet });
  }

  #keep(status: number): void {
    // LMDB's C code has begun a line on standard error: ours come after it.
    if (status === ENOSPC) process.stderr.write('\n');
    if (this.#waiting === undefined) this.#status = status;
    else this.#waiting(status);
    this.#waiting = undefined;
  }

  /** Why a commit failed. @param error what it was rejected with */
  async explain(error: unknown): Promise<Error> {
    const cause = await this.#causeOf(error as FailedCommit);
    const { code, message } = cause as { code?: unknown; message: string };
    return new Error(isDiskFull(code) ? DISK_FULL : message, { cause });
  }

  async #causeOf(error: FailedCommit): Promise<unknown> {
    const { commitError } = error;
    // It was not LMDB that failed.
    if (commitError === undefined) return error;
    if (!this.#isTold) return commitError.catch((reason: unknown) => reason);
    const status = this.#status;
    this.#status = undefined;
    return errorOf(status ?? (await new Promise<number>((tell) => (this.#waiting = tell))));
  }
}

/** What LMDB rejects a commit with. */
interface FailedCommit {
  readonly message: string;
  /** Rejects with the reason, where LMDB itself was told of it. */
  readonly commitError?: Promise<never>;
}

/** LMDB's words for a status. */
function errorOf(status: number): unknown {
  const { nativeAddon } = lmdb as { nativeAddon?: { lmdbError(status: number): never } };
  try {
    nativeAddon?.lmdbError(status);
  } catch (error) {
    return error;
  }
  return Object.assign(new Error(`LMDB failed with status ${status}`), { code: status });
}
