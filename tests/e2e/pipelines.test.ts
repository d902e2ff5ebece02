// Pipelines as processes: a broker, a worker and orchestrators, each its own. The
// orchestrator is killed after each event of a run in turn; `mlm run` and `mlm
// pipeline` do what they say.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { MlmClient } from '../../client/index.js';
import { followRun, listRuns, submitRun, type RequestedRun } from '../../workers/pipelines/runs.js';
import type { RunState } from '../../workers/pipelines/state.js';
import type { Child } from '../support/processes.js';
import { useBrokers } from '../support/brokers.js';
import { MLM, useCommands } from './commands-support.js';
import { until } from '../support/until.js';

const commands = useCommands();
// Its brokers stop after the clients and processes of a test.
const newBroker = useBrokers();
const PATIENT_MS = 300_000;

const WORKERS = pathToFileURL(join(process.cwd(), 'dist', 'workers', 'index.js')).href;

/** Does every service of these tests, and writes each job that it does, and how it went, to a file. */
const WORKER = `
import { appendFileSync } from 'node:fs';
import { createWorkerLog, defineWorker, JobError, runWorkers } from '${WORKERS}';
const note = (line) => appendFileSync(process.env.COUNTS, line + '\\n');
const worker = (service, handle) => defineWorker({
  service,
  capacity: 4,
  handle: (job) => {
    note(job.tracker.replace(/^[^.]*/, ''));
    return handle(job);
  },
});
await runWorkers([
  worker('list', ({ body }) => Array.from({ length: body.value() }, (_, at) => at + 1)),
  worker('double', ({ body }) => body.value() * 2),
  worker('sum', ({ body }) => {
    const { numbers, fail } = body.value();
    if (fail) throw new JobError('bad-input', 'asked to fail');
    return numbers.reduce((sum, each) => sum + each, 0);
  }),
  worker('slow', ({ signal }) => new Promise((resolve, reject) => {
    note('slow begins');
    signal.addEventListener('abort', () => {
      note('slow ends: ' + signal.reason.code);
      reject(signal.reason);
    });
  })),
], { log: createWorkerLog({ level: 'error' }) });
`;

const NUMBERS = `
name: numbers
inputs: {count: number, fail: {type: boolean, default: false}}
steps:
  list: {service: list, input: "\${{ inputs.count }}"}
  double: {service: double, forEach: "\${{ steps.list.output }}", parallel: 2, input: "\${{ item }}"}
  sum: {service: sum, input: {numbers: "\${{ steps.double.output }}", fail: "\${{ inputs.fail }}"}}
outputs: {sum: {value: "\${{ steps.sum.output }}", file: sum.json}}
`;
const JOBS = ['.double.0.1', '.double.1.1', '.list.0.1', '.sum.0.1'];

/** A broker and a worker; files in a folder of the test. */
async function newWorld() {
  const { endpoint } = await commands.broker();
  const client = await commands.client(endpoint);
  const folder = commands.folder();
  const counts = join(folder, 'counts');
  writeFileSync(counts, '');
  const script = join(folder, 'worker.mjs');
  writeFileSync(script, WORKER);
  const file = join(folder, 'numbers.yaml');
  writeFileSync(file, NUMBERS);
  const env = { MLM_ENDPOINT: endpoint, COUNTS: counts };
  await commands.start(process.execPath, [script], { env });
  await until(() => offers(client, 'slow'), 'the worker');
  const done = (): string[] => readFileSync(counts, 'utf8').split('\n').filter(Boolean);
  const forget = (): void => writeFileSync(counts, '');
  return { endpoint, client, folder, file, done, forget };
}

async function offers(client: MlmClient, service: string): Promise<boolean> {
  const rows = (await client.request('$broker', 'services')).value();
  return (rows as { service: string; workers: number }[]).some(
    (row) => row.service === service && row.workers > 0,
  );
}

/** An orchestrator. With the address of one that was killed it has what that one had at once. */
function serve(endpoint: string): Promise<Child> {
  const env = { MLM_ENDPOINT: endpoint, MLM_ADDRESS: 'orchestrator', MLM_LOG_LEVEL: 'warn' };
  return commands.start(process.execPath, [MLM, 'pipeline', 'serve'], { env });
}

/** Follows a run; told the number of each event. */
async function ended(
  client: MlmClient,
  place: RequestedRun,
  onEvent: (count: number) => Promise<void> = () => Promise.resolve(),
): Promise<RunState> {
  const over = new AbortController();
  let count = 0;
  for await (const { view } of followRun(client, place, over.signal)) {
    await onEvent(++count);
    if (view.state.isOver) return view.state;
  }
  throw new Error('the run has no end');
}

