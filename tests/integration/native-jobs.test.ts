// Jobs over real sockets and a broker in this process: submitted, followed,
// collected and cancelled by whoever knows the id, across restarts of the broker.
import {
  RequestFailure,
  type JobEvent,
  type MlmClient,
  type ServiceRequest,
} from '../../client/index.js';
import { failureOf, next, range, World } from '../support/sessions.js';
import { until } from '../support/until.js';

const world = new World();

afterEach(() => world.close());

/** Handlers that begin at once and end when the test says so. */
class Gate {
  readonly requests: ServiceRequest[] = [];
  readonly #open: (() => void)[] = [];

  readonly handle = async (request: ServiceRequest): Promise<string> => {
    this.requests.push(request);
    await new Promise<void>((resolve) => this.#open.push(resolve));
    return `done ${request.subject}`;
  };

  release(count = 1): void {
    for (const open of this.#open.splice(0, count)) open();
  }
}

async function eventsOf(client: MlmClient, service: string, id: string): Promise<JobEvent[]> {
  const events: JobEvent[] = [];
  for await (const event of client.job(service, id).events()) events.push(event);
  return events;
}

const namesOf = (events: readonly JobEvent[]): string[] => events.map(({ event }) => event);

describe.each(['memory', 'disk'])('a job (%s)', (kind) => {
  let asking: MlmClient;
  let working: MlmClient;
  beforeEach(async () => {
    await world.broker(kind === 'disk' ? { data: await world.directory() } : {});
    [asking, working] = [
      await world.client({ address: 'asks' }),
      await world.client({ address: 'w' }),
    ];
  });

  it('is submitted, done, and its result is there for whoever asks', async () => {
    await working.offer('s', (request) => ({ subject: request.subject, value: request.value() }));
    const job = await asking.submit('s', 'resize', { width: 240 });
    expect(job).toMatchObject({
      service: 's',
      id: expect.stringMatching(/^[0-9a-z]{12}-/) as string,
    });
    const reply = await job.result();
    expect([reply.subject, reply.sender]).toEqual(['resize', 'w']);
    expect(reply.value()).toEqual({ subject: 'resize', value: { width: 240 } });
    const other = await world.client({ address: '' });
    expect((await other.job('s', job.id).result()).value()).toEqual(reply.value());
    expect(await other.job('s', job.id).state()).toMatchObject({ event: 'succeeded', worker: 'w' });
    expect(await other.job('s', 'no such job').state()).toBeUndefined();
    expect(await other.job('no such service', 'x').state()).toBeUndefined();
    // Nothing came to the mailbox of who submitted it.
    const mailboxes = (await asking.request('$broker', 'mailboxes')).value();
    expect(mailboxes).toEqual([]);
  });

  it('has a history: progress, parts, attempts that failed', async () => {
    await working.offer('s', (request) => {
      request.progress(0.5, 'half');
      request.emit(Buffer.from('part'));
      if (request.attempt === 1) throw new RequestFailure('transient', 'not yet');
      return Buffer.from('whole');
    });
    const job = await asking.submit('s', 'x', undefined, { id: 'job 1: a/b', priority: 2 });
    const events = await eventsOf(await world.client(), 's', 'job 1: a/b');
    expect(namesOf(events)).toEqual([
      'queued',
      'started',
      'progress',
      'partial',
      'retrying',
      'started',
      'progress',
      'partial',
      'succeeded',
    ]);
    expect(events[0]).toMatchObject({ id: job.id, sender: 'asks', subject: 'x' });
    expect(events[1]).toMatchObject({ worker: 'w', attempt: 1 });
    expect(events[2]).toMatchObject({ progress: { fraction: 0.5, note: 'half' }, attempt: 1 });
    expect(events[3]!.text()).toBe('part');
    expect(events[4]).toMatchObject({ reason: 'transient: not yet', attempt: 1 });
    expect(events[5]).toMatchObject({ attempt: 2 });
    expect(events[8]!.text()).toBe('whole');
    const later = await world.client();
    const tail: string[] = [];
    const from = { sequence: events[6]!.sequence };
    for await (const { event } of later.job('s', job.id).events({ from })) tail.push(event);
    expect(tail).toEqual(['progress', 'partial', 'succeeded']);
  });

  it('with the id of one that was there is not run again', async () => {
    let runs = 0;
    await working.offer('s', () => ++runs);
    const first = await asking.submit('s', 'x', '', { id: 'once' });
    expect((await first.result()).value()).toBe(1);
    const again = await asking.submit('s', 'x', '', { id: 'once' });
    expect((await again.result()).value()).toBe(1);
    const request = await asking.request('s', 'x', '', { id: 'once' });
    expect(request.value()).toBe(1);
    // The same id is another job with another service.
    await working.offer('t', () => 'other');
    expect((await asking.request('t', 'x', '', { id: 'once' })).value()).toBe('other');
    expect(runs).toBe(1);
  });

  it('that fails for good says why, and lives again when its dead letter is retried', async () => {
    let works = false;
    await working.offer('s', () => {
      if (works) return 'now';
      throw new RequestFailure('bad-input', 'no picture');
    });
    const job = await asking.submit('s', 'x');
    expect(await failureOf(job.result())).toMatchObject({
      code: 'WORKER_ERROR',
      workerCode: 'bad-input',
    });
    expect(await job.state()).toMatchObject({ event: 'failed', reason: 'bad-input: no picture' });
    works = true;
    const [letter] = await asking.deadLetters('s');
    await asking.retryDeadLetter('s', letter!.letter);
    await until(async () => (await job.state())?.event === 'succeeded');
    expect((await job.result()).value()).toBe('now');
    const names = namesOf(await eventsOf(asking, 's', job.id));
    expect([names.indexOf('failed') > 0, names.at(-1)]).toEqual([true, 'succeeded']);
  });

  it('is cancelled by anyone, waiting or running', async () => {
    const gate = new Gate();
    await working.offer('s', gate.handle);
    const [running, waiting] = [await asking.submit('s', 'a'), await asking.submit('s', 'b')];
    await until(() => gate.requests.length === 1);
    const boss = await world.client({ address: 'boss' });
    const results = [failureOf(running.result()), failureOf(waiting.result())];
    expect(await boss.job('s', waiting.id).cancel()).toBe('waiting');
    expect(await boss.job('s', running.id).cancel()).toBe('running');
    await until(() => gate.requests[0]!.signal.aborted);
    for (const failure of await Promise.all(results)) {
      expect(failure).toMatchObject({ code: 'CANCELLED', status: 410 });
      expect(failure.message).toContain('boss');
    }
    expect(await failureOf(running.cancel())).toMatchObject({ code: 'REFUSED' });
    expect(await running.state()).toMatchObject({ event: 'cancelled' });
    gate.release();
    const after = asking.request('s', 'c');
    await until(() => gate.requests.length === 2);
    gate.release();
    expect((await after).value()).toBe('done c');
  });

  it('expires at its deadline', async () => {
    const job = await asking.submit('s', 'x', '', { deadlineMs: 50 });
    expect(await failureOf(job.result())).toMatchObject({ code: 'EXPIRED' });
  });

  it('goes on when nobody waits for it any more', async () => {
    const gate = new Gate();
    await working.offer('s', gate.handle);
    const controller = new AbortController();
    const options = { id: 'j', signal: controller.signal };
    const request = failureOf(asking.request('s', 'x', '', options));
    await until(() => gate.requests.length === 1);
    controller.abort();
    expect(await request).toMatchObject({ code: 'ABORTED' });
    const late = failureOf(asking.job('s', 'j').result({ timeoutMs: 20 }));
    expect(await late).toMatchObject({ code: 'TIMEOUT' });
    await asking.close();
    expect(gate.requests[0]!.signal.aborted).toBe(false);
    gate.release();
    const collector = await world.client();
    expect((await collector.job('s', 'j').result()).value()).toBe('done x');
  });

  it('tells who waits for it of progress and parts', async () => {
    await working.offer('s', async function* (request) {
      request.progress(0.5);
      yield 'a';
      await working.ping();
      yield 'b';
    });
    const told: unknown[] = [];
    const reply = await asking.request('s', 'x', '', {
      id: 'j',
      onProgress: (progress) => told.push(progress),
      onPartial: (part) => told.push(part.value()),
    });
    expect(reply.value()).toEqual(['a', 'b']);
    expect(told).toEqual([{ fraction: 0.5 }, 'a', 'b']);
  });
});

it('jobs without number are awaited, done or not, with few readers', async () => {
  await world.broker();
  const [asking, working] = [await world.client(), await world.client()];
  await working.offer('s', { capacity: 50 }, ({ subject }) => subject);
  await working.offer('t', { capacity: 50 }, ({ subject }) => subject);
  const jobs = await Promise.all(
    range(1, 400).map((n) => asking.submit(n % 2 === 0 ? 's' : 't', String(n))),
  );
  const results = jobs.map(async (job) => (await job.result()).value());
  const again = jobs.map(async (job) => (await asking.job(job.service, job.id).result()).value());
  const { readers } = await asking.streamInfo('$jobs');
  expect(await Promise.all(results)).toEqual(range(1, 400).map(String));
  expect(await Promise.all(again)).toEqual(range(1, 400).map(String));
  expect(readers).toBeLessThan(60);
  await until(async () => (await asking.streamInfo('$jobs')).readers === 0);
  // Ids sort by the time at which they were made.
  const ids = jobs.map(({ id }) => id);
  expect(ids.toSorted()).toEqual(ids);
  expect(new Set(ids).size).toBe(400);
});

it('a result that is awaited before the job is submitted comes', async () => {
  await world.broker();
  const [asking, other] = [await world.client(), await world.client()];
  await other.offer('s', () => 'done');
  const results = range(1, 20).map((n) => asking.job('s', `j${n}`).result());
  await asking.ping();
  for (const n of range(1, 20)) await other.submit('s', 'x', '', { id: `j${n}` });
  expect((await Promise.all(results)).map((reply) => reply.value())).toEqual(
    Array(20).fill('done'),
  );
});

it('what cannot be a job is said so', async () => {
  await world.broker();
  const client = await world.client();
  const codes = await Promise.all([
    failureOf(client.submit('s', 'x', '', { id: '' })),
    failureOf(client.submit('s', 'x', '', { id: 'x'.repeat(254) })),
    failureOf(client.submit('s', 'x', () => 1)),
    failureOf(client.submit('s', 'x', '', { signal: AbortSignal.abort() })),
    failureOf(client.submit('$broker', 'x')),
  ]);
  expect(codes.map(({ code }) => code)).toEqual([
    'INVALID_ARGUMENT',
    'INVALID_ARGUMENT',
    'INVALID_ARGUMENT',
    'ABORTED',
    'INVALID_ARGUMENT',
  ]);
  expect(() => client.job('s', '')).toThrow('id must not be empty');
  const plain = await world.client({ protocol: 'v1' });
  expect(await failureOf(plain.submit('s', 'x'))).toMatchObject({ code: 'UNSUPPORTED' });
  expect(() => plain.job('s', 'x')).toThrow('needs a native session');
  const waiting = failureOf(client.job('s', 'never').result());
  await client.close();
  expect(await waiting).toMatchObject({ code: 'CLOSED' });
});

it('a broker that ends loses no job: the results of what was accepted come', async () => {
  const data = await world.directory();
  let broker = await world.broker({ data });
  const [asking, waiting] = [await world.client(), await world.client()];
  const jobs = await Promise.all(range(1, 30).map((n) => asking.submit('s', String(n))));
  await asking.close();
  const results = jobs.map(({ id }) => waiting.job('s', id).result());
  for (let restart = 0; restart < 2; restart++) {
    const back = next(waiting, 'connected');
    await broker.stop();
    broker = await world.broker({ data });
    await back;
  }
  const working = await world.client();
  await working.offer('s', { capacity: 4 }, ({ subject }) => `done ${subject}`);
  const values = (await Promise.all(results)).map((reply) => reply.value());
  expect(values).toEqual(range(1, 30).map((n) => `done ${n}`));
  // And once more, after another one.
  await broker.stop();
  await world.broker({ data });
  const late = await world.client();
  expect((await late.job('s', jobs[6]!.id).result()).value()).toBe('done 7');
  const again = await late.submit('s', '7', '', { id: jobs[6]!.id });
  expect((await again.result()).value()).toBe('done 7');
});
