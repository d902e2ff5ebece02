// Finds a program that a peer of the benchmark needs, in PATH and where Debian
// puts servers. It runs nothing.
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** The full path of a program; undefined where it is not installed. */
export function findProgram(name: string): string | undefined {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/usr/bin'];
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path));
}
