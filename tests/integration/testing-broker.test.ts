// The testing kit beside a real broker: its broker for tests, and that a handler run
// by the kit ends as the same handler does for a requester.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, type MlmClient, type MlmError } from '../../client/index.js';
import { defineWorker, JobError, type Job } from '../../workers/index.js';
import { runHandler, startTestBroker, type TestBroker } from '../../workers/testing/index.js';

let broker: TestBroker;
let client: MlmClient;
let folder: string;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'malamute-test-'));
  broker = await startTestBroker();
  client = await broker.connect();
});

afterEach(async () => {
  await broker.close();
  rmSync(folder, { recursive: true });
});

describe('a broker for tests', () => {
  it('is on a port of its own, and has workers and clients', async () => {
    expect(broker.endpoint).toMatch(/^tcp:\/\/127\.0\.0\.1:\d+$/);
    const other = await startTestBroker();
    expect(other.endpoint).not.toBe(broker.endpoint);
    await other.close();
    const shout = defineWorker({
      service: 'shout',
      handle: ({ body }) => Buffer.from(body.text().toUpperCase()),
    });
    const group = await broker.start([shout], { address: 'w' });
    expect(group.address).toBe('w');
    const reply = await client.request('shout', 'say', Buffer.from('hello'));
    expect([reply.text(), reply.sender]).toEqual(['HELLO', 'w']);
  });

  it('closes all that was started with it, once', async () => {
    const group = await broker.start([defineWorker({ service: 's', handle: () => 1 })]);
    await Promise.all([broker.close(), broker.close()]);
    expect(await group.ended).toEqual({ unfinished: 0 });
    await expect(client.request('s', 'x')).rejects.toMatchObject({ code: 'CLOSED' });
    const late = connect(broker.endpoint, { connectTimeoutMs: 50 });
    await expect(late).rejects.toMatchObject({ code: 'CONNECT_TIMEOUT' });
  });

  it('takes the options of a broker', async () => {
    await expect(startTestBroker({ timeout: 'soon' })).rejects.toThrow('timeout');
    const small = await startTestBroker({ 'message-bytes-max': 2000 });
    const asking = await small.connect();
    const sent = asking.stream('s').send('x', Buffer.alloc(3000));
    await expect(sent).rejects.toMatchObject({ name: 'MlmError' });
    await small.close();
  });

  it('runs pipelines with workers of the test', async () => {
    const double = defineWorker({
      service: 'double',
      handle: ({ body }) => Number(body.value()) * 2,
    });
    const echo = defineWorker({ service: 'echo', handle: ({ body }) => body.content });
    const fails = defineWorker({
      service: 'fails',
      handle: () => {
        throw new JobError('bad-input', 'no face');
      },
    });
    await broker.start([double, echo, fails]);
    const file = join(folder, 'p.yaml');
    writeFileSync(
      file,
      `
      name: p
      inputs: {n: number, photo: file}
      steps:
        one: {service: double, input: "\${{ inputs.n }}"}
        two: {service: double, input: "\${{ steps.one.output }}"}
        copy: {service: echo, input: "\${{ inputs.photo }}", outputAs: file}
        never: {service: fails, when: "\${{ inputs.n = 4 }}"}
      outputs: {n: "\${{ steps.two.output }}", photo: "\${{ steps.copy.output }}"}`,
    );
    const photo = { name: 'a.png', content: Buffer.from('octets') };
    expect(await broker.runPipeline(file, { n: 3, photo })).toEqual({
      state: 'succeeded',
      reason: '',
      outputs: { n: 12, photo: { name: '', content: photo.content } },
      steps: { one: 'succeeded', two: 'succeeded', copy: 'succeeded', never: 'skipped' },
    });
    const failed = await broker.runPipeline(file, { n: 4, photo });
    expect(failed).toMatchObject({ state: 'failed', outputs: {}, steps: { never: 'failed' } });
    expect(failed.reason).toContain('step "never": bad-input: no face');
    await expect(broker.runPipeline(file, { n: 4 })).rejects.toThrow('input "photo" is missing');
    writeFileSync(file, 'name: q\nsteps: {one: {service: of-nobody}}');
    const waiting = broker.runPipeline(file, {}, AbortSignal.timeout(100));
    await expect(waiting).rejects.toMatchObject({ code: 'ABORTED' });
  });
});

describe('the kit and the broker agree about', () => {
  const SLOW = 'a handler that is too slow';
  const steps: Readonly<Record<string, (job: Job) => unknown>> = {
    value: ({ body }) => ({ got: body.value() }),
    frames: () => [Buffer.from('a'), Buffer.from('b')],
    nothing: () => undefined,
    parts: async function* () {
      await Promise.resolve();
      yield 'a';
      yield Buffer.from('b');
      return 'end';
    },
    emitted: ({ emit, progress }) => {
      progress(0.5, 'half');
      emit({ token: 1 });
      return 'end';
    },
    'bad input': () => {
      throw new JobError('bad-input', 'no face');
    },
    'a wrong body': ({ body }) => body.bytes(),
    'what cannot travel': () => Symbol('none'),
    [SLOW]: ({ signal }) =>
      new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('late')))),
  };
  it.each(Object.keys(steps))('%s', async (subject) => {
    const body = [Buffer.from([7]), Buffer.from([8])].slice(subject === 'value' ? 1 : 0);
    const worker = defineWorker({
      service: 's',
      ...(subject === SLOW ? { timeLimitMs: 100 } : {}),
      failuresMax: 0,
      handle: (job) => steps[job.subject]!(job),
    });
    const run = await runHandler(worker, { subject, body });
    await broker.start([worker]);
    const partials: Buffer[][] = [];
    const progress: unknown[] = [];
    // One attempt is enough: what becomes of a failure that is not final stands in its event.
    const job = await client.submit('s', subject, body);
    for await (const event of job.events()) {
      if (event.event === 'partial') partials.push([...event.content]);
      if (event.event === 'progress') progress.push(event.progress);
      if (event.event === 'succeeded') {
        expect(run.outcome).toBe('done');
        expect(run.reply.content).toEqual(event.content);
      }
      if (event.event === 'failed' || event.event === 'retrying') {
        expect(run.outcome).toBe('failed');
        expect(event.reason).toBe(run.failure?.reason);
        expect(run.failure?.class === 'bad-input').toBe(event.event === 'failed');
        break;
      }
    }
    expect(run.partials.map(({ content }) => content)).toEqual(partials);
    expect(run.progress).toEqual(progress);
    await job.cancel().catch((error: unknown) => expect((error as MlmError).code).toBe('REFUSED'));
  });
});
