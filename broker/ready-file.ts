// The ready file: where a launcher that started the broker finds out that it
// listens, where, and as which process. It appears whole or not at all, and goes
// when the broker does.
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';

/**
 * Writes the ready file as one JSON object: `{"pid": 1, "endpoints": ["tcp://…"]}`.
 *
 * @throws {Error} naming the file, where it cannot be written
 */
export function writeReadyFile(path: string, endpoints: readonly string[]): void {
  const partial = `${path}.${process.pid}`;
  try {
    writeFileSync(partial, `${JSON.stringify({ pid: process.pid, endpoints })}\n`);
    renameSync(partial, path);
  } catch (cause) {
    rmSync(partial, { force: true });
    throw new Error(`cannot write the ready file ${path}: ${(cause as Error).message}`, { cause });
  }
}

/**
 * Removes the ready file, unless it is another process's by now.
 *
 * @throws {Error} naming the file, where it cannot be removed
 */
export function removeReadyFile(path: string): void {
  try {
    if (pidIn(path) === process.pid) rmSync(path, { force: true });
  } catch (cause) {
    throw new Error(`cannot remove the ready file ${path}: ${(cause as Error).message}`, { cause });
  }
}

/** The process that a ready file names; undefined where it is gone, or is none. */
function pidIn(path: string): unknown {
  try {
    return (JSON.parse(readFileSync(path, 'utf8')) as { pid?: unknown } | null)?.pid;
  } catch {
    return undefined;
  }
}
