// Which files of a folder are pictures for the demonstration. It lists names
// and opens nothing.
import { readdirSync } from 'node:fs';

const PICTURE = /\.(png|jpe?g|webp)$/i;

/** The names of the pictures in a folder, sorted. @throws {Error} where it cannot be read */
export function picturesIn(folder: string): string[] {
  const entries = readdirSync(folder, { withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile() && PICTURE.test(entry.name))
    .map((entry) => entry.name)
    .sort();
}
