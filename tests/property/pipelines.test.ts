// Runs of random pipelines, played against a world in which jobs end in any order
// and orchestrators die at any moment: the events alone must be enough to go on,
// nothing that is done may be done again, and every run must end.
import fc from 'fast-check';
import type { Pipeline, Step } from '../../workers/pipelines/definition.js';
import type { LoggedEvent, RunEvent } from '../../workers/pipelines/events.js';
import { plan, type Action } from '../../workers/pipelines/plan.js';
import { RunState } from '../../workers/pipelines/state.js';

/** How a step behaves: what its expressions give, and how often each job fails first. */
interface Behaviour {
  readonly when: boolean;
  readonly items: number | null;
  readonly failures: readonly number[];
  readonly parallel: number;
  readonly attempts: number;
  readonly needs: readonly number[];
  readonly after: readonly number[];
}

const behaviour = (at: number): fc.Arbitrary<Behaviour> =>
  fc.record({
    when: fc.boolean().chain((often) => (often ? fc.constant(true) : fc.boolean())),
    items: fc.option(fc.nat(5), { nil: null }),
    failures: fc.array(fc.constantFrom(0, 0, 0, 1, 2), { minLength: 5, maxLength: 5 }),
    parallel: fc.integer({ min: 1, max: 3 }),
    attempts: fc.integer({ min: 1, max: 3 }),
    needs: at === 0 ? fc.constant([]) : fc.uniqueArray(fc.nat(at - 1), { maxLength: 2 }),
    after: at === 0 ? fc.constant([]) : fc.uniqueArray(fc.nat(at - 1), { maxLength: 1 }),
  });
const pipelines = fc
  .integer({ min: 1, max: 5 })
  .chain((count) => fc.tuple(...Array.from({ length: count }, (_, at) => behaviour(at))));
/** What happens next is chosen by these; after them, jobs end in the order of their start. */
const choices = fc.array(fc.nat(99), { maxLength: 80 });

const nothing = { kind: 'constant', value: null } as const;
const nameOf = (at: number): string => `s${at}`;

function pipelineOf(behaviours: readonly Behaviour[]): Pipeline {
  const steps = behaviours.map(({ parallel, attempts, needs, after }, at): Step => ({
    name: nameOf(at),
    service: 'work',
    description: undefined,
    subject: nothing,
    input: nothing,
    inputAs: 'value',
    outputAs: 'value',
    needs: needs.map(nameOf),
    after: after.map(nameOf),
    when: undefined,
    forEach: undefined,
    parallel,
    retry: { attempts, delayMs: 7 },
    timeLimitMs: undefined,
    wants: {},
  }));
  return {
    name: 'p',
    version: undefined,
    description: undefined,
    source: '',
    inputs: new Map(),
    steps: new Map(steps.map((step) => [step.name, step])),
    outputs: new Map(),
  };
}

type Job = Extract<Action, { do: 'start' }>;

/** One broker, its log and its jobs, and one orchestrator after the other. */
class World {
  readonly pipeline: Pipeline;
  readonly log: LoggedEvent[] = [];
  readonly state: RunState;
  /** Jobs that were begun and have not ended, by id. */
  readonly jobs = new Map<string, Job>();
  /** How often each job was begun, and how many instances succeeded, by step and index. */
  readonly begun = new Map<string, number>();
  readonly succeeded = new Set<string>();
  /** No job fails any more. */
  healed = false;
  readonly #behaviours: readonly Behaviour[];
  #issued = new Set<string>();
  #holding = 0;

  constructor(behaviours: readonly Behaviour[]) {
    this.#behaviours = behaviours;
    this.pipeline = pipelineOf(behaviours);
    this.state = new RunState(this.pipeline.steps.keys());
    this.append({ event: 'submitted', file: '', source: '', request: 'r', inputs: {} });
    this.take();
  }

  append(event: RunEvent, holding?: number): void {
    const sequence = this.log.length + 1;
    const head = {
      event: event.event,
      pipeline: 'p',
      since: 1,
      ...(holding !== undefined && { holding: `h${holding}` }),
    };
    const logged = { sequence, timeMs: sequence, head, event };
    this.log.push(logged);
    this.state.apply(logged);
  }

