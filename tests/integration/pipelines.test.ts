// Pipelines on a real broker, in one process: runs, their files, orchestrators that
// share them and take over from each other, cancelling and resuming.
import { connect, encodeBody, type MlmClient } from '../../client/index.js';
import { silentLog } from '../../workers/log.js';
import { startWorkers, type WorkerGroup } from '../../workers/group.js';
import { JobError } from '../../workers/job.js';
import { defineWorker, type Worker } from '../../workers/worker.js';
import type { RunPlace } from '../../workers/pipelines/broker-ports.js';
import type { FileValue } from '../../workers/pipelines/file-value.js';
import { Files } from '../../workers/pipelines/files.js';
import { pipelineWorker } from '../../workers/pipelines/orchestrator.js';
import {
  cancelRun,
  followRun,
  InputError,
  listRuns,
  resumeRun,
  submitRun,
  type RunView,
} from '../../workers/pipelines/runs.js';
import { useBrokers } from '../support/brokers.js';
import { until } from '../support/until.js';

// Before the brokers stop.
const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  await Promise.all(closing.splice(0).map((close) => close()));
});
const newBroker = useBrokers();

/** A broker with a client, and a way to start workers. */
async function newWorld() {
  const { endpoint } = await newBroker();
  const client = await connect(endpoint);
  closing.push(() => client.close());
  const start = async (...workers: Worker[]): Promise<WorkerGroup> => {
    const group = await startWorkers(workers, { endpoint, log: silentLog, drainTimeoutMs: 0 });
    closing.push(() => group.stop());
    return group;
  };
  return { client, start };
}

/** Follows a run to its end. */
async function ended(client: MlmClient, place: RunPlace): Promise<RunView> {
  const over = new AbortController();
  for await (const { view } of followRun(client, place, over.signal)) {
    if (view.state.isOver) return view;
  }
  throw new Error('the run has no end');
}

const CUT = `
name: cut-and-count
inputs: {film: file, prefix: {type: string, default: clip}}
steps:
  cut: {service: cut, input: "\${{ inputs.film }}", outputAs: files}
  measure:
    service: measure
    forEach: \${{ steps.cut.output }}
    parallel: 2
    input: {clip: "\${{ item }}", as: "\${{ inputs.prefix }}-\${{ index }}"}
  join: {service: join, input: "\${{ steps.measure.output }}"}
outputs:
  names: \${{ steps.join.output }}
  clips: \${{ steps.cut.output }}
`;
const film = Buffer.from('one|two|three');

test('a step may need a worker, or prefer one', async () => {
  const { client, start } = await newWorld();
  const worker = (name: string, labels: Worker['labels']): Worker =>
    defineWorker({ service: 's', labels, capacity: 4, handle: () => name });
  await start(worker('small', {}));
  await start(worker('large', { vramMb: 24_000 }));
  await start(worker('warm', { models: ['sam3'] }), pipelineWorker());
  const source = `
    name: p
    steps:
      needs: {service: s, worker: {needs: {vramMb: {min: 8000}}}}
      prefers: {service: s, worker: {prefers: {models: sam3}, settle: 1h}}
      settles: {service: s, worker: {prefers: {models: other}, settle: 1ms}}
    outputs:
      needs: "\${{ steps.needs.output }}"
      prefers: "\${{ steps.prefers.output }}"
      settles: "\${{ steps.settles.output }}"`;
  const { state } = await ended(client, await submitRun(client, { file: 'p.yaml', source }));
  expect(state.outputs).toEqual({
    needs: 'large',
    prefers: 'warm',
    settles: expect.stringMatching(/small|large|warm/) as string,
  });
});

/** Counts how often each work was done. */
class Counts {
  readonly of = new Map<string, number>();

  add(work: string): void {
    this.of.set(work, (this.of.get(work) ?? 0) + 1);
  }

  get twice(): string[] {
    return [...this.of].filter(([, times]) => times > 1).map(([work]) => work);
  }
}

function cutters(counts: Counts, gate: () => Promise<unknown> = () => Promise.resolve()): Worker[] {
  return [
    defineWorker({
      service: 'cut',
      handle: ({ body }) => {
        counts.add('cut');
        const parts = body.bytes().toString().split('|');
        return [...encodeBody(parts), ...parts.map((part) => Buffer.from(part))];
      },
    }),
    defineWorker({
      service: 'measure',
      capacity: 4,
      handle: async ({ body }) => {
        const { clip, as } = body.value() as { clip: Uint8Array; as: string };
        counts.add(as);
        await gate();
        return { as, length: clip.length };
      },
    }),
    defineWorker({
      service: 'join',
      handle: ({ body }) => {
        counts.add('join');
        return (body.value() as { as: string; length: number }[]).map((each) => each.as).join(' ');
      },
    }),
  ];
}

