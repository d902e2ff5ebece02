// What became of a handler that a test has run: its reply or its failure, and all
// that it said on the way. It holds and tells; it runs nothing.
import type { FailureClass, Labels, Progress } from '../../client/index.js';
import type { Body } from '../job.js';
import type { LogLine } from './recorded-log.js';

/** How a handler failed, as the broker would be told. */
export interface HandlerFailure {
  /** What becomes of the request: see `JobError`. */
  readonly class: FailureClass;
  /** The code of what was thrown, else its name: the requester's `workerCode`. */
  readonly code: string;
  /** `CODE: MESSAGE`, as the requester and the dead letters get it. */
  readonly reason: string;
}

/** How it ended. */
export type HandlerEnd =
  | { readonly kind: 'done'; readonly reply: Body }
  | { readonly kind: 'failed'; readonly thrown: unknown; readonly failure: HandlerFailure }
  | { readonly kind: 'taken'; readonly thrown: unknown };

/** All that a handler said while it ran. */
export interface HandlerWords {
  /** Every word about progress, in order. (A broker passes on about ten a second.) */
  readonly progress: readonly Progress[];
  /** The parts of the result that it emitted or yielded, in order. */
  readonly partials: readonly Body[];
  /** How often it called `extend`. */
  readonly extended: number;
  /** What the worker says of itself in the end. */
  readonly labels: Labels;
  /** What the handler logged, and the runtime for it. */
  readonly log: readonly LogLine[];
}

export class HandlerRun implements HandlerWords {
  readonly progress: readonly Progress[];
  readonly partials: readonly Body[];
  readonly extended: number;
  readonly labels: Labels;
  readonly log: readonly LogLine[];
  readonly #end: HandlerEnd;

  /** @internal See `runHandler`. */
  constructor(end: HandlerEnd, { progress, partials, extended, labels, log }: HandlerWords) {
    this.#end = end;
    this.progress = progress;
    this.partials = partials;
    this.extended = extended;
    this.labels = labels;
    this.log = log;
  }

  /**
   * `done`: there is a reply; `failed`: there is a failure; `taken`: the request was cancelled or
   * taken back before, and nobody asks what became of it.
   */
  get outcome(): 'done' | 'failed' | 'taken' {
    return this.#end.kind;
  }

  /**
   * The reply, as the requester gets it.
   *
   * @throws what the handler threw, or why the request was taken, where there is no reply
   */
  get reply(): Body {
    if (this.#end.kind === 'done') return this.#end.reply;
    throw this.#end.thrown;
  }

  /** How it failed; undefined where it did not. */
  get failure(): HandlerFailure | undefined {
    return this.#end.kind === 'failed' ? this.#end.failure : undefined;
  }

  /** What the handler threw, or why the request was taken; undefined where it is done. */
  get thrown(): unknown {
    return this.#end.kind === 'done' ? undefined : this.#end.thrown;
  }
}
