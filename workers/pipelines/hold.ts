// Holds one run: reads its events, does what follows from them, and writes what
// came of it as events again, until it is over. It keeps nothing that is not in the
// log, so that another one can go on at any moment; and it stops where the log says
// that another one has.
import { randomUUID } from 'node:crypto';
import { BodyError, framesOf, outputOf, shown } from './bodies.js';
import { requirePipeline, type Pipeline, type Step } from './definition.js';
import { store, type LoggedEvent, type RunEvent } from './events.js';
import { ExpressionError, type Scope } from './expression.js';
import type { JobOfRun } from './job-id.js';
import { plan, stateOf, type Action } from './plan.js';
import { JobRefused, type JobEnd, type JobGap, type RunJobs, type RunLog } from './ports.js';
import { PipelineError } from './problem.js';
import { inputOf, openStep, scopeOf, type JobInput } from './scope.js';
import { RunState, type Instance } from './state.js';
import { evaluateTemplate } from './template.js';

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
  /** Told of each event that counts, once this one holds the run. */
  readonly onEvent?: (state: RunState) => void;
}

export class Holding {
  /** Marks what it writes. */
  readonly id = randomUUID();
  readonly #parts: HoldingParts;
  readonly #log: RunLog;
  readonly #over = new AbortController();
  /** What was begun already; what follows from the state is not begun twice. */
  readonly #begun = new Set<string>();
  /** Jobs that are being submitted. */
  readonly #submitting = new Map<string, Promise<void>>();
  readonly #items = new Map<string, readonly unknown[] | null>();
  #pipeline: Pipeline | undefined;
  #state = new RunState([]);
  #scope: { readonly scope: Scope; readonly done: number } | undefined;
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
    this.#write({ event: 'taken', jobsAfter: await this.#parts.jobs.lastSequence() });
    for await (const logged of events) {
      const end = this.#take(logged);
      if (end !== undefined) return end;
    }
    throw signal.reason;
  }

  /** Takes the next event into account. @returns how the holding ends, where it does */
  #take(logged: LoggedEvent): HoldingEnd | undefined {
    const { event, head } = logged;
    if (this.#state.submitted === undefined && event.event === 'submitted') this.#begin(event);
    const state = this.#state;
    state.apply(logged);
    if (!this.#holds) {
      if (event.event !== 'taken' || head.holding !== this.id) return undefined;
      if (state.submitted === undefined) return { kind: 'unknown' };
      this.#holds = true;
      if (!state.isOver) this.#takeUp();
    } else if (event.event === 'taken' && head.holding !== this.id) return { kind: 'taken' };
    this.#parts.onEvent?.(state);
    if (state.isOver) return { kind: 'over', state };
    if (event.event === 'started' && head.holding === this.id) this.#submitSoon(event);
    this.#act();
    return undefined;
  }

  /** The run begins: from now on it is known what it is. */
  #begin({ file, source }: Extract<RunEvent, { event: 'submitted' }>): void {
    try {
      this.#pipeline = requirePipeline(file, source);
      this.#state = new RunState(this.#pipeline.steps.keys());
    } catch (error) {
      if (!(error instanceof PipelineError)) throw error;
      const reason = `this orchestrator cannot read the pipeline:\n${error.message}`;
      this.#write({ event: 'finished', state: 'failed', reason, outputs: {} });
    }
  }

  /** Goes on where another one stopped. */
  #takeUp(): void {
    for (const [step, { instances }] of this.#state.steps) {
      for (const [index, { phase, attempt }] of instances.entries()) {
        if (phase === 'running') this.#submitSoon({ step, index, attempt });
      }
    }
    this.#run(this.#watch());
  }

  #act(): void {
    if (this.#pipeline === undefined) return;
    for (const action of plan(this.#pipeline, this.#state)) {
      const key = JSON.stringify(action);
      if (this.#begun.has(key)) continue;
      this.#begun.add(key);
      this.#run(this.#do(action));
    }
  }

  /** Lets something run beside; where it fails, the run is left to others. */
  #run(work: Promise<unknown>): void {
    work.catch((error: unknown) => this.#fail(error));
  }

  #write(event: RunEvent): void {
    this.#run(this.#append(event));
  }

  async #append(event: RunEvent): Promise<void> {
    if (!this.#over.signal.aborted) await this.#log.append(event);
  }

  async #do(action: Action): Promise<void> {
    switch (action.do) {
      case 'open':
        return this.#append(await this.#open(action.step));
      case 'skip':
        return this.#append({ event: 'skipped', step: action.step, reason: action.reason });
      case 'start': {
        const { step, index, attempt } = action;
        const { service } = this.#step(step);
        return this.#append({ event: 'started', step, index, attempt, service });
      }
      case 'stop':
        return this.#stop(action);
      case 'finish':
        return this.#append(await this.#finished(action.state));
    }
  }

  async #open(step: string): Promise<RunEvent> {
    try {
      const opening = await openStep(this.#step(step), this.#scopeNow());
      if (opening.skipped) return { event: 'skipped', step, reason: '"when" is not true' };
      this.#items.set(step, opening.items);
      return { event: 'opened', step, items: opening.items?.length ?? null };
    } catch (error) {
      const { message: reason } = expected(error);
      return { event: 'failed', step, index: null, attempt: 1, reason, input: '', final: true };
    }
  }

  #submitSoon(instance: Omit<JobOfRun, 'run'>): void {
    const job: JobOfRun = { run: this.#parts.run, ...pick(instance) };
    const submitting = this.#submit(job);
    this.#submitting.set(JSON.stringify(job), submitting);
    this.#run(submitting.finally(() => this.#submitting.delete(JSON.stringify(job))));
  }

  async #submit(job: JobOfRun): Promise<void> {
    const step = this.#step(job.step);
    const instance = this.#instance(job);
    let given: JobInput | undefined;
    try {
      given = await this.#inputOf(job);
      const frames = await framesOf(given.input, step.inputAs, (file) =>
        this.#parts.jobs.fetch(file),
      );
      if (this.#state.phase === 'cancelling' || this.#over.signal.aborted) return;
      const delayMs = (instance?.failures ?? 0) > 0 ? step.retry.delayMs : 0;
      const { timeLimitMs } = step;
      const deadlineMs = timeLimitMs === undefined ? undefined : timeLimitMs + delayMs;
      const { service } = step;
      const order = { service, subject: given.subject, frames, delayMs, deadlineMs };
      await this.#parts.jobs.submit(job, order);
    } catch (error) {
      const { message, isFinal } = expected(error);
      await this.#failed(job, message, isFinal);
    }
  }

  async #inputOf({ step: name, index }: JobOfRun): Promise<JobInput> {
    const step = this.#step(name);
    const scope = this.#scopeNow();
    let items = this.#items.get(name);
    if (items === undefined) {
      // Another one opened the step: what it had to do follows from the same.
      const opening = await openStep(step, scope);
      items = opening.items ?? null;
      this.#items.set(name, items);
    }
    return inputOf(step, scope, items, index);
  }

  async #stop(action: Extract<Action, { do: 'stop' }>): Promise<void> {
    const job: JobOfRun = { run: this.#parts.run, ...pick(action) };
    await this.#submitting.get(JSON.stringify(job));
    await this.#parts.jobs.cancel(this.#step(job.step).service, job);
    await this.#append({ event: 'stopped', ...pick(action) });
  }

  async #finished(state: 'succeeded' | 'failed' | 'cancelled'): Promise<RunEvent> {
    if (state !== 'succeeded') {
      const reason = state === 'failed' ? failureText(this.#state) : this.#state.reason;
      return { event: 'finished', state, reason, outputs: {} };
    }
    try {
      const outputs: Record<string, unknown> = {};
      for (const { name, value } of this.#pipeline?.outputs.values() ?? []) {
        outputs[name] = (await evaluateTemplate(value, this.#scopeNow())) ?? null;
      }
      return { event: 'finished', state, reason: '', outputs: store(outputs) };
    } catch (error) {
      const reason = `the outputs: ${expected(error).message}`;
      return { event: 'finished', state: 'failed', reason, outputs: {} };
    }
  }

  async #watch(): Promise<void> {
    const { run, jobs } = this.#parts;
    const { signal } = this.#over;
    for await (const end of jobs.watch(run, this.#state.jobsAfter ?? 0, signal)) {
      await this.#onEnd(end);
    }
  }

  async #onEnd(end: JobEnd | JobGap): Promise<void> {
    if (end.kind === 'gap') return this.#onGap();
    const { job } = end;
    if (this.#instance(job)?.phase !== 'running') return;
    switch (end.kind) {
      case 'succeeded':
        return this.#succeeded(end);
      case 'expired':
        return this.#failed(job, `not done within its time limit: ${end.reason}`, false);
      case 'cancelled':
        // Where the run is cancelled, its end is told by whoever does that.
        if (this.#state.phase === 'cancelling') return;
        return this.#failed(job, `its job was cancelled: ${end.reason}`, true);
      case 'failed':
        return this.#failed(job, end.reason, end.reason.startsWith('bad-input:'));
    }
  }

  async #succeeded(end: Extract<JobEnd, { kind: 'succeeded' }>): Promise<void> {
    const { job, worker } = end;
    let output: unknown;
    try {
      output = outputOf(end, this.#step(job.step).outputAs);
    } catch (error) {
      return this.#failed(job, expected(error).message, true);
    }
    return this.#append({ event: 'succeeded', ...pick(job), worker, output: store(output) });
  }

  /** @param isFinal where trying again would not help */
  async #failed(job: JobOfRun, reason: string, isFinal: boolean): Promise<void> {
    const { attempts } = this.#step(job.step).retry;
    const failures = (this.#instance(job)?.failures ?? 0) + 1;
    const final = isFinal || failures >= attempts;
    const input = await this.#inputOf(job).then(
      (given) => shown(given.input),
      () => '',
    );
    await this.#append({ event: 'failed', ...pick(job), reason, input, final });
  }

  /** What became of jobs that are under way may have been lost: they are done anew. */
  async #onGap(): Promise<void> {
    const { run, jobs } = this.#parts;
    for (const [step, { instances }] of this.#state.steps) {
      for (const [index, { phase, attempt }] of instances.entries()) {
        if (phase !== 'running') continue;
        const instance = { step, index, attempt };
        await jobs.cancel(this.#step(step).service, { run, ...instance });
        await this.#append({ event: 'lost', ...instance });
      }
    }
  }

  #scopeNow(): Scope {
    const done = [...this.#state.steps.values()].filter(
      ({ phase }) => phase === 'succeeded',
    ).length;
    if (this.#scope?.done !== done) {
      this.#scope = { scope: scopeOf(this.#parts.run, this.#state), done };
    }
    return this.#scope.scope;
  }

  #step(name: string): Step {
    const step = this.#pipeline?.steps.get(name);
    if (step === undefined) throw new Error(`the pipeline has no step "${name}"`);
    return step;
  }

  /** The instance that a job is of; undefined where that is at another attempt. */
  #instance({ step, index, attempt }: JobOfRun): Instance | undefined {
    if (!this.#state.steps.has(step)) return undefined;
    const instance = stateOf(this.#state, step).instances[index];
    return instance?.attempt === attempt ? instance : undefined;
  }
}

function pick({ step, index, attempt }: Omit<JobOfRun, 'run'>): Omit<JobOfRun, 'run'> {
  return { step, index, attempt };
}

/** What a pipeline or a worker did wrong; anything else is thrown on. */
function expected(error: unknown): { readonly message: string; readonly isFinal: boolean } {
  if (error instanceof JobRefused) return { message: error.message, isFinal: false };
  if (error instanceof ExpressionError || error instanceof BodyError) {
    return { message: error.message, isFinal: true };
  }
  throw error;
}

/** Why a run failed, and which input made it. */
export function failureText({ failure }: RunState): string {
  if (failure === undefined) return '';
  const { step, index, isEach, reason, input } = failure;
  const item = isEach && index !== null ? `, item ${index}` : '';
  return `step "${step}"${item}: ${reason}${input === '' ? '' : `; its input was ${input}`}`;
}