test('a run with files: octets go to the workers, and come back from where they lie', async () => {
  const { client, start } = await newWorld();
  const counts = new Counts();
  await start(...cutters(counts), pipelineWorker());
  const inputs = { film: { name: 'film.txt', content: film } };
  const place = await submitRun(client, { file: 'cut.yaml', source: CUT, inputs });
  const { state } = await ended(client, place);
  expect(state).toMatchObject({ phase: 'succeeded', outputs: { names: 'clip-0 clip-1 clip-2' } });
  const { clips } = state.outputs as { clips: FileValue[] };
  expect(clips.map(({ name }) => name)).toEqual(['one', 'two', 'three']);
  const files = new Files(client);
  const octets = await Promise.all(clips.map((clip) => files.fetch(clip)));
  expect(octets.map(String)).toEqual(['one', 'two', 'three']);
  expect(counts.twice).toEqual([]);
  const { run, pipeline, since } = place;
  expect(await listRuns(client)).toMatchObject([{ run, pipeline, since, state: 'succeeded' }]);
});

test('inputs that the pipeline does not ask for are refused before anything runs', async () => {
  const { client } = await newWorld();
  const submitting = submitRun(client, { file: 'cut.yaml', source: CUT, inputs: { flim: 1 } });
  await expect(submitting).rejects.toThrow(InputError);
  await expect(submitting).rejects.toThrow(/there is no input "flim".*\ninput "film" is missing/);
  expect(await listRuns(client)).toEqual([]);
});

test('two orchestrators share the runs; one that stops leaves its own to the other', async () => {
  const { client, start } = await newWorld();
  const counts = new Counts();
  let open: () => void = () => undefined;
  const gate = new Promise<void>((resolve) => (open = resolve));
  await start(...cutters(counts, () => gate));
  const stopping = new AbortController();
  const first = await start(pipelineWorker({ capacity: 1, stopping: stopping.signal }));
  const second = await start(pipelineWorker({ capacity: 1 }));
  const submit = (prefix: string): Promise<RunPlace> => {
    const inputs = { film: { name: 'film.txt', content: film }, prefix };
    return submitRun(client, { file: 'cut.yaml', source: CUT, inputs });
  };
  const places = [await submit('a'), await submit('b')];
  // Two items of each run are under way: both orchestrators have one.
  await until(() => counts.of.size === 5, 'both runs');
  expect([first.running, second.running]).toEqual([1, 1]);
  stopping.abort();
  open();
  const views = await Promise.all(places.map((place) => ended(client, place)));
  expect(views.map(({ state }) => state.outputs)).toMatchObject([
    { names: 'a-0 a-1 a-2' },
    { names: 'b-0 b-1 b-2' },
  ]);
  // "cut" and "join" ran once for each run.
  expect([...counts.of].filter(([, times]) => times !== 1)).toEqual([
    ['cut', 2],
    ['join', 2],
  ]);
});

test('cancelling a run goes down to its jobs', async () => {
  const { client, start } = await newWorld();
  const reasons: string[] = [];
  let running = 0;
  let release: () => void = () => undefined;
  const isOver = new Promise<void>((resolve) => (release = resolve));
  const slow = defineWorker({
    service: 'slow',
    capacity: 2,
    handle: async ({ signal }) => {
      running++;
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
      reasons.push((signal.reason as { code: string }).code);
      // The third one does not get its turn before it is cancelled, too.
      await isOver;
    },
  });
  await start(slow, pipelineWorker());
  const source = 'name: p\nsteps: {a: {service: slow, forEach: [1, 2, 3], input: 1}}';
  const place = await submitRun(client, { file: 'p.yaml', source });
  await until(() => running === 2, 'two under way');
  await cancelRun(client, place.run, 'enough of it');
  expect((await ended(client, place)).state).toMatchObject({
    phase: 'cancelled',
    reason: 'enough of it',
  });
  await until(() => reasons.length === 2, 'both told');
  expect(reasons).toEqual(['CANCELLED', 'CANCELLED']);
  for (const index of [0, 1, 2]) {
    const job = client.job('slow', `${place.run}.a.${index}.1`);
    expect(await job.state()).toMatchObject({ event: 'cancelled' });
  }
  release();
  expect(running).toBe(2);
  await expect(cancelRun(client, place.run, '')).rejects.toThrow(/is over: it has cancelled/);
});

