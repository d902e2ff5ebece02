// Workers as processes, from the built files: how they begin, what signals do to
// them, and that the example in the documentation is true.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { startBroker, type Broker } from '../../broker/index.js';
import { connect, type MlmClient } from '../../client/index.js';
import { PATIENCE_MS, useProcesses, type Child } from '../support/processes.js';
import { failureOf } from '../support/failure.js';

const ENTRY = pathToFileURL('dist/workers/index.js').href;
/** For requests that wait until a process has started. */
const PATIENT = { timeoutMs: PATIENCE_MS };

const processes = useProcesses();
let broker: Broker;
let endpoint = '';
let client: MlmClient;

beforeEach(async () => {
  broker = await startBroker({ bind: ['tcp://127.0.0.1:*'], 'drain-timeout': 0 });
  [endpoint = ''] = broker.endpoints;
  client = await connect(endpoint);
});

afterEach(async () => {
  await client.close();
  await broker.stop();
});

/** Starts a script that imports the runtime; ready once it prints `begun`. */
async function start(script: string, env: Record<string, string> = {}): Promise<Child> {
  const file = join(processes.folder(), 'worker.mjs');
  writeFileSync(file, script.replaceAll("'malamute-ts/workers'", JSON.stringify(ENTRY)));
  return processes.start(process.execPath, [file], {
    env: { MLM_ENDPOINT: endpoint, MLM_ADDRESS: 'w', ...env },
    readyLine: /^begun$/,
  });
}

/** A worker process whose jobs end with the reply of the service `gate`. */
const GATED = `
  import { defineWorker, runWorkers } from 'malamute-ts/workers';
  const handle = async ({ client, subject }) => (await client.request('gate', subject)).value();
  const ended = runWorkers([defineWorker({ service: 's', handle })]);
  console.log('begun');
  await ended;
  console.log('ended');
`;

/** One whose jobs never end, heed nothing and keep the process alive. */
const STUBBORN = `
  import { defineWorker, runWorkers } from 'malamute-ts/workers';
  const handle = () => {
    console.log('working');
    return new Promise(() => setInterval(() => {}, 1000));
  };
  const ended = runWorkers([defineWorker({ service: 's', handle })]);
  console.log('begun');
  await ended;
  console.log('ended');
`;

/** The worker that the documentation shows. */
function documented(): string {
  const source = readFileSync('workers/index.ts', 'utf8');
  const [, example = ''] = /^\/\/ ```ts\n((?:\/\/.*\n)+?)\/\/ ```$/m.exec(source) ?? [];
  return example.replaceAll(/^\/\/ ?/gm, '');
}

it('the documented worker works, and has ten lines', async () => {
  const script = documented();
  expect(script.split('\n').filter((line) => line !== '').length).toBeLessThanOrEqual(10);
  await start(`${script.replace('await runWorkers', 'runWorkers')}; console.log('begun');`);
  const reply = await client.request('shout', 'any', Buffer.from('hello'), PATIENT);
  expect(reply.text()).toBe('HELLO');
  expect(reply.sender).toBe('w');
  const failure = failureOf(client.request('shout', 'any', Buffer.from('')));
  expect(await failure).toMatchObject({ code: 'WORKER_ERROR', workerCode: 'bad-input' });
});

it.each(['SIGTERM', 'SIGINT'] as const)('%s lets the job finish, then all ends', async (signal) => {
  const worker = await start(GATED);
  let open: (() => void) | undefined;
  const asked = new Promise<void>((resolve) => {
    void client.offer('gate', () => {
      resolve();
      return new Promise((opened) => {
        open = () => opened('through');
      });
    });
  });
  const reply = client.request('s', 'job', '', PATIENT);
  await asked;
  worker.signal(signal);
  await worker.stderrMatch(/"message":"stopping"/);
  open?.();
  expect((await reply).value()).toBe('through');
  expect(await worker.waitForExit()).toEqual({ code: 0, signal: null });
  expect(worker.stdout).toBe('begun\nended\n');
});

