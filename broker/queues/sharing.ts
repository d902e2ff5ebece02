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
  /** The hash of what they ask for. */
  readonly input: string;
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
  /** Runs whose leader waits for a worker, by input. */
  readonly #waiting = new Map<string, Run>();
  /** Those whose leader has one, by input and version. */
  readonly #running = new Map<string, Run>();
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
    const run = this.#runFor(message, share, offered);
    if (run !== undefined) follow(message, share, run);
    return run !== undefined;
  }

  /** The run whose outcome a request may wait for. */
  #runFor({ priority, job }: Message, { input }: Share, offered: readonly CacheTerms[]) {
    for (const { version } of offered) {
      const run = this.#running.get(runName(input, version));
      if (run !== undefined) return run;
    }
    const waiting = this.#waiting.get(input);
    const leader = waiting?.leader;
    // It must be first in line for every worker that would do this request.
    const isFirst = leader !== undefined && priority <= leader.priority && (job || !leader.job);
    return isFirst ? waiting : undefined;
  }

  /** A request waits for a worker: others that ask for the same may wait for its outcome. */
  wait(message: Message): void {
    const { share } = message;
    if (share === undefined || share.fresh || this.isSpared(message)) return;
    if (!this.#waiting.has(share.input)) this.#waiting.set(share.input, newRun(message, share));
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
    const kept = share.fresh
      ? undefined
      : this.#host.results().find(version, share.input, maxAgeMs);
    if (kept !== undefined) {
      const outcome: Outcome = { kind: 'kept', kept };
      if (share.run !== undefined) this.#settle(share.run, outcome);
      this.#answer(message, share, outcome);
      return true;
    }
    const run = this.#running.get(runName(share.input, version));
    if (run === undefined) this.#lead(message, share, version);
    else if (!share.fresh) {
      this.leave(message);
      follow(message, share, run);
      return true;
    }
    share.version = version;
    return false;
  }

  /** A worker has done a request: its result is kept, and answers those that asked for the same. */
  succeeded({ share }: Message, result: Result): void {
    if (share?.version === undefined) return;
    this.#host.results().keep(share.version, share.input, result);
    if (share.run !== undefined) this.#settle(share.run, { kind: 'result', result });
  }

  /** Nobody can do what a request asks for; nor what those ask that asked for the same. */
  refused({ share }: Message, worker: string, reason: string): void {
    if (share?.version === undefined || share.run === undefined) return;
    this.#settle(share.run, { kind: 'bad-input', worker, reason });
  }

  /** A request is not run any more, or has come to its end: the next one for the same is run. */
  leave(message: Message): void {
    const { share } = message;
    if (share === undefined) return;
    const { run } = share;
    share.version = undefined;
    share.outcome = undefined;
    share.run = undefined;
    if (run?.leader === message) this.#leadNext(run);
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

  /** A worker gets a request, and with it the run that waits for one. */
  #lead(message: Message, share: Share, version: string): void {
    const { input } = share;
    const run = this.#waiting.get(input) ?? newRun(message, share);
    if (run.leader !== message) replaceLeader(run, message);
    this.#waiting.delete(input);
    run.version = version;
    this.#running.set(runName(input, version), run);
  }

  /** The leader of a run is gone: the most urgent of the others takes its place. */
  #leadNext(run: Run): void {
    const { overdue } = run;
    this.#forget(run);
    run.overdue = [];
    run.version = undefined;
    run.leader = run.followers.shift();
    while (run.leader?.share?.overdue === true) run.leader = run.followers.shift();
    if (run.leader !== undefined) this.#waitAgain(run, run.leader);
    for (const message of overdue) {
      if (!message.gone && message.share?.run === run) this.#host.expire(message);
    }
  }

  /** A run waits for a worker, with those for the same that wait for one already. */
  #waitAgain(run: Run, leader: Message): void {
    const others = this.#waiting.get(run.input);
    if (others === undefined) this.#waiting.set(run.input, run);
    else {
      replaceLeader(others, leader);
      for (let next = run.followers.shift(); next !== undefined; next = run.followers.shift()) {
        if (next.share?.overdue === false) follow(next, next.share, others);
      }
    }
    this.#host.putBack(leader);
  }

  #forget({ input, version }: Run): void {
    if (version === undefined) this.#waiting.delete(input);
    else this.#running.delete(runName(input, version));
  }

  /** A run is over, with an outcome for all that follow it. */
  #settle(run: Run, outcome: Outcome): void {
    this.#forget(run);
    if (run.leader?.share !== undefined) run.leader.share.run = undefined;
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

function runName(input: string, version: string): string {
  return `${input} ${version}`;
}

function newRun(leader: Message, share: Share): Run {
  const { input } = share;
  share.run = { input, leader, version: undefined, followers: new PriorityLine(), overdue: [] };
  return share.run;
}

/** The one that was to lead goes on to wait for a worker, and is looked at again when it gets one. */
function replaceLeader(run: Run, leader: Message): void {
  if (run.leader?.share !== undefined) run.leader.share.run = undefined;
  run.leader = leader;
  if (leader.share !== undefined) leader.share.run = run;
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
