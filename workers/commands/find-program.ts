// Finds programs as a shell would: by their path, or by their name in the folders
// of PATH. It starts none.
import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/**
 * The path of a program.
 *
 * @param name a name to look for in PATH, or an absolute path
 * @param path the folders to look in, as the variable PATH has them
 * @returns undefined where there is none that can be run
 */
export function findProgram(name: string, path: string | undefined): string | undefined {
  if (name.includes('/')) return isProgram(name) ? name : undefined;
  const folders = (path ?? '').split(delimiter).filter((folder) => folder !== '');
  return folders.map((folder) => join(folder, name)).find(isProgram);
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
