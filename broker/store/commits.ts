// Group commit: whatever changed since the last commit becomes durable together,
// and only then may anybody be told or given anything. While one commit is under
// way the next group gathers. This file knows no engine: those who changed
// something are told how far their changes are durable.
import type { Logger } from '../log.js';
import type { Store } from './store.js';

/** Someone with changes to make durable: a stream, a mailbox, a service. */
export interface Committer {
  /** Hands what gathered to the store. @returns a mark of how far that is */
  seal(): number;
  /** Everything up to `mark` is durable. */
  committed(mark: number): void;
  /** What was sealed up to `mark` and was not durable before never will be. */
  failed(mark: number, why: string): void;
}

interface Member {
  readonly committer: Committer;
  readonly mark: number;
}

export interface CommitEvents {
  /** The first change since the last commit: `commit` is to be called soon. */
  gathering(): void;
  /** A commit failed, and what it held is to be tried again: `commit` is to be called in a while. */
  retry(): void;
  /** A commit that was under way has ended, and its members were told. */
  ended(): void;
}

export class Commits {
  readonly #store: Store;
  readonly #log: Logger;
  readonly #events: CommitEvents;
  #gathering = new Set<Committer>();
  /** Those whose changes failed: they take part in the next commit, whoever asks for it. */
  readonly #late = new Set<Committer>();
  #underWay: Promise<void> | undefined;
  /** Commits that failed, one after another. */
  #failures = 0;

  constructor(store: Store, log: Logger, events: CommitEvents) {
    this.#store = store;
    this.#log = log;
    this.#events = events;
  }

  /** Says that `committer` has changes. */
  touch(committer: Committer): void {
    if (this.#gathering.size === 0) this.#events.gathering();
    this.#gathering.add(committer);
  }

  /** Commits what gathered, unless a commit is under way: then it will follow that one. */
  commit(): void {
    while (this.#underWay === undefined && this.#gathering.size > 0) {
      const members: Member[] = [];
      for (const committer of new Set([...this.#late, ...this.#gathering])) {
        members.push({ committer, mark: committer.seal() });
      }
      this.#late.clear();
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
    const failure = await durable.then(
      () => undefined,
      (cause: unknown) => ({ cause }),
    );
    this.#underWay = undefined;
    if (failure === undefined) {
      this.#recovered();
      tell(members);
    } else {
      const isAwaited = this.#gathering.size > 0;
      this.#fail(members, failure.cause);
      // What is only to be tried again must not be tried again and again.
      if (!isAwaited && this.#gathering.size > 0) {
        this.#events.retry();
        this.#events.ended();
        return;
      }
    }
    this.commit();
    this.#events.ended();
  }

  #fail(members: readonly Member[], cause: unknown): void {
    const why = cause instanceof Error ? cause.message : String(cause);
    if (this.#failures++ === 0) {
      this.#log.error('the store takes nothing: what clients send is refused until it does', {
        why,
      });
    }
    for (const { committer, mark } of members) {
      committer.failed(mark, why);
      this.#late.add(committer);
    }
  }

  #recovered(): void {
    if (this.#failures === 0) return;
    this.#log.info('the store takes messages again', { failedCommits: this.#failures });
    this.#failures = 0;
  }
}

function tell(members: readonly Member[]): void {
  for (const { committer, mark } of members) committer.committed(mark);
}
