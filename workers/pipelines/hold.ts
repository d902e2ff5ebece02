// Holds one run: reads its events, has done what follows from them, until the run is
// over. It keeps nothing that is not in the log, so that another one can go on at any
// moment; and it stops where the log says that another one has. How things are done
// stands in work.ts.
import { randomUUID } from 'node:crypto';
import { requirePipeline } from './definition.js';
import type { LoggedEvent, RunEvent } from './events.js';
import { jobIdOf } from './job-id.js';
import { plan } from './plan.js';
import type { RunJobs, RunLog } from './ports.js';
import { PipelineError } from './problem.js';
import type { Fractions } from './progress.js';
import { RunState } from './state.js';
import { RunWork } from './work.js';

/** How the holding of a run ended. */
export type HoldingEnd =
  /** The run is over. */
  | { readonly kind: 'over'; readonly state: RunState }
  /** Another one holds it now. */
  | { readonly kind: 'taken' }
  /** The log does not begin with the run. */
  | { readonly kind: 'unknown' };

export interface HoldingParts {
  readonly run: string;
  /** The log of the run. @param holding marks what is written to it */
  readonly log: (holding: string) => RunLog;
  readonly jobs: RunJobs;
  /** Told of each event that counts, and of how far jobs are, once this one holds the run. */
  readonly onNews?: (state: RunState, fractions: Fractions) => void;
}

export class Holding {
  /** Marks what it writes. */
  readonly id = randomUUID();
  readonly #parts: HoldingParts;
  readonly #log: RunLog;
  readonly #over = new AbortController();
  /** What was begun already; what follows from the state is not begun twice. */
  readonly #begun = new Set<string>();
  /** How far jobs are, for those who look on; nothing follows from it. */
  readonly #fractions = new Map<string, number>();
  #state = new RunState([]);
  #work: RunWork | undefined;
  /** True from its own first event on: it has read all that was before. */
  #holds = false;
  #fail: (error: unknown) => void = () => undefined;

  constructor(parts: HoldingParts) {
    this.#parts = parts;
    this.#log = parts.log(this.id);
  }

  /**
   * Holds the run until it is over, or another one holds it.
   *
   * @param stop leaves the run to others: rejects with its reason
   * @throws {MlmError} where the session is lost; the run is then left to others
   */
  async hold(stop: AbortSignal): Promise<HoldingEnd> {
    const failed = new Promise<never>((_, reject) => (this.#fail = reject));
    failed.catch(() => undefined);
    const onStop = (): void => this.#fail(stop.reason);
    if (stop.aborted) onStop();
    stop.addEventListener('abort', onStop);
    try {
      return await Promise.race([this.#follow(), failed]);
    } finally {
      stop.removeEventListener('abort', onStop);
      this.#over.abort();
    }
  }

  /** Ends the run, and the jobs that it has under way. */
  async cancel(reason: string): Promise<void> {
    await this.#log.append({ event: 'cancelling', reason });
  }

  async #follow(): Promise<HoldingEnd> {
    const { signal } = this.#over;
    const events = this.#log.read(signal);
    const jobsAfter = await this.#parts.jobs.lastSequence();
    this.#run(this.#append({ event: 'taken', jobsAfter }));
    for await (const logged of events) {
      const end = this.#take(logged);
      if (end !== undefined) return end;
    }
    throw signal.reason;
  }

  /** Takes the next event into account. @returns how the holding ends, where it does */
  #take(logged: LoggedEvent): HoldingEnd | undefined {
    const { event, head } = logged;
    if (event.event === 'submitted' && this.#state.submitted === undefined) this.#begin(event);
    const state = this.#state;
    state.apply(logged);
    const isOwn = head.holding === this.id;
    if (event.event === 'taken' && isOwn) {
      if (state.submitted === undefined) return { kind: 'unknown' };
      if (!this.#holds && !state.isOver) this.#takeUp();
      this.#holds = true;
    }
    if (!this.#holds) return undefined;
    if (event.event === 'taken' && !isOwn) return { kind: 'taken' };
    this.#parts.onNews?.(state, this.#fractions);
    if (state.isOver) return { kind: 'over', state };
    if (event.event === 'started' && isOwn) this.#submit(event);
    this.#act();
    return undefined;
  }

  /** The run begins: from now on it is known what it is. */
  #begin({ file, source }: Extract<RunEvent, { event: 'submitted' }>): void {
    const append = (event: RunEvent): Promise<void> => this.#append(event);
    try {
      const pipeline = requirePipeline(file, source);
      const state = (this.#state = new RunState(pipeline.steps.keys()));
      const { run, jobs } = this.#parts;
      this.#work = new RunWork({ run, pipeline, state, jobs, append });
    } catch (error) {
      if (!(error instanceof PipelineError)) throw error;
      const reason = `this orchestrator cannot read the pipeline:\n${error.message}`;
      this.#run(append({ event: 'finished', state: 'failed', reason, outputs: {} }));
    }
  }

  /** Goes on where another one stopped. */
  #takeUp(): void {
    for (const instance of this.#state.running()) this.#submit(instance);
    this.#run(this.#watch());
  }

  #submit(instance: { step: string; index: number; attempt: number }): void {
    if (this.#work !== undefined) this.#run(this.#work.submit(instance));
  }

  #act(): void {
    if (this.#work === undefined) return;
    for (const action of plan(this.#work.pipeline, this.#state)) {
      const key = JSON.stringify(action);
      if (this.#begun.has(key)) continue;
      this.#begun.add(key);
      this.#run(this.#work.do(action));
    }
  }

  async #watch(): Promise<void> {
    const { run, jobs } = this.#parts;
    const { signal } = this.#over;
    const onGap = (): void => this.#run(this.#work?.gap());
    for await (const news of jobs.watch(run, this.#state.jobsAfter ?? 0, onGap, signal)) {
      const id = jobIdOf(news.job);
      if (news.kind === 'progress') {
        this.#fractions.set(id, news.fraction);
        this.#parts.onNews?.(this.#state, this.#fractions);
      } else {
        this.#fractions.delete(id);
        await this.#work?.end(news);
      }
    }
  }

  /** Lets something run beside; where it fails, the run is left to others. */
  #run(work: Promise<unknown> | undefined): void {
    work?.catch((error: unknown) => this.#fail(error));
  }

  async #append(event: RunEvent): Promise<void> {
    if (!this.#over.signal.aborted) await this.#log.append(event);
  }
}