test(
  'an orchestrator that is killed after any event is followed by another; nothing is done twice',
  async () => {
    const { endpoint, client, done, forget } = await newWorld();
    let orchestrator = await serve(endpoint);
    const submit = (fail: boolean): Promise<RequestedRun> =>
      submitRun(client, { file: 'numbers.yaml', source: NUMBERS, inputs: { count: 2, fail } });
    let events = 0;
    await ended(client, await submit(false), (count) => Promise.resolve(void (events = count)));
    expect(done().sort()).toEqual(JOBS);
    // Submitted, taken; three openings; four jobs that begin and end; the end.
    expect(events).toBe(14);
    for (let kill = 1; kill < events; kill++) {
      forget();
      const fail = kill % 2 === 0;
      const state = await ended(client, await submit(fail), async (count) => {
        if (count !== kill) return;
        await orchestrator.stop('SIGKILL');
        orchestrator = await serve(endpoint);
      });
      expect(state).toMatchObject(
        fail
          ? {
              phase: 'failed',
              reason:
                'step "sum": bad-input: asked to fail; its input was {"numbers":[2,4],"fail":true}',
            }
          : { phase: 'succeeded', outputs: { sum: 6 } },
      );
      expect(done().sort()).toEqual(JOBS);
    }
  },
  PATIENT_MS,
);

test(
  'mlm run is its own orchestrator where none is there, and shows what a run gives',
  async () => {
    const { endpoint, client, folder, file, done } = await newWorld();
    const out = join(folder, 'made');
    const ran = await commands.run(endpoint, ['run', file, '2', '--out', out]);
    expect(ran).toMatchObject({ code: 0, stdout: 'sum: 6\n' });
    expect(ran.stderr).toContain('double: succeeded, 2 of 2 done\n');
    expect(readFileSync(join(out, 'sum.json'), 'utf8')).toBe('6\n');
    expect(done().sort()).toEqual(JOBS);
    expect(await offers(client, 'pipelines')).toBe(false);

    const failed = await commands.run(endpoint, [
      'run',
      file,
      '-i',
      'count=1',
      '-i',
      'fail=true',
      '--json',
    ]);
    expect(failed.code).toBe(1);
    expect(JSON.parse(failed.stdout)).toMatchObject({
      state: 'failed',
      reason: 'step "sum": bad-input: asked to fail; its input was {"numbers":[2],"fail":true}',
      outputs: {},
    });
    const run = (JSON.parse(failed.stdout) as { run: string }).run;
    const svg = join(folder, 'run.svg');
    const shown = await commands.run(endpoint, ['pipeline', 'show', run, '--svg', svg]);
    expect(shown.stdout).toMatch(
      /state +failed[^]*1 +list +list +succeeded[^]*3 +sum +sum +failed/,
    );
    expect(readFileSync(svg, 'utf8')).toContain('succeeded, 1 of 1 done');
    const listed = await commands.run(endpoint, ['pipeline', 'ls', '--json']);
    expect(JSON.parse(listed.stdout)).toMatchObject([
      { pipeline: 'numbers', state: 'succeeded' },
      { run, pipeline: 'numbers', state: 'failed' },
    ]);
  },
  PATIENT_MS,
);

test(
  'what is wrong with a pipeline or its inputs is told before anything runs',
  async () => {
    const { endpoint, client, folder, file } = await newWorld();
    const wrong = join(folder, 'wrong.yaml');
    writeFileSync(wrong, 'name: p\nsteps:\n  a: {servise: x}\n  b: {service: s, needs: c}\n');
    const ran = await commands.run(endpoint, ['run', wrong]);
    expect(ran).toMatchObject({ code: 2, stdout: '' });
    expect(ran.stderr).toContain(`${wrong}:3:3: steps.a.service: is missing\n`);
    expect(ran.stderr).toContain(`${wrong}:3:7: steps.a.servise: there is no such key`);
    const inputs = await commands.run(endpoint, ['run', file, 'two']);
    expect(inputs).toMatchObject({ code: 2, stdout: '' });
    expect(inputs.stderr).toContain('input "count": it is a number, not "two"');
    expect(await listRuns(client)).toEqual([]);
    const nobody = await commands.run(endpoint, ['pipeline', 'show', 'no-such-run']);
    expect(nobody).toMatchObject({ code: 1 });
    expect(nobody.stderr).toContain('there is no run "no-such-run"');
  },
  PATIENT_MS,
);

