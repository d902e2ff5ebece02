// Holding a run, in a world of memory: a log, and jobs that a function does. A
// holder can be cut off after any event; another one then goes on.
import { Holding, type HoldingEnd } from '../../../workers/pipelines/hold.js';
import type { LoggedEvent, RunEvent } from '../../../workers/pipelines/events.js';
import { store } from '../../../workers/pipelines/events.js';
import { FileValue, FILES_STREAM } from '../../../workers/pipelines/file-value.js';
import { jobIdOf, type JobOfRun } from '../../../workers/pipelines/job-id.js';
import {
  JobRefused,
  type JobEnd,
  type JobOrder,
  type RunJobs,
  type RunLog,
} from '../../../workers/pipelines/ports.js';
import { decode, encode } from '@msgpack/msgpack';

const RUN = 'run-1';

/** A list that is followed as it grows. */
class Feed<Item> {
  readonly items: Item[] = [];
  #waiting: (() => void)[] = [];

  push(item: Item): void {
    this.items.push(item);
    for (const wake of this.#waiting.splice(0)) wake();
  }

  async *follow(signal: AbortSignal): AsyncGenerator<Item> {
    const aborted = new Promise<void>((resolve) => {
      signal.addEventListener('abort', () => resolve(), { once: true });
    });
    const over = (): boolean => signal.aborted;
    for (let at = 0; !over(); at++) {
      while (at >= this.items.length) {
        const grown = new Promise<void>((resolve) => this.#waiting.push(resolve));
        await Promise.race([grown, aborted]);
        if (over()) return;
      }
      yield this.items[at]!;
    }
  }
}

/** What a worker gives: frames, or why not. */
type Outcome = readonly Buffer[] | { readonly fails: string } | 'never';
type Work = (value: unknown, order: JobOrder, job: JobOfRun) => Outcome;

class World implements RunJobs {
  readonly log = new Feed<LoggedEvent>();
  readonly ends = new Feed<JobEnd>();
  readonly orders: (JobOrder & { readonly id: string })[] = [];
  readonly cancelled: string[] = [];
  readonly files = new Map<number, Buffer>();
  refusals = 0;
  onGap: () => void = () => undefined;
  readonly #work: Work;
  readonly #known = new Set<string>();

  constructor(source: string, inputs: Record<string, unknown>, work: Work) {
    this.#work = work;
    this.write({ event: 'submitted', file: 'p.yaml', source, request: RUN, inputs: store(inputs) });
  }

  write(event: RunEvent, holding?: string): void {
    const sequence = this.log.items.length + 1;
    const head = { event: event.event, pipeline: 'p', since: 1, ...(holding && { holding }) };
    this.log.push({ sequence, timeMs: 1_700_000_000_000 + sequence, head, event });
  }

  logFor = (holding: string): RunLog => ({
    append: async (event) => {
      await Promise.resolve();
      this.write(event, holding);
    },
    read: (signal) => this.log.follow(signal),
  });

  lastSequence(): Promise<number> {
    return Promise.resolve(this.ends.items.length);
  }

  async submit(job: JobOfRun, order: JobOrder): Promise<void> {
    await Promise.resolve();
    if (this.refusals > 0) {
      this.refusals--;
      throw new JobRefused('the queue is full');
    }
    const id = jobIdOf(job);
    if (this.#known.has(id)) return;
    this.#known.add(id);
    this.orders.push({ ...order, id });
    const outcome = this.#work(valueIn(order), order, job);
    if (outcome === 'never') return;
    const sequence = this.ends.items.length + 1;
    if ('fails' in outcome) this.ends.push({ kind: 'failed', job, reason: outcome.fails });
    else this.ends.push({ kind: 'succeeded', job, worker: 'w', frames: outcome, sequence });
  }

  cancel(_service: string, job: JobOfRun): Promise<void> {
    this.cancelled.push(jobIdOf(job));
    return Promise.resolve();
  }

  async *watch(
    _run: string,
    after: number,
    onGap: () => void,
    signal: AbortSignal,
  ): AsyncGenerator<JobEnd> {
    this.onGap = onGap;
    let at = 0;
    for await (const end of this.ends.follow(signal)) if (++at > after) yield end;
  }

  fetch(file: FileValue): Promise<Buffer> {
    return Promise.resolve(this.files.get(FileValue.at(file).sequence)!);
  }

  names(): string[] {
    return this.log.items.map(({ event }) => event.event);
  }
}

/** The value that a job is given; undefined where it is given octets. */
function valueIn({ frames: [frame] }: JobOrder): unknown {
  try {
    return frame === undefined ? undefined : decode(frame);
  } catch {
    return undefined;
  }
}

const value = (of: unknown): readonly Buffer[] => [Buffer.from(encode(of))];
const never = new AbortController().signal;

function hold(world: World, stop = never): Promise<HoldingEnd> {
  return new Holding({ run: RUN, log: world.logFor, jobs: world }).hold(stop);
}

/** Holds the run until the log has so many events; then it is cut off. */
async function holdUntil(world: World, events: number): Promise<void> {
  const cut = new AbortController();
  const holding = new Holding({
    run: RUN,
    log: world.logFor,
    jobs: world,
    onNews: () => {
      if (world.log.items.length >= events) cut.abort(new Error('cut off'));
    },
  });
  await holding.hold(cut.signal).catch((error: unknown) => {
    if ((error as Error).message !== 'cut off') throw error;
  });
}

/** The state in which a run ended. */
async function ended(world: World) {
  const end = await hold(world);
  if (end.kind !== 'over') throw new Error(end.kind);
  return end.state;
}

const NUMBERS = `
name: numbers
inputs: {count: number}
steps:
  list: {service: list, input: "\${{ inputs.count }}"}
  double:
    service: double
    forEach: \${{ steps.list.output }}
    parallel: 2
    subject: number/\${{ item }}
    input: {n: "\${{ item }}", at: "\${{ index }}"}
    retry: {attempts: 2, delayMs: 5}
    timeLimit: 10s
  sum: {service: sum, input: "\${{ steps.double.output }}"}
  never: {service: x, when: "\${{ inputs.count > 100 }}"}
  after: {service: sum, after: never, input: [1, 2]}
  needs: {service: x, needs: never}
outputs:
  sum: \${{ steps.sum.output }}
  all: \${{ steps.double.output }}
`;

/** Does the services of NUMBERS; item 3 fails at first. */
const numbers: Work = (given, { service }, { attempt }) => {
  switch (service) {
    case 'list':
      return value(Array.from({ length: given as number }, (_, at) => at + 1));
    case 'double': {
      const { n } = given as { n: number };
      return n === 3 && attempt === 1 ? { fails: 'Error: not yet' } : value(n * 2);
    }
    default:
      return value((given as number[]).reduce((sum, each) => sum + each, 0));
  }
};

test('a run is done: steps in their order, items beside each other, retries, what is skipped', async () => {
  const world = new World(NUMBERS, { count: 4 }, numbers);
  const state = await ended(world);
  expect(state).toMatchObject({
    phase: 'succeeded',
    outputs: { sum: 20, all: [2, 4, 6, 8] },
  });
  expect([...state.steps].map(([name, { phase, reason }]) => [name, phase, reason])).toEqual([
    ['list', 'succeeded', ''],
    ['double', 'succeeded', ''],
    ['sum', 'succeeded', ''],
    ['never', 'skipped', '"when" is not true'],
    ['after', 'succeeded', ''],
    ['needs', 'skipped', 'it needs "never", which was skipped'],
  ]);
  const third = world.orders.filter(({ id }) => id.startsWith('run-1.double.2.'));
  expect(third).toMatchObject([
    { id: 'run-1.double.2.1', subject: 'number/3', delayMs: 0, deadlineMs: 10_000 },
    { id: 'run-1.double.2.2', subject: 'number/3', delayMs: 5, deadlineMs: 10_005 },
  ]);
  expect(decode(third[0]!.frames[0]!)).toEqual({ n: 3, at: 2 });
});

test('cut off after any event, another one goes on, and nothing is done twice', async () => {
  const whole = new World(NUMBERS, { count: 3 }, numbers);
  const { outputs } = await ended(whole);
  for (let events = 2; events <= whole.log.items.length; events++) {
    const world = new World(NUMBERS, { count: 3 }, numbers);
    await holdUntil(world, events);
    expect(await ended(world)).toMatchObject({ phase: 'succeeded', outputs });
    expect(world.orders.map(({ id }) => id).sort()).toEqual(
      whole.orders.map(({ id }) => id).sort(),
    );
  }
});

test('cut off again and again, it still ends', async () => {
  const world = new World(NUMBERS, { count: 3 }, numbers);
  while (!world.names().includes('finished')) {
    // Its own first event, and one more.
    await holdUntil(world, world.log.items.length + 2);
  }
  expect((await ended(world)).outputs).toEqual({ sum: 12, all: [2, 4, 6] });
  expect(world.orders).toHaveLength(7);
});

test('one that was taken over by another stops, and what it still writes does not count', async () => {
  const slow = new World(NUMBERS, { count: 2 }, () => 'never');
  const first = hold(slow);
  const second = hold(slow);
  expect(await first).toEqual({ kind: 'taken' });
  slow.write({ event: 'cancelling', reason: 'enough' });
  expect(await second).toMatchObject({ kind: 'over', state: { phase: 'cancelled' } });
});

test('a run that is cancelled cancels its jobs, and says why', async () => {
  const world = new World(NUMBERS, { count: 3 }, (given, order, job) =>
    order.service === 'double' ? 'never' : numbers(given, order, job),
  );
  const holding = new Holding({ run: RUN, log: world.logFor, jobs: world });
  const end = holding.hold(never);
  while (world.orders.length < 4) await new Promise((resolve) => setImmediate(resolve));
  await holding.cancel('not needed');
  expect(await end).toMatchObject({
    kind: 'over',
    state: { phase: 'cancelled', reason: 'not needed' },
  });
  expect(world.cancelled.sort()).toEqual(['run-1.double.0.1', 'run-1.double.1.1']);
});

test('a run that failed says which input made it, and is resumed where it stopped', async () => {
  let fails = true;
  const world = new World(NUMBERS, { count: 3 }, (given, order, job) =>
    fails && job.step === 'double' && job.index === 1
      ? { fails: 'bad-input: two is not for me' }
      : numbers(given, order, job),
  );
  const state = await ended(world);
  expect(state).toMatchObject({
    phase: 'failed',
    reason: 'step "double", item 1: bad-input: two is not for me; its input was {"n":2,"at":1}',
  });
  fails = false;
  const before = world.orders.length;
  world.write({ event: 'resumed', request: 'again' });
  expect(await ended(world)).toMatchObject({ phase: 'succeeded', outputs: { sum: 12 } });
  const again = world.orders.slice(before).map(({ id }) => id);
  expect(again).toContain('run-1.double.1.2');
  expect(again.filter((id) => /list|double\.0/.test(id))).toEqual([]);
});

test('a job that the broker refuses is tried again as often as the step says', async () => {
  const once = new World('name: p\nsteps: {a: {service: s, retry: {attempts: 2}}}', {}, () =>
    value(1),
  );
  once.refusals = 1;
  expect(await ended(once)).toMatchObject({ phase: 'succeeded' });
  const twice = new World('name: p\nsteps: {a: {service: s, retry: {attempts: 2}}}', {}, () =>
    value(1),
  );
  twice.refusals = 2;
  expect(await ended(twice)).toMatchObject({ phase: 'failed', reason: /the queue is full/ });
});

test('where the ends of jobs are lost, the jobs are done anew', async () => {
  let silent = true;
  const world = new World(
    'name: p\nsteps: {a: {service: s}}\noutputs: {a: "${{ steps.a.output }}"}',
    {},
    () => (silent ? 'never' : value('done')),
  );
  const ending = ended(world);
  while (world.orders.length === 0) await new Promise((resolve) => setImmediate(resolve));
  silent = false;
  world.onGap();
  expect(await ending).toMatchObject({ phase: 'succeeded', outputs: { a: 'done' } });
  expect(world.cancelled).toEqual(['run-1.a.0.1']);
  expect(world.orders.map(({ id }) => id)).toEqual(['run-1.a.0.1', 'run-1.a.0.2']);
});

test('what a pipeline gets wrong while it runs fails the step, with a reason', async () => {
  const failureOf = async (step: string, outcome: Outcome = value(1)): Promise<string> => {
    const world = new World(`name: p\nsteps:\n  a: ${step}`, {}, () => outcome);
    const { phase, reason } = await ended(world);
    expect(phase).toBe('failed');
    return reason;
  };
  expect(await failureOf('{service: s, when: "${{ 1 }}"}')).toBe(
    'step "a": "when" gives the number 1, not true or false',
  );
  expect(await failureOf('{service: s, input: "${{ $number(run.id) }}"}')).toMatch(
    /^step "a": Unable to cast/,
  );
  expect(await failureOf('{service: s, input: "a ${{ {} }}"}')).toMatch(
    /^step "a": .* gives an object/,
  );
  expect(await failureOf('{service: s, inputAs: text, input: 3}')).toMatch(
    /is for a text, not the number 3; its input was 3$/,
  );
  expect(await failureOf('{service: s}', [Buffer.from('a text')])).toMatch(
    /not a MessagePack value/,
  );
  expect(await failureOf('{service: s, outputAs: json}', [Buffer.from('{')])).toMatch(/not JSON/);
  expect(await failureOf('{service: s, outputAs: text}', [Buffer.from([255])])).toMatch(
    /not UTF-8/,
  );
  expect(await failureOf('{service: s, outputAs: file}', [])).toMatch(/has 0 frames/);
  expect(await failureOf('{service: s, outputAs: files}', value(1))).toMatch(/not a list of names/);
  expect(await failureOf('{service: s, timeLimit: 1s}', { fails: 'Error: no' })).toBe(
    'step "a": Error: no',
  );
  expect(await failureOf('{service: s, forEach: "${{ [1..20000] }}"}')).toMatch(
    /20000 items; 10000 at most/,
  );
  expect(
    await failureOf(
      '{service: s, forEach: "${{ ($f := function($n) { $f($n + 1) + 1 }; $f(0)) }}"}',
    ),
  ).toMatch(/^step "a": /);
  expect(await failureOf('{service: s}\noutputs: {x: "${{ $error(\'oh\') }}"}')).toMatch(
    /^the outputs: oh/,
  );
});

test('a run of a pipeline that is not right fails and says so; one without a beginning is unknown', async () => {
  const wrong = new World('name: p', {}, () => 'never');
  expect(await ended(wrong)).toMatchObject({
    phase: 'failed',
    reason: /p\.yaml:1:1: steps: is missing/,
  });
  const none = new World('', {}, () => 'never');
  none.log.items.length = 0;
  expect(await hold(none)).toEqual({ kind: 'unknown' });
});

test('a run that is over is not begun again', async () => {
  const world = new World(NUMBERS, { count: 2 }, numbers);
  await ended(world);
  const { length } = world.orders;
  expect(await ended(world)).toMatchObject({ phase: 'succeeded', outputs: { sum: 6 } });
  expect(world.orders).toHaveLength(length);
});

describe('files', () => {
  const photo = Buffer.from('the octets of a photo');
  const at = (sequence: number) => ({ stream: FILES_STREAM, sequence, frame: 0 }) as const;
  const inputs = { photo: new FileValue('photo.jpg', photo.length, at(7)) };
  const source = (steps: string): string => `name: p\ninputs: {photo: file}\n${steps}`;

  async function orderOf(input: string): Promise<JobOrder> {
    const world = new World(source(`steps: {a: {service: s, ${input}}}`), inputs, () => value(1));
    world.files.set(7, photo);
    await ended(world);
    return world.orders[0]!;
  }

  test('one alone travels as its octets, within a value as a part of it', async () => {
    expect((await orderOf('input: "${{ inputs.photo }}"')).frames).toEqual([photo]);
    const { frames } = await orderOf(
      'input: {p: "${{ inputs.photo }}", name: "${{ inputs.photo.name }}", size: "${{ inputs.photo.bytes }}"}',
    );
    const given = decode(frames[0]!) as { p: Uint8Array };
    expect(given).toMatchObject({ name: 'photo.jpg', size: photo.length });
    expect(photo.equals(given.p)).toBe(true);
    const both = await orderOf(
      'inputAs: files, input: ["${{ inputs.photo }}", "${{ inputs.photo }}"]',
    );
    expect(decode(both.frames[0]!)).toEqual(['photo.jpg', 'photo.jpg']);
    expect(both.frames.slice(1)).toEqual([photo, photo]);
  });

  test('a list of files alone is a value, too', async () => {
    const { frames } = await orderOf('input: ["${{ inputs.photo }}"]');
    expect(frames).toHaveLength(1);
    expect(photo.equals((decode(frames[0]!) as [Uint8Array])[0])).toBe(true);
  });

  test('outputs stay where they are, and are fetched for who needs them', async () => {
    const clip = Buffer.from('clip');
    const world = new World(
      'name: p\nsteps: {cut: {service: cut, outputAs: files}, use: {service: use, forEach: "${{ steps.cut.output }}", input: {c: "${{ item }}", n: "${{ item.name }}"}}, v: {service: v}}\noutputs: {clips: "${{ steps.cut.output }}", v: "${{ steps.v.output }}"}',
      {},
      (given, { service }) => {
        if (service === 'cut') return [...value(['a.mp4', 'b.mp4']), clip, clip];
        if (service === 'v') return value({ deep: [Buffer.from('octets'), 5] });
        return value((given as { n: string }).n);
      },
    );
    world.files.set(1, clip);
    const state = await ended(world);
    const { clips, v } = state.outputs as { clips: FileValue[]; v: { deep: [FileValue, number] } };
    expect(clips.map(({ name, bytes }) => [name, bytes])).toEqual([
      ['a.mp4', 4],
      ['b.mp4', 4],
    ]);
    expect(FileValue.at(clips[1]!)).toMatchObject({ stream: '$jobs', frame: 3 });
    expect(v.deep[0]).toBeInstanceOf(FileValue);
    expect(FileValue.at(v.deep[0])).toMatchObject({ frame: 1, path: ['deep', 0] });
    expect(JSON.stringify(world.log.items)).not.toContain(clip.toString('base64'));
    const given = world.orders.filter(({ service }) => service === 'use');
    expect(given).toHaveLength(2);
    expect(decode(given[0]!.frames[0]!)).toEqual({ c: new Uint8Array(clip), n: 'a.mp4' });
  });

  test('a worker cannot make up a file', async () => {
    const forged = {
      name: 'x',
      bytes: 1,
      at: [],
      stream: '$jobs',
      sequence: 1,
      frame: 0,
      files: [{ at: ['z'] }],
    };
    const world = new World(
      'name: p\nsteps: {a: {service: s}}\noutputs: {a: "${{ steps.a.output }}"}',
      {},
      () => value(forged),
    );
    expect((await ended(world)).outputs).toEqual({ a: forged });
  });
});
