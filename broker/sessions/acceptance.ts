// The numbers under which a native client's sendings are accepted or refused.
// They are said in order, though the sendings may become durable in different
// places at different times: one that waits for the disk holds back the word
// about a later one that does not. No word is lost: where the client reads none,
// they wait here, joined as far as they can be.
import { STATUS, type NativeBrokerCommandName, type NativeCommand } from '../../protocol/index.js';
import type { Committer, Commits } from '../store/commits.js';
import { Deque } from '../deque.js';
import { fitting, type Refusal } from '../refusal.js';

/** Sendings that follow one another and become durable together. */
interface Run {
  readonly first: number;
  last: number;
  /** What makes them durable; undefined for those that were refused at once. */
  readonly commits: Commits | undefined;
  /** The sequence of the first one, for messages to a stream; 0 for others. */
  readonly sequence: number;
  /** The message that they repeat. */
  readonly repeats: { readonly lost: boolean } | undefined;
  outcome: 'waiting' | 'durable' | Refusal;
}

/** What is to be said about sendings that follow one another. */
interface Word {
  readonly first: number;
  last: number;
  readonly sequence: number;
  readonly refusal: Refusal | undefined;
}

/** How the client is told. */
export interface Listener {
  /** @returns false where the client has much unread: then this was not said */
  say(command: NativeCommand<NativeBrokerCommandName>): boolean;
  /** Has `resume` called when there may be room. */
  later(): void;
}

export class Acceptance {
  readonly #listener: Listener;
  readonly #runs = new Deque<Run>();
  readonly #words = new Deque<Word>();
  readonly #committers = new Map<Commits, Committer>();
  #lastNumber = 0;
  /** Sendings up to this one belong to commits that have begun. */
  #sealed = 0;
  /** Up to where all words were said but ACCEPTED, and up to where that was said. */
  #settled = 0;
  #said = 0;

  constructor(listener: Listener) {
    this.#listener = listener;
  }

  /** What waits to be said, or to become durable: more than one of each only where they cannot be joined. */
  get backlog(): number {
    return this.#runs.length + this.#words.length;
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
      previous?.outcome === 'waiting' &&
      previous.first > this.#sealed &&
      previous.commits === commits &&
      previous.repeats === undefined &&
      repeats === undefined &&
      sequence === sequenceAfter(previous);
    if (joins) previous.last = this.#lastNumber;
    else {
      const last = this.#lastNumber;
      this.#runs.push({ first, last, commits, sequence, repeats, outcome: 'waiting' });
    }
    commits.touch(this.#committerOf(commits));
  }

  /** Counts sendings that are refused; it is said after the word about those before them. */
  refuse(count: number, reason: string, statusCode: Refusal['statusCode'] = STATUS.FAILED): void {
    const first = this.#lastNumber + 1;
    const last = (this.#lastNumber += count);
    const outcome = { statusCode, reason };
    const nothing = { commits: undefined, sequence: 0, repeats: undefined };
    this.#runs.push({ first, last, ...nothing, outcome });
    this.#tell();
  }

  /** The client has read some of what was said: goes on. */
  resume(): void {
    if (this.#words.length > 0 || this.#settled > this.#said) this.#tell();
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
      if (run.commits !== commits || run.outcome !== 'waiting') continue;
      const lost =
        why ?? (run.repeats?.lost === true ? 'the one that it repeats is lost' : undefined);
      run.outcome =
        lost === undefined
          ? 'durable'
          : { statusCode: STATUS.FAILED, reason: `it could not be stored: ${lost}` };
    }
    this.#tell();
  }

  /** Says how far everything is settled, as far as the client reads it. */
  #tell(): void {
    this.#gatherWords();
    for (let word = this.#words.peek(); word !== undefined; word = this.#words.peek()) {
      const command = commandOf(word);
      if (command !== undefined && !this.#listener.say(command)) break;
      this.#settled = word.last;
      this.#words.shift();
    }
    if (this.#settled > this.#said) {
      const upTo = this.#settled;
      if (this.#listener.say({ name: 'ACCEPTED', upTo })) this.#said = upTo;
    }
    if (this.#words.length > 0 || this.#settled > this.#said) this.#listener.later();
  }

  /** Makes words of the runs that are settled, up to the first one that is not. */
  #gatherWords(): void {
    let run = this.#runs.peek();
    while (run !== undefined && run.outcome !== 'waiting') {
      const { first, last, outcome } = run;
      const refusal = outcome === 'durable' ? undefined : outcome;
      const sequence = refusal === undefined ? run.sequence : 0;
      const previous = this.#words.peekBack();
      if (previous !== undefined && continues(previous, sequence, refusal)) previous.last = last;
      else this.#words.push({ first, last, sequence, refusal });
      this.#runs.shift();
      run = this.#runs.peek();
    }
  }
}

/** The sequence with which sendings go on; 0 for those that go to no stream. */
function sequenceAfter({ first, last, sequence }: Pick<Word, 'first' | 'last' | 'sequence'>) {
  return sequence === 0 ? 0 : sequence + last - first + 1;
}

/** True where a word can be said together with the one before it. */
function continues(previous: Word, sequence: number, refusal: Refusal | undefined): boolean {
  if (previous.refusal === undefined || refusal === undefined) {
    return previous.refusal === refusal && sequence === sequenceAfter(previous);
  }
  const { statusCode, reason } = previous.refusal;
  return statusCode === refusal.statusCode && reason === refusal.reason;
}

/** What is said beside ACCEPTED; undefined for nothing. */
function commandOf(word: Word): NativeCommand<'REFUSED' | 'STORED'> | undefined {
  const { first, last, sequence, refusal } = word;
  const count = last - first + 1;
  if (refusal !== undefined) {
    const { statusCode, reason } = refusal;
    return { name: 'REFUSED', first, count, statusCode, statusReason: fitting(reason) };
  }
  return sequence === 0 ? undefined : { name: 'STORED', first, count, sequence };
}