  /** Another orchestrator goes on; the one before may still write what it was about to. */
  take(): void {
    const before = this.#holding++;
    this.#issued = new Set();
    this.append({ event: 'taken', jobsAfter: 0 }, this.#holding);
    if (before === 0) return;
    const stale = replayed(this);
    for (const [step, { instances }] of this.state.steps) {
      this.append({ event: 'opened', step, items: 3 }, before);
      this.append({ event: 'skipped', step, reason: 'stale' }, before);
      for (const [index, { attempt }] of instances.entries()) {
        this.append({ event: 'stopped', step, index, attempt }, before);
      }
    }
    stale.lastMs = this.log.length;
    expect(this.state).toEqual(stale);
  }

  /** Does what is to be done, until only jobs are awaited. */
  act(): void {
    for (;;) {
      const actions = plan(this.pipeline, this.state);
      const fresh = actions.filter((action) => !this.#issued.has(JSON.stringify(action)));
      if (fresh.length === 0) return;
      for (const action of fresh) {
        this.#issued.add(JSON.stringify(action));
        this.#do(action);
      }
    }
  }

  #do(action: Action): void {
    const holding = this.#holding;
    switch (action.do) {
      case 'open': {
        const { when, items } = this.#behaviourOf(action.step);
        const event: RunEvent = when
          ? { event: 'opened', step: action.step, items }
          : { event: 'skipped', step: action.step, reason: 'when' };
        this.append(event, holding);
        return;
      }
      case 'skip':
        this.append({ event: 'skipped', step: action.step, reason: action.reason }, holding);
        return;
      case 'start':
        this.#start(action);
        return;
      case 'stop': {
        const { step, index, attempt } = action;
        this.jobs.delete(idOf(action));
        this.append({ event: 'stopped', step, index, attempt }, holding);
        return;
      }
      case 'finish':
        this.append({ event: 'finished', state: action.state, reason: '', outputs: {} }, holding);
    }
  }

  #start(job: Job): void {
    const { step, index, attempt, delayMs } = job;
    expect(this.succeeded.has(`${step}.${index}`)).toBe(false);
    expect(delayMs === 7).toBe(this.state.steps.get(step)!.instances[index]!.failures > 0);
    this.append({ event: 'started', step, index, attempt, service: 'work' }, this.#holding);
    this.begun.set(idOf(job), (this.begun.get(idOf(job)) ?? 0) + 1);
    this.jobs.set(idOf(job), job);
    const running = [...this.jobs.values()].filter((other) => other.step === step).length;
    expect(running).toBeLessThanOrEqual(this.pipeline.steps.get(step)!.parallel);
  }

  /** One of the jobs ends, as its step behaves. */
  end(at: number): void {
    const [id, { step, index, attempt }] = [...this.jobs][at]!;
    this.jobs.delete(id);
    const { failures, attempts } = this.#behaviourOf(step);
    const failsYet = this.state.steps.get(step)!.instances[index]!.failures;
    if (!this.healed && failsYet < (failures[index] ?? 0)) {
      const final = failsYet + 1 >= attempts;
      const failed = { step, index, attempt, reason: 'no', input: '', final };
      this.append({ event: 'failed', ...failed }, this.#holding);
      return;
    }
    const output = { value: id };
    this.succeeded.add(`${step}.${index}`);
    const event = { step, index, attempt, worker: 'w', output };
    this.append({ event: 'succeeded', ...event }, this.#holding);
  }

  #behaviourOf(step: string): Behaviour {
    return this.#behaviours[Number(step.slice(1))]!;
  }

  /** Plays until the run is over. */
  play(chosen: readonly number[], interrupted: boolean): void {
    const next = [...chosen];
    for (let turns = 0; ; turns++) {
      this.act();
      if (this.state.isOver) break;
      // Every turn ends a job or is one of the choices: a run that goes on longer never ends.
      expect(turns).toBeLessThan(1000);
      const choice = next.shift() ?? 0;
      if (interrupted && choice >= 80) this.take();
      else {
        expect(this.jobs.size).toBeGreaterThan(0);
        this.end(choice % this.jobs.size);
      }
    }
    expect([...this.begun.values()].every((times) => times === 1)).toBe(true);
    if (this.state.phase !== 'succeeded') return;
    const phases = [...this.state.steps.values()].map(({ phase }) => phase);
    expect(phases.filter((phase) => phase !== 'succeeded' && phase !== 'skipped')).toEqual([]);
  }
}

function idOf({ step, index, attempt }: { step: string; index: number; attempt: number }): string {
  return `${step}.${index}.${attempt}`;
}

/** The state that somebody comes to who reads the log anew. */
function replayed({ log, pipeline }: World, length = log.length): RunState {
  const state = new RunState(pipeline.steps.keys());
  for (const logged of log.slice(0, length)) state.apply(logged);
  return state;
}

/** What a run gave, however it went. */
function resultOf({ state }: World): unknown {
  const steps = [...state.steps].map(([name, { phase, instances }]) => [
    name,
    phase,
    instances.map(({ output }) => output),
  ]);
  return state.phase === 'succeeded' ? [state.phase, steps] : [state.phase];
}

test('a run gives the same, whoever goes on with it, and does nothing twice', () => {
  fc.assert(
    fc.property(pipelines, choices, choices, (behaviours, calm, wild) => {
      const whole = new World(behaviours);
      whole.play(calm, false);
      const broken = new World(behaviours);
      broken.play(wild, true);
      expect(resultOf(broken)).toEqual(resultOf(whole));
    }),
  );
});

test('from any prefix of its events, the state and the plan are the same as on the way', () => {
  fc.assert(
    fc.property(pipelines, choices, (behaviours, wild) => {
      const world = new World(behaviours);
      world.play(wild, true);
      const onTheWay = new RunState(world.pipeline.steps.keys());
      for (const [at, logged] of world.log.entries()) {
        onTheWay.apply(logged);
        const anew = replayed(world, at + 1);
        expect(anew).toEqual(onTheWay);
        expect(plan(world.pipeline, anew)).toEqual(plan(world.pipeline, onTheWay));
      }
    }),
    { numRuns: 40 },
  );
});

test('an event that comes twice changes nothing', () => {
  fc.assert(
    fc.property(pipelines, choices, (behaviours, wild) => {
      const world = new World(behaviours);
      world.play(wild, true);
      const twice = new RunState(world.pipeline.steps.keys());
      for (const logged of world.log) {
        twice.apply(logged);
        twice.apply(logged);
      }
      expect(twice).toEqual(replayed(world));
    }),
  );
});

test('a run that is cancelled at any moment ends, with nothing under way', () => {
  fc.assert(
    fc.property(pipelines, choices, fc.nat(10), (behaviours, wild, turns) => {
      const world = new World(behaviours);
      world.act();
      for (const choice of wild.slice(0, turns)) {
        if (world.jobs.size > 0) world.end(choice % world.jobs.size);
        world.act();
      }
      const before = world.state.phase;
      world.append({ event: 'cancelling', reason: 'enough' });
      if (turns % 2 === 0) world.take();
      world.act();
      expect(world.jobs.size).toBe(0);
      expect(world.state.phase).toBe(before === 'running' ? 'cancelled' : before);
    }),
  );
});

test('a run that failed or was cancelled is resumed, and what was done is not done again', () => {
  fc.assert(
    fc.property(pipelines, choices, fc.boolean(), (behaviours, wild, cancel) => {
      const world = new World(behaviours);
      if (cancel) {
        world.act();
        world.append({ event: 'cancelling', reason: 'enough' });
      }
      world.play(wild, true);
      fc.pre(world.state.phase !== 'succeeded');
      world.healed = true;
      world.append({ event: 'resumed', request: 'r' });
      expect(plan(world.pipeline, world.state)).toEqual([]);
      const instances = [...world.state.steps.values()].flatMap((step) => step.instances);
      const open = instances.filter(({ phase }) => phase !== 'succeeded');
      expect(open.map(({ phase, failures }) => [phase, failures])).toEqual(
        open.map(() => ['ready', 0]),
      );
      world.take();
      world.play(wild, true);
      expect(world.state).toMatchObject({ phase: 'succeeded', failure: undefined, reason: '' });
    }),
  );
});
