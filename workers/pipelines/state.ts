// The state of a run, made of its events and of nothing else. It is the same for
// everyone who reads them, in the same order; what is to be done next follows from
// it in plan.ts. Events that cannot be true any more change nothing: those of an
// orchestrator that lost the run, those that come twice.
import { restore, type LoggedEvent, type RunEvent } from './events.js';

type EventOf<Name extends RunEvent['event']> = Extract<RunEvent, { event: Name }>;
/** What only the orchestrator that has the run may say about its steps. */
type StepEvent = EventOf<
  'opened' | 'skipped' | 'failed' | 'started' | 'succeeded' | 'lost' | 'stopped'
>;

/** Where a run is. The last three are its ends. */
export type RunPhase = 'waiting' | 'running' | 'cancelling' | 'succeeded' | 'failed' | 'cancelled';

/**
 * Where a step is; `failed` where it as a whole failed, or one of its jobs did for good;
 * `stopped` where the run ended before it was done.
 */
export type StepPhase = 'waiting' | 'running' | 'succeeded' | 'skipped' | 'failed' | 'stopped';

/** Where a job of a step is. `ready` is one that is to be begun, at first or again. */
export type InstancePhase = 'ready' | 'running' | 'succeeded' | 'failed' | 'stopped';

/** One attempt to do one job of a step. */
export interface Attempt {
  readonly step: string;
  /** The place of its item, from 0; 0 without a `forEach`. */
  readonly index: number;
  /** From 1. */
  readonly attempt: number;
}

/** One job of a step: the only one, or one for each item. */
export interface Instance {
  phase: InstancePhase;
  /** The number of its attempt, from 1; each is a job of its own. */
  attempt: number;
  /** Attempts that failed, since the run was resumed last. */
  failures: number;
  /** Set where it succeeded. */
  output: unknown;
}

export interface StepState {
  phase: StepPhase;
  /** True where it has a job for each item of a list. */
  isEach: boolean;
  /** Empty until the step is opened. */
  instances: Instance[];
  /** How many of them are in each phase. */
  readonly counts: Record<InstancePhase, number>;
  /** No instance before this one is ready. */
  firstReady: number;
  reason: string;
}

/** What made a run fail first. */
export interface Failure {
  readonly step: string;
  /** Null where the step as a whole failed. */
  readonly index: number | null;
  readonly isEach: boolean;
  readonly reason: string;
  readonly input: string;
}

export class RunState {
  phase: RunPhase = 'waiting';
  /** Undefined until the first event. */
  submitted: EventOf<'submitted'> | undefined;
  pipeline = '';
  inputs: Readonly<Record<string, unknown>> = {};
  /** The sequence of the first event. */
  since = 0;
  /** When it was submitted, ms since 1970. */
  beganMs = 0;
  /** When the last event came, ms since 1970. */
  lastMs = 0;
  /** Who writes for the run now: only their events count. */
  holding: string | undefined;
  /** The last message of `$jobs` before any job of the run; undefined until it was taken. */
  jobsAfter: number | undefined;
  /** The id of the request by which an orchestrator gets the run. */
  request = '';
  /** Why it is to end, or has ended without success. */
  reason = '';
  failure: Failure | undefined;
  outputs: unknown;
  readonly steps: ReadonlyMap<string, StepState>;

  constructor(steps: Iterable<string>) {
    this.steps = new Map([...steps].map((name) => [name, newStep()]));
  }

  get isOver(): boolean {
    return this.phase === 'succeeded' || this.phase === 'failed' || this.phase === 'cancelled';
  }

  /** The jobs that are under way. */
  running(): Attempt[] {
    return [...this.steps].flatMap(([step, { instances, counts }]) =>
      counts.running === 0
        ? []
        : instances.flatMap(({ phase, attempt }, index) =>
            phase === 'running' ? [{ step, index, attempt }] : [],
          ),
    );
  }

  /** Takes the next event of the stream into account. */
  apply({ event, head, sequence, timeMs }: LoggedEvent): void {
    this.lastMs = timeMs;
    switch (event.event) {
      case 'submitted':
        if (this.submitted !== undefined) return;
        this.submitted = event;
        this.request = event.request;
        this.pipeline = head.pipeline;
        this.inputs = (restore(event.inputs) ?? {}) as Record<string, unknown>;
        this.since = sequence;
        this.beganMs = timeMs;
        return;
      case 'cancelling':
        if (this.isOver) return;
        this.phase = 'cancelling';
        if (this.reason === '') this.reason = event.reason;
        return;
      case 'resumed':
        if (this.phase === 'succeeded') return;
        this.request = event.request;
        if (this.isOver) this.#resume();
        return;
      case 'taken':
        this.holding = head.holding;
        this.jobsAfter ??= event.jobsAfter;
        if (this.phase === 'waiting') this.phase = 'running';
        return;
      default:
        if (head.holding === undefined || head.holding !== this.holding || this.isOver) return;
        if (event.event === 'finished') this.#finish(event);
        else this.#applyToStep(event);
    }
  }

