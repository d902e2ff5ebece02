// Requests of a service that need no worker of their own, because their workers
// keep results: one whose result is known is answered with it; one that asks for
// what another one is being run for waits for that one's outcome. It says who is
// answered with what; runs and requests as such are the business of service.ts and
// requests.ts. A service whose workers keep no results costs nothing here.
import { inputOf } from './input.js';
import type { Message } from './message.js';
import type { KeptResult, Result, ServiceResults } from './results.js';
import { PriorityLine, WaitingLine } from './waiting-line.js';

/** Under what a worker keeps results. */
export interface CacheTerms {
  /** Stands for all that the result depends on beside the request. */
  readonly version: string;
  /** How old a result may be, ms; Infinity for any age. */
  readonly maxAgeMs: number;
}

/** What becomes of a request that another one was run for. */
export type Outcome =
  | { readonly kind: 'result'; readonly result: Result }
  /** It is known from earlier. */
  | { readonly kind: 'kept'; readonly kept: KeptResult }
  /** Nobody can do it. */
  | { readonly kind: 'bad-input'; readonly worker: string; readonly reason: string };

/** Requests for the same, of which one is run. */
interface Run {
  /** The one that is run, or will be: it has a worker, or waits for one. */
  leader: Message | undefined;
  /** The version of the worker that has it; undefined while it waits. */
  version: string | undefined;
  readonly followers: PriorityLine;
  /** Followers whose time to wait was over while the leader had a worker. */
  overdue: Message[];
}

/** What is known of a request to workers that keep results. */
export interface Share {
  /** The hash of what it asks for. */
  readonly input: string;
  /** True where it is not to be answered with an earlier result. */
  readonly fresh: boolean;
  /** The run that it leads or follows. */
  run: Run | undefined;
  /** The version under which its result is kept, while a worker has it. */
  version: string | undefined;
  /** What it is about to be answered with. */
  outcome: Outcome | undefined;
  overdue: boolean;
}

/** The queue whose requests these are. */
export interface SharingHost {
  readonly results: () => ServiceResults;
  /** Gives a request its outcome. @returns false where that is lost: it has to be run */
  readonly end: (message: Message, outcome: Outcome) => boolean;
  /** Has a request wait for a worker, at its place in the line. */
  readonly putBack: (message: Message) => void;
  /** From now on only the deadline of a request counts. */
  readonly watchDeadline: (message: Message) => void;
  /** The time of a request is over. */
  readonly expire: (message: Message) => void;
  /** Has `turn` called soon. */
  readonly again: () => void;
}

/** Requests that are answered before others have their turn. */
const ANSWERED_AT_ONCE = 500;

export class Sharing {
  readonly #host: SharingHost;
  readonly #runs = new Map<string, Run>();
  /** Those that are about to be answered. */
  readonly #answers = new WaitingLine();
  #left = ANSWERED_AT_ONCE;
  #answering = false;

  constructor(host: SharingHost) {
    this.#host = host;
  }

  /** True while so many are to be answered that no more should be looked for. */
  get isBusy(): boolean {
    return this.#answers.length >= ANSWERED_AT_ONCE;
  }

  /**
   * A request could be given to workers, or wait for one.
   *
   * @param offered what the workers that could do it keep results under
   * @returns true where it needs none now: it is answered, or waits for another one's outcome
   */
  spare(message: Message, offered: readonly CacheTerms[]): boolean {
    const share = offered.length === 0 ? undefined : shareOf(message);
    if (share === undefined || share.fresh) return false;
    const results = this.#host.results();
    for (const { version, maxAgeMs } of offered) {
      const kept = results.find(version, share.input, maxAgeMs);
      if (kept === undefined) continue;
      this.#answer(message, share, { kind: 'kept', kept });
      return true;
    }
    const run = this.#runs.get(share.input);
    if (run === undefined || !mayFollow(message, run, offered)) return false;
    follow(message, share, run);
    return true;
  }

