// The worker runtime over real sockets and a real broker in this process: what
// requesters get, what stopping does to jobs that run, wait or are yet to come.
import { startBroker, type Broker } from '../../broker/index.js';
import { connect, type MlmClient } from '../../client/index.js';
import {
  defineWorker,
  JobError,
  silentLog,
  startWorkers,
  type Job,
  type Worker,
  type WorkerGroup,
  type WorkerLog,
  type WorkersOptions,
} from '../../workers/index.js';
import { failureOf } from '../support/failure.js';
import { onceFree } from '../support/scripted-broker.js';
import { until } from '../support/until.js';

const brokers: Broker[] = [];
const groups: WorkerGroup[] = [];
const clients: MlmClient[] = [];
let endpoint = '';

async function newBroker(bind = 'tcp://127.0.0.1:*'): Promise<Broker> {
  const broker = await onceFree(() => startBroker({ bind: [bind], 'drain-timeout': 0 }));
  brokers.push(broker);
  [endpoint = ''] = broker.endpoints;
  return broker;
}

async function start(workers: Worker[], options: WorkersOptions = {}): Promise<WorkerGroup> {
  const group = await startWorkers(workers, { endpoint, log: silentLog, ...options });
  groups.push(group);
  return group;
}

async function newClient(): Promise<MlmClient> {
  const client = await connect(endpoint);
  clients.push(client);
  return client;
}

beforeEach(() => newBroker());

afterEach(async () => {
  await Promise.all(groups.splice(0).map((group) => group.stop()));
  await Promise.all(clients.splice(0).map((client) => client.close()));
  await Promise.all(brokers.splice(0).map((broker) => broker.stop()));
});

/** What the broker tells of itself, row by row. */
async function view(client: MlmClient, name: string): Promise<Record<string, unknown>[]> {
  return JSON.parse((await client.request('$broker', `${name}.json`)).text()) as Record<
    string,
    unknown
  >[];
}

async function workersOf(client: MlmClient, service: string): Promise<unknown> {
  const row = (await view(client, 'services')).find((one) => one['service'] === service);
  return row?.['workers'] ?? 0;
}

/** Handlers that begin at once and end when the test says so. */
class Gate {
  readonly jobs: Job[] = [];
  readonly #open: (() => void)[] = [];