test(
  'a run that was left alone waits, is gone on with, and ends with Ctrl-C and its jobs',
  async () => {
    const { endpoint, client, folder, done } = await newWorld();
    const file = join(folder, 'slow.yaml');
    writeFileSync(
      file,
      'name: slow\nsteps:\n  wait: {service: slow}\n  list: {service: list, input: 1}',
    );
    const detached = await commands.run(endpoint, ['run', file, '--detach']);
    const run = detached.stdout.trim();
    expect(detached).toMatchObject({ code: 0, stdout: `${run}\n` });
    expect(detached.stderr).toContain('there is no orchestrator');

    const resumed = await commands.begin(endpoint, ['pipeline', 'resume', run]);
    await until(() => done().includes('slow begins'), 'the slow job');
    resumed.signal('SIGINT');
    expect(await resumed.waitForExit()).toMatchObject({ code: 130 });
    expect(resumed.stderr).toContain(`the run ${run} cancelled`);
    await until(() => done().includes('slow ends: CANCELLED'), 'its end');
    expect(await listRuns(client)).toMatchObject([{ run, state: 'cancelled' }]);
    expect(done().filter((line) => line === '.wait.0.1')).toHaveLength(1);
    const cancelled = await commands.run(endpoint, ['pipeline', 'cancel', run]);
    expect(cancelled.code).toBe(1);
    expect(cancelled.stderr).toContain('is over: it has cancelled');
  },
  PATIENT_MS,
);

test(
  'the first Ctrl-C cancels the run, the second one only ends the waiting for that',
  async () => {
    const { endpoint, client, folder, done } = await newWorld();
    const file = join(folder, 'slow.yaml');
    writeFileSync(file, 'name: slow\nsteps: {wait: {service: slow}}');
    const orchestrator = await serve(endpoint);
    await until(() => offers(client, 'pipelines'), 'the orchestrator');
    const running = await commands.begin(endpoint, ['run', file]);
    await until(() => done().includes('slow begins'), 'the slow job');
    // Nobody acts on what is asked for now.
    orchestrator.signal('SIGSTOP');
    running.signal('SIGINT');
    await running.stderrMatch(/cancelling the run; Ctrl-C again does not wait for its end/);
    await until(async () => {
      return (await listRuns(client))[0]?.state === 'cancelling';
    }, 'the first one was heard');
    expect(await running.signalAgain('SIGINT')).toMatchObject({ code: 130 });
    orchestrator.signal('SIGCONT');
    await until(async () => {
      return (await listRuns(client))[0]?.state === 'cancelled';
    }, 'the end of the run');
    await until(() => done().includes('slow ends: CANCELLED'), 'its end');
  },
  PATIENT_MS,
);

test(
  'Ctrl-C does not wait for a broker that is gone',
  async () => {
    const { endpoint, child } = await commands.broker();
    const file = join(commands.folder(), 'slow.yaml');
    writeFileSync(file, 'name: slow\nsteps: {wait: {service: nobody}}');
    const running = await commands.begin(endpoint, ['run', file]);
    await running.stderrMatch(/wait: begins/);
    await child.stop('SIGKILL');
    running.signal('SIGINT');
    expect(await running.waitForExit()).toMatchObject({ code: 130 });
    expect(running.stderr).toMatch(
      /the broker is gone, and did not say that the run slow-\S+ is cancelled/,
    );
  },
  PATIENT_MS,
);

test(
  'a run whose orchestrators end too often is given up; "resume" goes on with it',
  async () => {
    const { endpoint } = await newBroker({ 'attempts-max': 2 });
    const client = await commands.client(endpoint);
    const source =
      'name: p\nsteps: {a: {service: echo, input: 5}}\noutputs: {a: "${{ steps.a.output }}"}';
    const { run, request } = await submitRun(client, { file: 'p.yaml', source });
    const becomes = (event: string, attempt: number): Promise<void> =>
      until(async () => {
        const state = await client.job('pipelines', request).state();
        return state?.event === event && state.attempt === attempt;
      }, `${event}, attempt ${attempt}`);
    for (const attempt of [1, 2]) {
      const orchestrator = await serve(endpoint);
      await becomes('started', attempt);
      await orchestrator.stop('SIGKILL');
    }
    // Who has its address next takes its place at once, and lets go of what it had.
    await commands.client(endpoint, 'orchestrator');
    await becomes('failed', 2);
    await client.offer('echo', (job) => job.value());
    const resumed = await commands.run(endpoint, ['pipeline', 'resume', run, '--json']);
    expect(resumed).toMatchObject({ code: 0 });
    expect(JSON.parse(resumed.stdout)).toMatchObject({
      run,
      state: 'succeeded',
      outputs: { a: 5 },
    });
  },
  PATIENT_MS,
);
