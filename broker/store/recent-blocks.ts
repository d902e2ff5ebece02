// Blocks of streams that are durable in the commit log, and not in the database
// yet: they are read from memory until they are. It keeps them in order, stream by
// stream, and knows no files.
import type { Block } from '../../protocol/records.js';

interface Recent {
  readonly block: Block;
  /** The number of the commit that made it durable. */
  readonly commit: number;
}

export class RecentBlocks {
  readonly #byLog = new Map<number, Recent[]>();

  /** Adds a block behind all others of its log. */
  add(log: number, block: Block, commit: number): void {
    const recents = this.#byLog.get(log);
    if (recents === undefined) this.#byLog.set(log, [{ block, commit }]);
    else recents.push({ block, commit });
  }

  /** The blocks of a log, in order. */
  of(log: number): Block[] {
    return (this.#byLog.get(log) ?? []).map(({ block }) => block);
  }

  /** The first block of a log, where it begins after `sequence`. */
  firstAfter(log: number, sequence: number): Block | undefined {
    const first = this.#byLog.get(log)?.[0]?.block;
    return first !== undefined && first.first > sequence ? first : undefined;
  }

  /**
   * Finds a message, or the next one after it.
   *
   * @returns undefined where all blocks begin after `sequence`, or end before it
   */
  find(log: number, sequence: number): Block | undefined {
    const recents = this.#byLog.get(log);
    if (recents === undefined || (recents[0]?.block.first ?? 0) > sequence) return undefined;
    let [low, high] = [0, recents.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((recents[middle] as Recent).block.last < sequence) low = middle + 1;
      else high = middle;
    }
    return recents[low]?.block;
  }

  /** The database has what was committed up to this commit. */
  written(commit: number): void {
    for (const log of [...this.#byLog.keys()]) this.#drop(log, (recent) => recent.commit <= commit);
  }

  /** The blocks of a log that begin before this sequence are gone. */
  trimmed(log: number, below: number): void {
    this.#drop(log, ({ block }) => block.first < below);
  }

  #drop(log: number, isGone: (recent: Recent) => boolean): void {
    const recents = this.#byLog.get(log);
    if (recents === undefined) return;
    const kept = recents.findIndex((recent) => !isGone(recent));
    if (kept === -1) this.#byLog.delete(log);
    else recents.splice(0, kept);
  }
}
