// `mlm job` as a real process, against a real broker and a worker in this process.
import { RequestFailure, type MlmClient, type ServiceRequest } from '../../client/index.js';
import { PATIENCE_MS, type Child } from '../support/processes.js';
import { MLM, resultOf, useCommands, type Broker, type Result } from './commands-support.js';
import { until } from '../support/until.js';

const commands = useCommands();

let broker: Broker;
let worker: MlmClient;
beforeEach(async () => {
  broker = await commands.broker();
  worker = await commands.client(broker.endpoint, 'worker');
});

const job = (...args: string[]): Promise<Result> => commands.run(broker.endpoint, ['job', ...args]);
const begin = (...args: string[]): Promise<Child> =>
  commands.begin(broker.endpoint, ['job', ...args]);

/** A worker that waits in the middle of a request, until it is let go. */
async function offerHalf(): Promise<{ release: () => void; begun: Promise<ServiceRequest> }> {
  let release = (): void => undefined;
  const released = new Promise<void>((resolve) => (release = resolve));
  let begin: (request: ServiceRequest) => void;
  const begun = new Promise<ServiceRequest>((resolve) => (begin = resolve));
  await worker.offer('render', async (request) => {
    request.progress(0.5, 'half \u001b[2J');
    begin(request);
    await Promise.race([
      released,
      new Promise((resolve) => request.signal.addEventListener('abort', resolve)),
    ]);
    return Buffer.from(`rendered ${request.text()}`);
  });
  return { release: () => release(), begun };
}

it('submits a job, tells how it is, and collects its result', async () => {
  const submitted = await job('submit', 'render', 'page', 'seven', '--id', 'j1', '--key', 'k');
  expect(submitted).toEqual({ code: 0, signal: null, stdout: 'j1\n', stderr: '' });
  const { release, begun } = await offerHalf();
  await begun;
  const watching = await begin('watch', 'render', 'j1');
  await watching.stderrMatch(/started {2}worker, attempt 1/);
  await watching.stderrMatch(/progress {2}50 %: half \\x1b\[2J/);
  const listed = await job('ls', 'render', '--state', 'started');
  expect(listed.stdout).toMatch(
    /^ID +SERVICE +STATE.*\nj1 +render +started .* worker .*50 %: half/,
  );
  release();
  expect(await resultOf(watching)).toMatchObject({ code: 0, stdout: 'rendered seven\n' });
  const shown = await job('show', 'render', 'j1');
  expect(shown.stdout).toMatch(/^service +render\nid +j1\nstate +succeeded\nsubject +page\n/);
  expect(shown.stdout).toMatch(
    /queued .*\n.*started .*\n.*progress .*\n.*succeeded +worker, attempt 1, 14 bytes\n$/,
  );
  const json = await job('show', 'render', 'j1', '--json');
  expect(JSON.parse(json.stdout)).toMatchObject([
    { id: 'j1', event: 'queued', subject: 'page' },
    { event: 'started', worker: 'worker', attempt: 1 },
    { event: 'progress', fraction: 0.5 },
    { event: 'succeeded', encoding: 'text', body: 'rendered seven' },
  ]);
});

it('says why a job failed, and makes it again', async () => {
  let isBroken = true;
  await worker.offer('render', () => {
    if (isBroken) throw new RequestFailure('bad-input', 'no ink');
    return 7;
  });
  const failed = await job('submit', 'render', 'page', 'x', '--id', 'j1', '--watch');
  expect(failed).toMatchObject({ code: 1, stdout: '' });
  expect(failed.stderr).toMatch(
    /^mlm: submitted the job j1\n(.*\n)*mlm: the job failed: .*no ink\n$/,
  );
  isBroken = false;
  expect(await job('retry', 'render', 'j1')).toMatchObject({ code: 0, stderr: '' });
  const watched = await job('watch', 'render', 'j1', '--json');
  expect(watched).toMatchObject({ code: 0, stderr: '' });
  const events = watched.stdout.trimEnd().split('\n');
  expect(events.map((line) => JSON.parse(line) as unknown)).toMatchObject([
    { event: 'queued' },
    { event: 'started' },
    { event: 'failed' },
    { event: 'queued' },
    { event: 'started' },
    { event: 'succeeded', encoding: 'msgpack', body: 7 },
  ]);
  const again = await job('retry', 'render', 'j1');
  expect([again.code, again.stderr]).toEqual([
    1,
    'mlm: the job j1 is no dead letter: it is succeeded; only what failed is made again\n',
  ]);
});

it('cancels a job, of which those who watch are told', async () => {
  const { begun } = await offerHalf();
  const watching = await begin('submit', 'render', 'page', 'x', '--id', 'j1', '--watch');
  const { signal } = await begun;
  expect(await job('cancel', 'render', 'j1')).toMatchObject({ code: 0, stderr: '' });
  await until(() => signal.aborted, 'the worker was told');
  const { code, stderr } = await resultOf(watching);
  expect(code).toBe(1);
  expect(stderr).toMatch(/\nmlm: the job was cancelled.*\n$/);
  expect((await job('cancel', 'render', 'j1')).code).toBe(1);
});

it('tells services and ids apart that have a slash', async () => {
  for (const [service, id] of [
    ['a', 'b/1'],
    ['a/b', '2'],
    ['a', '3'],
  ] as const) {
    await worker.submit(service, 'x', undefined, { id });
  }
  const listed = async (...args: string[]): Promise<unknown> => {
    const { stdout } = await job('ls', ...args, '--json');
    return (JSON.parse(stdout) as Record<string, unknown>[]).map(({ service, id }) => [
      service,
      id,
    ]);
  };
  const [first, second, third] = [
    ['a', 'b/1'],
    ['a/b', '2'],
    ['a', '3'],
  ];
  expect(await listed()).toEqual([first, second, third]);
  expect(await listed('a')).toEqual([first, third]);
  expect(await listed('a/b')).toEqual([second]);
  expect(await listed('a/b/1')).toEqual([]);
});

it('says what there is not', async () => {
  expect((await job('ls')).stdout).toBe('no jobs\n');
  for (const action of ['show', 'watch', 'retry']) {
    expect(await job(action, 'render', 'none')).toMatchObject({
      code: 1,
      stderr: 'mlm: the service "render" has no job none, or none that is remembered\n',
    });
  }
  const wrong = await job('ls', '--state', 'lazy');
  expect([wrong.code, wrong.stderr]).toEqual([
    2,
    expect.stringMatching(/^mlm: there is no state "lazy"; there are queued, started, /),
  ]);
});

it('shows a bar on a terminal; ending that does not end the job', async () => {
  const { release, begun } = await offerHalf();
  await worker.submit('render', 'page', Buffer.from('x'), { id: 'j1' });
  await begun;
  const call = `exec ${process.execPath} ${MLM} job watch render j1 -e ${broker.endpoint}`;
  const start = (): Promise<Child> => commands.start('script', ['-qec', call, '/dev/null']);
  const [ended, waiting] = [await start(), await start()];
  const bar = /█{12}░{12} 50 % {2}half \\x1b\[2J, worker/;
  for (const child of [ended, waiting]) {
    await child.until('a bar', PATIENCE_MS, () => bar.exec(child.stdout)?.[0], 20);
  }
  ended.write('\u0003');
  expect((await ended.waitForExit()).code).toBe(130);
  release();
  expect((await waiting.waitForExit()).code).toBe(0);
  expect(waiting.stdout).toMatch(/rendered x\r?\n$/);
});