  #finish({ state, reason, outputs }: EventOf<'finished'>): void {
    this.phase = state;
    if (reason !== '') this.reason = reason;
    this.outputs = restore(outputs);
    for (const step of this.steps.values()) if (step.phase === 'running') step.phase = 'stopped';
  }

  #applyToStep(event: StepEvent): void {
    const step = this.steps.get(event.step);
    if (step === undefined) return;
    switch (event.event) {
      case 'opened':
        if (step.phase === 'waiting') open(step, event.items);
        return;
      case 'skipped':
        if (step.phase !== 'waiting') return;
        step.phase = 'skipped';
        step.reason = event.reason;
        return;
      case 'failed':
        this.#fail(step, event);
        return;
      default:
        applyToInstance(step, event);
    }
  }

  #fail(step: StepState, event: EventOf<'failed'>): void {
    const { step: name, index, attempt, reason, input, final } = event;
    if (index === null) {
      if (step.phase !== 'waiting') return;
    } else {
      const instance = step.instances[index];
      if (instance?.attempt !== attempt) return;
      if (instance.phase !== 'running' && instance.phase !== 'ready') return;
      instance.failures++;
      if (!final) {
        again(step, index, instance);
        return;
      }
      move(step, instance, 'failed');
    }
    step.phase = 'failed';
    step.reason = reason;
    this.failure ??= { step: name, index, isEach: step.isEach, reason, input };
  }

  /** What failed or was stopped is ready again; what succeeded stays. */
  #resume(): void {
    this.phase = 'waiting';
    this.reason = '';
    this.failure = undefined;
    this.outputs = undefined;
    this.holding = undefined;
    for (const step of this.steps.values()) {
      if (step.phase !== 'failed' && step.phase !== 'stopped') continue;
      step.reason = '';
      step.phase = step.instances.length === 0 ? 'waiting' : 'running';
      for (const [index, instance] of step.instances.entries()) {
        instance.failures = 0;
        if (instance.phase === 'failed' || instance.phase === 'stopped') {
          again(step, index, instance);
        }
      }
    }
  }
}

function newStep(): StepState {
  const counts = { ready: 0, running: 0, succeeded: 0, failed: 0, stopped: 0 };
  return { phase: 'waiting', isEach: false, instances: [], counts, firstReady: 0, reason: '' };
}

function open(step: StepState, items: number | null): void {
  step.isEach = items !== null;
  step.instances = Array.from({ length: items ?? 1 }, () => ({
    phase: 'ready',
    attempt: 1,
    failures: 0,
    output: undefined,
  }));
  step.counts.ready = step.instances.length;
  step.phase = step.instances.length === 0 ? 'succeeded' : 'running';
}

function applyToInstance(
  step: StepState,
  event: EventOf<'started' | 'succeeded' | 'lost' | 'stopped'>,
): void {
  const { index, attempt } = event;
  const instance = step.instances[index];
  const before = event.event === 'started' ? 'ready' : 'running';
  if (instance?.attempt !== attempt || instance.phase !== before) return;
  switch (event.event) {
    case 'started':
      move(step, instance, 'running');
      return;
    case 'succeeded':
      instance.output = restore(event.output) ?? null;
      move(step, instance, 'succeeded');
      if (step.counts.succeeded === step.instances.length) step.phase = 'succeeded';
      return;
    case 'lost':
      again(step, index, instance);
      return;
    case 'stopped':
      move(step, instance, 'stopped');
  }
}

/** The instance is to be done once more, by a job of its own. */
function again(step: StepState, index: number, instance: Instance): void {
  instance.attempt++;
  move(step, instance, 'ready');
  step.firstReady = Math.min(step.firstReady, index);
}

function move(step: StepState, instance: Instance, phase: InstancePhase): void {
  step.counts[instance.phase]--;
  step.counts[phase]++;
  instance.phase = phase;
  while (step.instances[step.firstReady]?.phase !== 'ready') {
    if (step.firstReady >= step.instances.length) break;
    step.firstReady++;
  }
}