  /** A request waits for a worker: others that ask for the same may wait for its outcome. */
  wait(message: Message): void {
    const { share } = message;
    if (share === undefined || share.fresh || this.isSpared(message)) return;
    if (this.#runs.has(share.input)) return;
    this.#lead(message, share, undefined);
  }

  /**
   * A worker is about to be given a request.
   *
   * @param terms what that worker keeps results under; undefined where it keeps none
   * @returns true where the request does not need it, as with `spare`
   */
  take(message: Message, terms: CacheTerms | undefined): boolean {
    const share = terms === undefined ? undefined : shareOf(message);
    if (share === undefined || terms === undefined) {
      this.leave(message);
      return false;
    }
    const { version, maxAgeMs } = terms;
    const run = this.#runs.get(share.input);
    const kept = share.fresh
      ? undefined
      : this.#host.results().find(version, share.input, maxAgeMs);
    if (kept !== undefined) {
      const outcome: Outcome = { kind: 'kept', kept };
      if (run?.leader === message) this.#settle(run, share, outcome);
      this.#answer(message, share, outcome);
      return true;
    }
    if (run?.version === undefined) this.#lead(message, share, version);
    else if (run.version === version && !share.fresh) {
      follow(message, share, run);
      return true;
    }
    // Where the run is of another version, or nothing earlier will do, it runs beside that.
    share.version = version;
    return false;
  }

  /** A worker has done a request: its result is kept, and answers those that asked for the same. */
  succeeded({ share }: Message, result: Result): void {
    if (share?.version === undefined) return;
    this.#host.results().keep(share.version, share.input, result);
    if (share.run !== undefined) this.#settle(share.run, share, { kind: 'result', result });
  }

  /** Nobody can do what a request asks for; nor what those ask that asked for the same. */
  refused({ share }: Message, worker: string, reason: string): void {
    if (share?.version === undefined || share.run === undefined) return;
    this.#settle(share.run, share, { kind: 'bad-input', worker, reason });
  }

  /** A request is not run any more, or has come to its end: the next one for the same is run. */
  leave(message: Message): void {
    const { share } = message;
    if (share === undefined) return;
    const { run } = share;
    share.version = undefined;
    share.outcome = undefined;
    share.run = undefined;
    if (run?.leader === message) this.#leadNext(run, share.input);
  }

  /** True for a request that waits for another one's outcome, or is about to be answered. */
  isSpared(message: Message): boolean {
    const { share } = message;
    if (share === undefined) return false;
    return share.outcome !== undefined || (share.run !== undefined && share.run.leader !== message);
  }

  /**
   * A request has waited longer than it may.
   *
   * @returns true where it goes on to wait: what it asks for is being run, and only its deadline counts
   */
  outwaits(message: Message, nowMs: number): boolean {
    const { share, doneByMs } = message;
    if (share === undefined || !this.isSpared(message)) return false;
    if (share.outcome !== undefined) return true;
    const { run } = share;
    if (run?.version === undefined || (doneByMs > 0 && doneByMs <= nowMs)) return false;
    if (!share.overdue) run.overdue.push(message);
    share.overdue = true;
    this.#host.watchDeadline(message);
    return true;
  }

  /** Others had their turn: some more are answered. */
  turn(): void {
    this.#left = ANSWERED_AT_ONCE;
    this.#answerSome();
  }

  #lead(message: Message, share: Share, version: string | undefined): void {
    let run = this.#runs.get(share.input);
    if (run === undefined) {
      run = { leader: undefined, version, followers: new PriorityLine(), overdue: [] };
      this.#runs.set(share.input, run);
    }
    // Another one that was to lead still waits for a worker, and is looked at when it gets one.
    const { leader } = run;
    if (leader?.share !== undefined && leader !== message) leader.share.run = undefined;
    run.leader = message;
    run.version = version;
    share.run = run;
  }

  /** The leader of a run is gone: the most urgent of the others takes its place. */
  #leadNext(run: Run, input: string): void {
    const { overdue } = run;
    run.overdue = [];
    run.version = undefined;
    run.leader = run.followers.shift();
    while (run.leader?.share?.overdue === true) run.leader = run.followers.shift();
    if (run.leader === undefined) this.#runs.delete(input);
    else this.#host.putBack(run.leader);
    for (const message of overdue) {
      if (!message.gone && message.share?.run === run) this.#host.expire(message);
    }
  }

  /** A run is over, with an outcome for all that follow it. */
  #settle(run: Run, led: Share, outcome: Outcome): void {
    this.#runs.delete(led.input);
    led.run = undefined;
    for (let next = run.followers.shift(); next !== undefined; next = run.followers.shift()) {
      this.#queueAnswer(next, next.share as Share, outcome);
    }
    this.#answerSome();
  }

  #answer(message: Message, share: Share, outcome: Outcome): void {
    this.#queueAnswer(message, share, outcome);
    this.#answerSome();
  }

  #queueAnswer(message: Message, share: Share, outcome: Outcome): void {
    share.run = undefined;
    share.outcome = outcome;
    this.#answers.push(message);
  }

  /** One answer may lead to the next (requests of one key): they are given here, one after another. */
  #answerSome(): void {
    if (this.#answering) return;
    this.#answering = true;
    while (this.#left > 0) {
      const message = this.#answers.shift();
      if (message === undefined) break;
      this.#left--;
      this.#end(message, message.share as Share);
    }
    this.#answering = false;
    if (this.#answers.length > 0) this.#host.again();
  }

  #end(message: Message, share: Share): void {
    const outcome = share.outcome as Outcome;
    share.outcome = undefined;
    if (!this.#host.end(message, outcome)) this.#host.putBack(message);
  }
}

/** True where a request may wait for the outcome of a run, and is not served later for it. */
function mayFollow(
  { priority, job }: Message,
  { leader, version }: Run,
  offered: readonly CacheTerms[],
): boolean {
  if (leader === undefined) return false;
  if (version !== undefined) return offered.some((terms) => terms.version === version);
  // One that waits itself must be first in line for every worker that would do this one.
  return priority <= leader.priority && (job || !leader.job);
}

function follow(message: Message, share: Share, run: Run): void {
  share.run = run;
  share.overdue = false;
  run.followers.push(message);
}

/** What there is to know of a request; undefined for one that cannot be compared with others. */
function shareOf(message: Message): Share | undefined {
  if (message.share !== undefined) return message.share;
  const input = inputOf(message);
  if (input === undefined) return undefined;
  const { fresh = false } = (message.wants ?? {}) as { readonly fresh?: boolean };
  message.share = {
    input,
    fresh,
    run: undefined,
    version: undefined,
    outcome: undefined,
    overdue: false,
  };
  return message.share;
}
