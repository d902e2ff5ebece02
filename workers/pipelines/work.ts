// Does the work of one run: finds out what steps have to do, has their jobs done,
// and says as events what came of it. What is to be done is decided in plan.ts, and
// when in hold.ts; whatever it needs again follows from the state.
import { BodyError, framesOf, outputOf, shown } from './bodies.js';
import type { Pipeline, Step } from './definition.js';
import { store, type RunEvent } from './events.js';
import { ExpressionError, type Scope } from './expression.js';
import { jobIdOf, type JobOfRun } from './job-id.js';
import { stateOf, type Action } from './plan.js';
import { JobRefused, type JobEnd, type JobOrder, type RunJobs } from './ports.js';
import { inputOf, openStep, scopeOf, type JobInput } from './scope.js';
import type { Attempt, Instance, RunState } from './state.js';
import { evaluateTemplate } from './template.js';

export interface WorkParts {
  readonly run: string;
  readonly pipeline: Pipeline;
  readonly state: RunState;
  readonly jobs: RunJobs;
  /** Writes an event, unless another one holds the run by now. */
  readonly append: (event: RunEvent) => Promise<void>;
}

export class RunWork {
  readonly pipeline: Pipeline;
  readonly #parts: WorkParts;
  readonly #state: RunState;
  /** Jobs that are being submitted, by their ids. */
  readonly #submitting = new Map<string, Promise<void>>();
  /** What the `forEach` of each step gave. */
  readonly #items = new Map<string, readonly unknown[] | null>();
  #scope: { readonly scope: Scope; readonly done: number } | undefined;

  constructor(parts: WorkParts) {
    this.pipeline = parts.pipeline;
    this.#parts = parts;
    this.#state = parts.state;
  }

