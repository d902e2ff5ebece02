// The file of a database as the operating system sees it: whether it is still the
// one that was opened, and whether there is any use in writing to it. It neither
// reads nor writes it.
import { statfsSync, statSync } from 'node:fs';
import { dirname } from 'node:path';

export const DISK_FULL = 'the disk is full, or fails';

/** Where the commit log of a database lies. */
export function logPathsOf(file: string): readonly [string, string] {
  return [`${file}-log-1`, `${file}-log-2`];
}

export class DatabaseFile {
  readonly path: string;
  readonly #inode: number | undefined;
  /** The files without which it is not whole, by path. */
  readonly #beside: ReadonlyMap<string, number | undefined>;
  /** One of these that was not there any more when last looked for. */
  #missing: string | undefined;
  /** Octets of the smallest commit that the disk did not take since it took one. */
  #tooMuch = Infinity;

  /**
   * @param path a file that is there
   * @param beside files that are there, too, and without which it is not whole
   */
  constructor(path: string, beside: readonly string[] = []) {
    this.path = path;
    this.#inode = inodeOf(path);
    this.#beside = new Map(beside.map((each) => [each, inodeOf(each)]));
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

  /**
   * @throws {Error} where it is not the file any more that was opened, or one of those
   *   beside it was not when they were last looked for
   */
  requireThere(): void {
    if (this.#missing !== undefined) this.lookBeside();
    const gone = inodeOf(this.path) === this.#inode ? this.#missing : this.path;
    if (gone === undefined) return;
    throw new Error(
      `${gone} was removed or replaced while the broker runs; put it back, or start the broker again`,
    );
  }

  /** Looks for the files beside it; that is not done for each commit, for it takes its time. */
  lookBeside(): void {
    this.#missing = [...this.#beside].find(([path, inode]) => inodeOf(path) !== inode)?.[0];
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
