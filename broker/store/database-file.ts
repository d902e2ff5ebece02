// The file of a database as the operating system sees it: whether it is still the
// one that was opened, and whether there is any use in writing to it. It neither
// reads nor writes it.
import { statfsSync, statSync } from 'node:fs';
import { dirname } from 'node:path';

export const DISK_FULL = 'the disk is full, or fails';

export class DatabaseFile {
  readonly path: string;
  readonly #inode: number | undefined;
  /** Octets of the smallest commit that the disk did not take since it took one. */
  #tooMuch = Infinity;

  /** @param path a file that is there */
  constructor(path: string) {
    this.path = path;
    this.#inode = inodeOf(path);
  }

  /**
   * Says whether a commit can succeed, as far as that is known without trying: a
   * disk that was full and still is takes no more than it took then.
   *
   * @param bytes octets that it adds
   * @param removes whether it removes something, which makes room
   * @throws {Error} where it cannot, saying why
   */
  checkFor(bytes: number, removes: boolean): void {
    this.requireThere();
    if (bytes < this.#tooMuch || removes || this.#free() > bytes) return;
    throw new Error(DISK_FULL);
  }

  /** @throws {Error} where it is not the file any more that was opened */
  requireThere(): void {
    if (inodeOf(this.path) === this.#inode) return;
    throw new Error(
      `${this.path} was removed or replaced while the broker runs; put it back, or start the broker again`,
    );
  }

  /** A commit has succeeded. */
  took(): void {
    this.#tooMuch = Infinity;
  }

  /** The disk did not take a commit. @param bytes octets that it would have added */
  didNotTake(bytes: number): void {
    this.#tooMuch = Math.min(this.#tooMuch, bytes);
  }

  /** Octets that the disk has left. */
  #free(): number {
    const { bavail, bsize } = statfsSync(dirname(this.path));
    return bavail * bsize;
  }
}

function inodeOf(path: string): number | undefined {
  return statSync(path, { throwIfNoEntry: false })?.ino;
}