  /** Does one thing that follows from the state. @throws {MlmError} where the session is lost */
  async do(action: Action): Promise<void> {
    const { append } = this.#parts;
    switch (action.do) {
      case 'open':
        return append(await this.#open(action.step));
      case 'skip':
        return append({ event: 'skipped', step: action.step, reason: action.reason });
      case 'start': {
        const { service } = this.#step(action.step);
        return append({ event: 'started', ...pick(action), service });
      }
      case 'stop':
        return this.#stop(action);
      case 'finish':
        return append(await this.#finished(action.state));
    }
  }

  /** Submits a job that is under way; doing so again does nothing. */
  submit(attempt: Attempt): Promise<void> {
    const job = this.#jobOf(attempt);
    const id = jobIdOf(job);
    const submitting = this.#submit(job).finally(() => this.#submitting.delete(id));
    this.#submitting.set(id, submitting);
    return submitting;
  }

  /** A job has ended. */
  async end(end: JobEnd): Promise<void> {
    const { job } = end;
    if (this.#instance(job)?.phase !== 'running') return;
    switch (end.kind) {
      case 'succeeded':
        return this.#succeeded(end);
      case 'failed':
        return this.#failed(job, end.reason, end.reason.startsWith('bad-input:'));
      case 'expired':
        return this.#failed(job, `not done within its time limit: ${end.reason}`, false);
      case 'cancelled':
        // Where the run is cancelled, this is told by whoever does that.
        if (this.#state.phase === 'cancelling') return;
        return this.#failed(job, `its job was cancelled: ${end.reason}`, true);
    }
  }

  /** What became of the jobs that are under way may be lost: they are done anew. */
  async gap(): Promise<void> {
    for (const attempt of this.#state.running()) {
      await this.#parts.jobs.cancel(this.#step(attempt.step).service, this.#jobOf(attempt));
      await this.#parts.append({ event: 'lost', ...pick(attempt) });
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

  async #submit(job: JobOfRun): Promise<void> {
    const { jobs } = this.#parts;
    const { service } = this.#step(job.step);
    try {
      const order = await this.#orderOf(job);
      // Once the run is cancelled, the stopping of this job may have been told already.
      if (this.#state.phase !== 'cancelling') await jobs.submit(job, { ...order, service });
    } catch (error) {
      const { message, isFinal } = expected(error);
      await this.#failed(job, message, isFinal);
    }
  }

  async #orderOf(job: JobOfRun): Promise<Omit<JobOrder, 'service'>> {
    const { inputAs, retry, timeLimitMs, wants } = this.#step(job.step);
    const delayMs = (this.#instance(job)?.failures ?? 0) > 0 ? retry.delayMs : 0;
    const deadlineMs = timeLimitMs === undefined ? undefined : timeLimitMs + delayMs;
    const { input, subject } = await this.#inputOf(job);
    const frames = await framesOf(input, inputAs, (file) => this.#parts.jobs.fetch(file));
    return { subject, frames, delayMs, deadlineMs, wants };
  }

  async #inputOf({ step: name, index }: JobOfRun): Promise<JobInput> {
    const step = this.#step(name);
    const scope = this.#scopeNow();
    let items = this.#items.get(name);
    if (items === undefined) {
      // Another one opened the step: what it has to do follows from the same.
      items = (await openStep(step, scope)).items ?? null;
      this.#items.set(name, items);
    }
    return inputOf(step, scope, items, index);
  }

  async #stop(attempt: Attempt): Promise<void> {
    const job = this.#jobOf(attempt);
    await this.#submitting.get(jobIdOf(job));
    await this.#parts.jobs.cancel(this.#step(job.step).service, job);
    await this.#parts.append({ event: 'stopped', ...pick(attempt) });
  }

  async #finished(state: 'succeeded' | 'failed' | 'cancelled'): Promise<RunEvent> {
    const { reason } = this.#state;
    if (state === 'cancelled') return { event: 'finished', state, reason, outputs: {} };
    if (state === 'failed') {
      return { event: 'finished', state, reason: failureText(this.#state), outputs: {} };
    }
    try {
      const outputs: Record<string, unknown> = {};
      for (const { name, value } of this.pipeline.outputs.values()) {
        outputs[name] = (await evaluateTemplate(value, this.#scopeNow())) ?? null;
      }
      return { event: 'finished', state, reason: '', outputs: store(outputs) };
    } catch (error) {
      const message = `the outputs: ${expected(error).message}`;
      return { event: 'finished', state: 'failed', reason: message, outputs: {} };
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
    const event = { ...pick(job), worker, output: store(output) };
    return this.#parts.append({ event: 'succeeded', ...event });
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
    await this.#parts.append({ event: 'failed', ...pick(job), reason, input, final });
  }

  /** What expressions see; it changes when a step is done. */
  #scopeNow(): Scope {
    const steps = [...this.#state.steps.values()];
    const done = steps.filter(({ phase }) => phase === 'succeeded').length;
    if (this.#scope?.done !== done) {
      this.#scope = { scope: scopeOf(this.#parts.run, this.#state), done };
    }
    return this.#scope.scope;
  }

  #step(name: string): Step {
    const step = this.pipeline.steps.get(name);
    if (step === undefined) throw new Error(`the pipeline has no step "${name}"`);
    return step;
  }

  #jobOf(attempt: Attempt): JobOfRun {
    return { run: this.#parts.run, ...pick(attempt) };
  }

  /** The instance that a job is of; undefined where that is at another attempt. */
  #instance({ step, index, attempt }: JobOfRun): Instance | undefined {
    if (!this.#state.steps.has(step)) return undefined;
    const instance = stateOf(this.#state, step).instances[index];
    return instance?.attempt === attempt ? instance : undefined;
  }
}

function pick({ step, index, attempt }: Attempt): Attempt {
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
function failureText({ failure }: RunState): string {
  if (failure === undefined) return '';
  const { step, index, isEach, reason, input } = failure;
  const item = isEach && index !== null ? `, item ${index}` : '';
  return `step "${step}"${item}: ${reason}${input === '' ? '' : `; its input was ${input}`}`;
}
