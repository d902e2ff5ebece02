// The ready file: where a launcher that started the broker finds out that it
// listens, where, and as which process. It appears whole or not at all, and goes
// when the broker does.
import { renameSync, rmSync, writeFileSync } from 'node:fs';

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

export function removeReadyFile(path: string): void {
  rmSync(path, { force: true });
}