test('a cancelled request for a run cancels the run', async () => {
  const { client, start } = await newWorld();
  let told = false;
  const slow = defineWorker({
    service: 'slow',
    handle: async ({ signal }) => {
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
      told = true;
    },
  });
  await start(slow, pipelineWorker());
  const source = 'name: p\nsteps: {a: {service: slow}}';
  const place = await submitRun(client, { file: 'p.yaml', source });
  await until(async () => {
    const event = await client.job('slow', `${place.run}.a.0.1`).state();
    return event?.event === 'started';
  }, 'under way');
  await client.job('pipelines', place.run).cancel();
  expect((await ended(client, place)).state).toMatchObject({ phase: 'cancelled' });
  await until(() => told, 'told');
});

test('a failed run tells which input made it fail, and goes on where it stopped', async () => {
  const { client, start } = await newWorld();
  const counts = new Counts();
  let broken = true;
  const work = defineWorker({
    service: 'work',
    handle: ({ body, subject }) => {
      counts.add(subject);
      if (broken && body.value() === 'two') throw new JobError('bad-input', 'not two');
      return body.value();
    },
  });
  await start(work, pipelineWorker());
  const source = [
    'name: p',
    'steps:',
    '  a: {service: work, subject: "a ${{ item }}", forEach: [one, two, three], parallel: 1, input: "${{ item }}"}',
    '  b: {service: work, subject: b, input: "${{ steps.a.output }}"}',
    'outputs: {b: "${{ steps.b.output }}"}',
  ].join('\n');
  const place = await submitRun(client, { file: 'p.yaml', source });
  expect((await ended(client, place)).state).toMatchObject({
    phase: 'failed',
    reason: 'step "a", item 1: bad-input: not two; its input was "two"',
    failure: { step: 'a', index: 1, input: '"two"' },
  });
  expect(Object.fromEntries(counts.of)).toEqual({ 'a one': 1, 'a two': 1 });
  broken = false;
  await resumeRun(client, place.run);
  const over = new AbortController();
  for await (const { view } of followRun(client, place, over.signal)) {
    if (view.state.phase === 'succeeded') {
      expect(view.state.outputs).toEqual({ b: ['one', 'two', 'three'] });
      break;
    }
  }
  expect(Object.fromEntries(counts.of)).toEqual({ 'a one': 1, 'a two': 2, 'a three': 1, b: 1 });
  await expect(resumeRun(client, place.run)).rejects.toThrow(/has succeeded/);
});

test('a run without an orchestrator waits for one, and is not requested twice', async () => {
  const { client, start } = await newWorld();
  const source =
    'name: p\nsteps: {a: {service: echo, input: 5}}\noutputs: {a: "${{ steps.a.output }}"}';
  const place = await submitRun(client, { file: 'p.yaml', source });
  expect(await listRuns(client)).toMatchObject([{ run: place.run, state: 'waiting' }]);
  await expect(resumeRun(client, place.run)).rejects.toThrow(/waits for an orchestrator/);
  const echo = defineWorker({ service: 'echo', handle: ({ body }) => body.value() });
  // One that is for another run only does not take it.
  await start(echo, pipelineWorker({ run: 'other-1' }));
  await start(pipelineWorker({ run: place.run }));
  expect((await ended(client, place)).state.outputs).toEqual({ a: 5 });
});

test('where the broker does not keep how a job ended, the job is done again', async () => {
  const { client, start } = await newWorld();
  const source =
    'name: p\nsteps: {a: {service: echo, input: 5}}\noutputs: {a: "${{ steps.a.output }}"}';
  const counts = new Counts();
  let open: () => void = () => undefined;
  const gate = new Promise<void>((resolve) => (open = resolve));
  const stopping = new AbortController();
  const first = await start(pipelineWorker({ stopping: stopping.signal }));
  const place = await submitRun(client, { file: 'p.yaml', source });
  await until(async () => {
    return (await client.job('echo', `${place.run}.a.0.1`).state()) !== undefined;
  }, 'submitted');
  stopping.abort();
  await until(() => first.running === 0, 'left');
  await first.stop();
  const echo = defineWorker({
    service: 'echo',
    handle: async ({ body, tracker }) => {
      counts.add(tracker);
      await gate;
      return body.value();
    },
  });
  await start(echo);
  open();
  await client.job('echo', `${place.run}.a.0.1`).result();
  await client.trimStream('$jobs', 0);
  await start(pipelineWorker());
  expect((await ended(client, place)).state.outputs).toEqual({ a: 5 });
  expect([...counts.of.keys()]).toEqual([`${place.run}.a.0.1`, `${place.run}.a.0.2`]);
});