it('a job that does not finish in its time is left to another worker, and the status tells', async () => {
  const worker = await start(STUBBORN, { MLM_DRAIN_TIMEOUT: '20' });
  const reply = client.request('s', 'job', '', PATIENT);
  await worker.line(/working/);
  worker.signal('SIGTERM');
  expect(await worker.waitForExit()).toEqual({ code: 1, signal: null });
  expect(worker.stdout).toBe('begun\nworking\nended\n');
  await client.offer('s', () => 'done by another');
  expect((await reply).value()).toBe('done by another');
});

it('a second signal ends the process at once', async () => {
  const worker = await start(STUBBORN, { MLM_DRAIN_TIMEOUT: '600000' });
  void failureOf(client.request('s', 'job', '', PATIENT));
  await worker.line(/working/);
  worker.signal('SIGTERM');
  await worker.stderrMatch(/"message":"stopping"/);
  expect(await worker.signalAgain('SIGTERM')).toEqual({ code: 1, signal: null });
});

it('a Ctrl-C that npm hands on, too, is one: the job finishes', async () => {
  const worker = await start(GATED);
  const asked = new Promise<() => void>((resolve) => {
    void client.offer('gate', () => new Promise((open) => resolve(() => open('through'))));
  });
  const reply = client.request('s', 'job', '', PATIENT);
  const open = await asked;
  // Both are there before the process looks: it stands still.
  worker.signal('SIGSTOP');
  worker.signal('SIGINT');
  worker.signal('SIGTERM');
  worker.signal('SIGCONT');
  await worker.stderrMatch(/"message":"stopping"/);
  open();
  expect((await reply).value()).toBe('through');
  expect(await worker.waitForExit()).toEqual({ code: 0, signal: null });
});

it('without a broker there is one line that says why, and the status tells', async () => {
  await broker.stop();
  const script = GATED.replace('handle })]', 'handle })], { connectTimeoutMs: 100 }');
  const worker = await start(script);
  expect(await worker.waitForExit()).toEqual({ code: 1, signal: null });
  expect(
    worker.stderr
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as unknown),
  ).toEqual([
    expect.objectContaining({
      level: 'error',
      message: expect.stringContaining(`no Malamute broker answered at ${endpoint}`) as string,
    }),
  ]);
});

it('a signal ends the search for a broker', async () => {
  await broker.stop();
  const script = GATED.replace('handle })]', 'handle })], { connectTimeoutMs: 600000 }');
  const worker = await start(script);
  worker.signal('SIGTERM');
  expect(await worker.waitForExit()).toEqual({ code: 0, signal: null });
  expect(worker.stderr).toBe('');
});

it('a variable that cannot be is named', async () => {
  const worker = await start(GATED, { MLM_DRAIN_TIMEOUT: 'soon' });
  expect(await worker.waitForExit()).toEqual({ code: 1, signal: null });
  expect(worker.stderr).toContain('MLM_DRAIN_TIMEOUT must be a whole number');
});

it('a worker that is killed is missed at once, however patient the broker is with silence', async () => {
  const patient = await startBroker({ bind: ['tcp://127.0.0.1:*'], timeout: 3_600_000 });
  const [at = ''] = patient.endpoints;
  const asks = await connect(at, { address: 'asks' });
  try {
    const worker = await start(STUBBORN, { MLM_ENDPOINT: at });
    const reply = asks.request('s', 'x', 'y', PATIENT);
    await worker.line(/working/);
    const told = asks.stream('$presence').read({ from: 'compact', pattern: '^w$' });
    const events = (async () => {
      const seen: unknown[] = [];
      for await (const message of told) {
        const { event } = message.value() as { event: string };
        seen.push(event);
        if (event === 'left') break;
      }
      return seen;
    })();
    await worker.stop('SIGKILL');
    await asks.offer('s', ({ attempt }) => attempt);
    expect((await reply).value()).toBe(2);
    expect((await events).at(-1)).toBe('left');
  } finally {
    await asks.close();
    await patient.stop();
  }
});
