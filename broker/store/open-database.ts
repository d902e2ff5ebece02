// Opens an LMDB database for the store, and has its failures said by us: as
// errors with words that tell what to do, and not by LMDB on standard error.
// What is kept in the database is not its business.
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { open, type RootDatabase } from 'lmdb';
import { checkDatabase } from './check-database.js';
import { DataDirectoryError } from './data-directory.js';
import { DISK_FULL } from './database-file.js';

/** LMDB reports the first where the disk took less than it was given, the second where nothing. */
const [EIO, ENOSPC] = [5, 28];
/** What LMDB calls back with where nothing has failed. */
const STATUS_OK_MAX = 2;
/** Octets that a new database takes, and some more. */
const NEW_BYTES = 128 * 1024;

/**
 * Opens a database.
 *
 * @param file where it lies; made where it is missing
 * @param flush whether a commit waits until the disk has it, or only until the
 *   operating system has
 * @throws {DataDirectoryError} where it cannot be opened; it was not changed
 */
export function openDatabase(
  file: string,
  { flush }: { flush: boolean },
): RootDatabase<Buffer, Buffer> {
  try {
    if (!existsSync(file) || !existsSync(`${file}-lock`)) requireRoom(`${file}-new`);
    checkDatabase(file);
    const root = open<Buffer, Buffer>({
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
    quieten(root);
    return root;
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
  // The system's own refusals have names; LMDB's have numbers, or none.
  if (typeof code === 'string') {
    return new DataDirectoryError(`cannot open ${file}: ${message}`, { cause });
  }
  return new DataDirectoryError(
    `${file} is damaged (${message}); restore it from a backup, or move it away to start empty`,
    { cause },
  );
}

/** Why a commit failed: LMDB tells it by a promise that hangs on the error. */
export async function commitError(error: unknown): Promise<Error> {
  const { commitError: told } = error as { commitError?: Promise<never> };
  const cause: unknown = await told?.catch((reason: unknown) => reason);
  const { code, message } = (cause ?? error) as { code?: unknown; message: string };
  return new Error(isDiskFull(code) ? DISK_FULL : message, { cause });
}

function isDiskFull(code: unknown): boolean {
  return code === EIO || code === ENOSPC || code === 'ENOSPC';
}

/** What LMDB's writes run through: it calls `done` with a status, and hands over what that returns. */
interface Environment {
  startWriting?: (address: number, done: (status: number) => unknown) => void;
}

interface Printer {
  error: (...what: unknown[]) => void;
}

/**
 * LMDB prints the error of a commit that fails, beside rejecting the commit. While
 * it handles such a status, in one go and without calling any of ours, what it
 * prints is left out.
 */
function quieten(root: RootDatabase<Buffer, Buffer>): void {
  const { env } = root as unknown as { env: Environment };
  const startWriting = env.startWriting?.bind(env);
  if (startWriting === undefined) return;
  const quiet: typeof startWriting = (address, done) =>
    startWriting(address, (status) => {
      if (status >= 0 && status <= STATUS_OK_MAX) return done(status);
      // Its C code has begun a line on standard error: ours come after it.
      if (status === ENOSPC) process.stderr.write('\n');
      return withoutErrors(() => done(status));
    });
  // Its own methods are read-only, so this one goes before them.
  Object.defineProperty(env, 'startWriting', { value: quiet });
}

function withoutErrors<Result>(action: () => Result): Result {
  const printer: Printer = globalThis.console;
  const print = printer.error;
  printer.error = () => undefined;
  try {
    return action();
  } finally {
    printer.error = print;
  }
}
