// The numbers under which a native client's sendings are accepted. They are said
// in order, though the sendings may become durable in different places at
// different times: one that waits for the disk holds back the word about a later
// one that does not.
import { STATUS, type NativeBrokerCommandName, type NativeCommand } from '../../protocol/index.js';
import type { Committer, Commits } from '../store/commits.js';
import { Deque } from '../deque.js';

/** Sendings that follow one another and become durable together. */
interface Run {
  readonly first: number;
  last: number;
  readonly commits: Commits;
  /** The sequence of the first one, for messages to a stream; 0 for others. */
  readonly sequence: number;
  /** The message that they repeat. */
  readonly repeats: { readonly lost: boolean } | undefined;
  state: 'waiting' | 'durable' | 'settled';
}

export type Say = (command: NativeCommand<NativeBrokerCommandName>) => void;

export class Acceptance {
  readonly #say: Say;
  readonly #runs = new Deque<Run>();
  readonly #committers = new Map<Commits, Committer>();
  #lastNumber = 0;
  /** Sendings up to this one belong to commits that have begun. */
  #sealed = 0;
  #said = 0;

  /** @param say how the client is told */
  constructor(say: Say) {
    this.#say = say;
  }

  /**
   * Counts sendings that were taken up.
   *
   * @param commits what makes them durable
   * @param sequence the sequence of the first one, for messages to a stream
   * @param repeats for a message that came before: that one, which may be durable or on its
   *   way to be. Where it is lost, so is this one
   */
  accept(
    count: number,
    commits: Commits,
    sequence = 0,
    repeats?: { readonly lost: boolean },
  ): void {
    const first = this.#lastNumber + 1;
    this.#lastNumber += count;
    const previous = this.#runs.peekBack();
    const joins =
      sequence === 0 &&
      previous?.state === 'waiting' &&
      previous.first > this.#sealed &&
      previous.sequence === 0 &&
      previous.repeats === repeats &&
      previous.commits === commits;
    if (joins) previous.last = this.#lastNumber;
    else {
      const last = this.#lastNumber;
      this.#runs.push({ first, last, commits, sequence, repeats, state: 'waiting' });
    }
    commits.touch(this.#committerOf(commits));
  }

  /** Counts sendings that are refused, and says so at once. */
  refuse(count: number, statusReason: string, statusCode: number = STATUS.FAILED): void {
    const first = this.#lastNumber + 1;
    this.#lastNumber += count;
    this.#say({ name: 'REFUSED', first, count, statusCode, statusReason });
    const [commits] = this.#committers.keys();
    if (this.#runs.length === 0 || commits === undefined) this.#accepted(this.#lastNumber);
    else {
      const last = this.#lastNumber;
      const settled = { commits, sequence: 0, repeats: undefined, state: 'settled' } as const;
      this.#runs.push({ first, last, ...settled });
    }
  }

  #committerOf(commits: Commits): Committer {
    let committer = this.#committers.get(commits);
    if (committer === undefined) {
      committer = {
        seal: () => (this.#sealed = this.#lastNumber),
        committed: (mark) => this.#settle(commits, mark),
        failed: (mark, why) => this.#settle(commits, mark, why),
      };
      this.#committers.set(commits, committer);
    }
    return committer;
  }

  /** A commit ended: what it held up to a mark is durable, or never will be. */
  #settle(commits: Commits, mark: number, why?: string): void {
    for (const run of this.#runs) {
      if (run.first > mark) break;
      if (run.commits !== commits || run.state !== 'waiting') continue;
      const lost =
        why ?? (run.repeats?.lost === true ? 'the one that it repeats is lost' : undefined);
      run.state = lost === undefined ? 'durable' : 'settled';
      if (lost === undefined) continue;
      const count = run.last - run.first + 1;
      const statusReason = `it could not be stored: ${lost}`;
      this.#say({
        name: 'REFUSED',
        first: run.first,
        count,
        statusCode: STATUS.FAILED,
        statusReason,
      });
    }
    this.#tell();
  }

  /** Says how far everything is settled. */
  #tell(): void {
    let upTo = this.#said;
    let run = this.#runs.peek();
    while (run !== undefined && run.state !== 'waiting') {
      const { first, last, sequence, state } = run;
      if (sequence > 0 && state === 'durable') {
        this.#say({ name: 'STORED', first, count: last - first + 1, sequence });
      }
      upTo = last;
      this.#runs.shift();
      run = this.#runs.peek();
    }
    this.#accepted(upTo);
  }

  #accepted(upTo: number): void {
    if (upTo <= this.#said) return;
    this.#said = upTo;
    this.#say({ name: 'ACCEPTED', upTo });
  }
}