  readonly handle = async (job: Job): Promise<string> => {
    this.jobs.push(job);
    await new Promise<void>((resolve) => this.#open.push(resolve));
    return `done ${job.subject}`;
  };

  /** Lets the oldest handlers end. */
  release(count = 1): void {
    for (const open of this.#open.splice(0, count)) open();
  }
}

describe('a job', () => {
  it('has what was asked, and its result is the reply', async () => {
    let seen: Job | undefined;
    const handle = (job: Job): unknown => {
      seen = job;
      return { heard: job.body.value() };
    };
    await start([defineWorker({ service: 'ear', handle })], { address: 'ear-1' });
    const client = await newClient();
    const reply = await client.request('ear', 'loud.noise', ['bang', 3]);
    expect(reply.value()).toEqual({ heard: ['bang', 3] });
    expect(reply.sender).toBe('ear-1');
    expect(seen).toMatchObject({ service: 'ear', subject: 'loud.noise', sender: client.address });
    expect(seen?.signal.aborted).toBe(false);
  });

  it('may be bytes and frames, both ways', async () => {
    const turn = ({ body }: Job): Buffer[] => [...body.content].reverse();
    const same = ({ body }: Job): Buffer => body.bytes();
    await start([
      defineWorker({ service: 'turn', handle: turn }),
      defineWorker({ service: 'same', handle: same }),
    ]);
    const client = await newClient();
    const frames = [Buffer.from([0]), Buffer.from([255, 1])];
    expect((await client.request('turn', '', frames)).content).toEqual(frames.toReversed());
    expect((await client.request('same', '', frames[1])).content).toEqual([frames[1]]);
  });

  it('can tell the world, and ask others', async () => {
    await start([
      defineWorker({ service: 'add', handle: ({ body }) => Number(body.text()) + 1 }),
      defineWorker({
        service: 'chain',
        handle: async ({ client, subject, body }) => {
          await client.stream('news').send(`began.${subject}`);
          return (await client.request('add', '', body.bytes())).value();
        },
      }),
    ]);
    const client = await newClient();
    const news = client.stream('news').read();
    await news.ready;
    expect((await client.request('chain', 'x', Buffer.from('41'))).value()).toBe(42);
    expect((await news.next()).value).toMatchObject({ subject: 'began.x' });
  });
});

it('each worker of a process gets the subjects of its pattern', async () => {
  const named = (name: string) => () => name;
  await start([
    defineWorker({ service: 'draw', pattern: '^svg/', handle: named('svg') }),
    defineWorker({ service: 'draw', pattern: '^png/', handle: named('png') }),
    defineWorker({ service: 'read', handle: named('read') }),
  ]);
  const client = await newClient();
  const ask = async (service: string, subject: string): Promise<unknown> =>
    (await client.request(service, subject)).value();
  expect(await ask('draw', 'png/a')).toBe('png');
  expect(await ask('draw', 'svg/a')).toBe('svg');
  expect(await ask('read', 'svg/a')).toBe('read');
  const nobody = failureOf(client.request('draw', 'gif/a', '', { deadlineMs: 200 }));
  expect(await nobody).toMatchObject({ code: 'EXPIRED' });
});

describe('a job that fails', () => {
  const failures: Record<string, () => unknown> = {
    coded: () => {
      throw new JobError('bad-input', 'this is no picture');
    },
    unexpected: () => Promise.reject(new TypeError('x is not a function')),
    'no error': () => AbortSignal.abort('text').throwIfAborted(),
  };
  const worker = defineWorker({
    service: 'fail',
    handle: ({ subject, body }) => failures[subject]?.() ?? body.text(),
  });

  it.each([
    ['coded', 'bad-input', 'this is no picture'],
    ['unexpected', 'TypeError', 'x is not a function'],
    ['no error', 'Error', 'text'],
    ['wrong body', 'INVALID_BODY', 'not UTF-8'],
  ])('rejects the request (%s), and the worker goes on', async (subject, workerCode, message) => {
    await start([worker], { address: 'w' });
    const client = await newClient();
    const failure = await failureOf(client.request('fail', subject, Buffer.from([0xff])));
    expect(failure).toMatchObject({ code: 'WORKER_ERROR', workerCode });
    expect(failure.message).toContain(message);
    expect((await client.request('fail', 'fine', Buffer.from('still here'))).value()).toBe(
      'still here',
    );
  });

  it('is logged with its job; a stack only where nobody expected it', async () => {
    const lines: Record<string, unknown>[] = [];
    const warn: WorkerLog['warn'] = (message, fields) => lines.push({ message, ...fields });
    await start([worker], { log: { ...silentLog, warn } });
    const client = await newClient();
    await failureOf(client.request('fail', 'coded'));
    await failureOf(client.request('fail', 'unexpected'));
    const job = { message: 'failed', service: 'fail', sender: client.address };
    const coded = {
      ...job,
      subject: 'coded',
      code: 'bad-input',
      reason: 'this is no picture',
      ms: expect.any(Number) as number,
    };
    const again = {
      ...job,
      subject: 'unexpected',
      code: 'TypeError',
      reason: 'x is not a function',
      ms: expect.any(Number) as number,
    };
    const unexpected = { ...again, stack: expect.stringContaining('workers.test') as string };
    // What nobody expected is tried five times; its stack is told once.
    expect(lines).toEqual([coded, unexpected, again, again, again, again]);
  });
});

it('as many jobs run at once as the capacity says', async () => {
  const gate = new Gate();
  const group = await start([defineWorker({ service: 's', capacity: 2, handle: gate.handle })]);
  const client = await newClient();
  const replies = ['1', '2', '3'].map((subject) => client.request('s', subject));
  await until(() => gate.jobs.length === 2);
  // The broker has all three requests before it answers this.
  await client.request('$broker', 'stats.json');
  expect(group.running).toBe(2);
  expect(gate.jobs.map(({ subject }) => subject)).toEqual(['1', '2']);
  gate.release();
  await until(() => gate.jobs.length === 3);
  gate.release(2);
  expect((await Promise.all(replies)).map((reply) => reply.value())).toEqual([
    'done 1',
    'done 2',
    'done 3',
  ]);
  expect(group.running).toBe(0);
});

describe('stopping', () => {
  it('lets a running job finish, while new requests go to others', async () => {
    const gate = new Gate();
    const first = await start([defineWorker({ service: 's', handle: gate.handle })]);
    const client = await newClient();
    const reply = client.request('s', 'slow');
    await until(() => gate.jobs.length === 1);
    const stopped = first.stop();
    await until(async () => (await workersOf(client, 's')) === 0);
    const later = client.request('s', 'later');
    await start([defineWorker({ service: 's', handle: () => 'other' })]);
    expect((await later).value()).toBe('other');
    expect(first.running).toBe(1);
    gate.release();
    expect((await reply).value()).toBe('done slow');
    expect(await stopped).toEqual({ unfinished: 0 });
    expect(await first.ended).toEqual({ unfinished: 0 });
  });

  it('loses no reply of jobs that end while the session begins anew', async () => {
    const gate = new Gate();
    const worker = defineWorker({ service: 's', capacity: 3, handle: gate.handle });
    const group = await start([worker]);
    const client = await newClient();
    const replies = ['1', '2', '3'].map((subject) => client.request('s', subject));
    await until(() => gate.jobs.length === 3);
    gate.release();
    const stopped = group.stop();
    gate.release();
    await Promise.resolve();
    gate.release();
    expect((await Promise.all(replies)).map((reply) => reply.value())).toEqual([
      'done 1',
      'done 2',
      'done 3',
    ]);
    expect(await stopped).toEqual({ unfinished: 0 });
  });

  it('leaves jobs that were not begun to others', async () => {
    const gate = new Gate();
    const group = await start([defineWorker({ service: 's', handle: gate.handle })]);
    const client = await newClient();
    const running = client.request('s', 'running');
    const waiting = client.request('s', 'waiting');
    await until(() => gate.jobs.length === 1);
    // The broker has had both requests before it answers this.
    await client.request('$broker', 'stats.json');
    void group.stop();
    await start([defineWorker({ service: 's', handle: () => 'other' })]);
    expect((await waiting).value()).toBe('other');
    gate.release();
    expect((await running).value()).toBe('done running');
    expect(gate.jobs).toHaveLength(1);
  });

  it('cuts off what takes longer than it may, tells the job, and leaves it to others', async () => {
    const gate = new Gate();
    const worker = defineWorker({ service: 's', handle: gate.handle });
    const group = await start([worker], { drainTimeoutMs: 20 });
    const client = await newClient();
    const reply = client.request('s', 'endless');
    await until(() => gate.jobs.length === 1);
    const [job] = gate.jobs;
    expect(job?.signal.aborted).toBe(false);
    expect(await group.stop()).toEqual({ unfinished: 1 });
    expect(job?.signal.aborted).toBe(true);
    await start([defineWorker({ service: 's', handle: () => 'other' })]);
    expect((await reply).value()).toBe('other');
    expect(group.running).toBe(0);
    // A handler that ends too late disturbs nobody.
    gate.release();
  });

  it('ends though the broker is gone', async () => {
    const gate = new Gate();
    const worker = defineWorker({ service: 's', handle: gate.handle });
    const group = await start([worker], { drainTimeoutMs: 20 });
    const client = await newClient();
    void failureOf(client.request('s', 'endless'));
    await until(() => gate.jobs.length === 1);
    await brokers[0]!.stop();
    expect(await group.stop()).toEqual({ unfinished: 1 });
  });

  it('leaves nothing with the broker, and can be asked for twice', async () => {
    const group = await start([defineWorker({ service: 's', handle: () => 1 })]);
    const client = await newClient();
    expect(await Promise.all([group.stop(), group.stop()])).toEqual([
      { unfinished: 0 },
      { unfinished: 0 },
    ]);
    expect((await view(client, 'clients')).map((row) => row['address'])).toEqual([client.address]);
    expect(await view(client, 'services')).toEqual([]);
  });

  it('happens when the signal fires', async () => {
    const over = new AbortController();
    const worker = defineWorker({ service: 's', handle: () => 1 });
    const group = await start([worker], { signal: over.signal });
    over.abort();
    expect(await group.ended).toEqual({ unfinished: 0 });
  });
});

describe('starting', () => {
  const worker = defineWorker({ service: 's', handle: () => 1 });

  it('fails as a whole where one worker cannot be', async () => {
    const failure = await failureOf(start([worker, worker]));
    expect(failure).toMatchObject({ code: 'INVALID_ARGUMENT' });
    const client = await newClient();
    expect(await view(client, 'services')).toEqual([]);
  });

  it('needs a worker', async () => {
    expect(await failureOf(start([]))).toMatchObject({ code: 'INVALID_ARGUMENT' });
  });

  it('says so where there is no broker', async () => {
    await brokers[0]!.stop();
    const failure = await failureOf(start([worker], { connectTimeoutMs: 100 }));
    expect(failure).toMatchObject({ code: 'CONNECT_TIMEOUT' });
  });

  it('ends where its signal has fired', async () => {
    const failure = await failureOf(start([worker], { signal: AbortSignal.abort() }));
    expect(failure).toMatchObject({ code: 'ABORTED' });
  });
});

it('workers offer again when the broker has come back', async () => {
  const messages: string[] = [];
  const info: WorkerLog['info'] = (message) => messages.push(message);
  const worker = defineWorker({ service: 's', handle: () => 'here' });
  await start([worker], { log: { ...silentLog, info } });
  await brokers[0]!.stop();
  await newBroker(endpoint);
  await until(() => messages.includes('connected again'));
  const client = await newClient();
  expect((await client.request('s', '')).value()).toBe('here');
});
