// Group commit: whatever changed since the last commit becomes durable together,
// and only then may anybody be told or given anything. While one commit is under
// way the next group gathers. This file knows no engine: those who changed
// something are told how far their changes are durable.
import type { Logger } from './log.js';
import type { Store } from './store/store.js';

/** Someone with changes to make durable: a stream, a mailbox, a service. */
export interface Committer {
  /** Hands what gathered to the store. @returns a mark of how far that is */
  seal(): number;
  /** Everything up to `mark` is durable. */
  committed(mark: number): void;
}

interface Member {
  readonly committer: Committer;
  readonly mark: number;
}

export class Commits {
  readonly #store: Store;
  readonly #log: Logger;
  readonly #afterCommit: () => void;
  #gathering = new Set<Committer>();
  #underWay: Promise<void> | undefined;

  /** @param afterCommit called when a commit under way has ended, once its members were told */
  constructor(store: Store, log: Logger, afterCommit: () => void) {
    this.#store = store;
    this.#log = log;
    this.#afterCommit = afterCommit;
  }

  /** Says that `committer` has changes. */
  touch(committer: Committer): void {
    this.#gathering.add(committer);
  }

  /** Commits what gathered, unless a commit is under way: then it will follow that one. */
  commit(): void {
    while (this.#underWay === undefined && this.#gathering.size > 0) {
      const members: Member[] = [];
      for (const committer of this.#gathering) members.push({ committer, mark: committer.seal() });
      this.#gathering.clear();
      const durable = this.#store.commit();
      if (durable === undefined) tell(members);
      else this.#underWay = this.#await(durable, members);
    }
  }

  /** Resolves when nothing waits for a commit. */
  async settled(): Promise<void> {
    this.commit();
    while (this.#underWay !== undefined) await this.#underWay;
  }

  async #await(durable: Promise<void>, members: Member[]): Promise<void> {
    try {
      await durable;
      this.#underWay = undefined;
      tell(members);
    } catch (cause) {
      this.#underWay = undefined;
      this.#log.error('a commit failed', { cause: String(cause) });
    }
    this.commit();
    this.#afterCommit();
  }
}

function tell(members: readonly Member[]): void {
  for (const { committer, mark } of members) committer.committed(mark);
}
