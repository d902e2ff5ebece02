// The worker runtime over real sockets and a real broker in this process: what a
// job may say while it runs, what ends it early, and how workers that fail are
// paused and come back.
import { connect, type MlmClient, type MlmError } from '../../client/index.js';
import {
  defineWorker,
  JobError,
  silentLog,
  startWorkers,
  type Job,
  type LogFields,
  type Worker,
  type WorkerGroup,
  type WorkersOptions,
} from '../../workers/index.js';
import { useBrokers } from '../support/brokers.js';
import { failureOf } from '../support/sessions.js';
import { until, untilPasses } from '../support/until.js';

const groups: WorkerGroup[] = [];
const clients: MlmClient[] = [];
let endpoint = '';
let asking: MlmClient;

/** What the workers logged. */
const lines: { level: string; message: string; fields: LogFields }[] = [];
const at =
  (level: string) =>
  (message: string, fields: LogFields = {}): number =>
    lines.push({ level, message, fields });
const log = { error: at('error'), warn: at('warn'), info: at('info'), debug: silentLog.debug };
const logged = (message: string): LogFields[] =>
  lines.filter((line) => line.message === message).map(({ fields }) => fields);

beforeEach(async () => {
  lines.length = 0;
  ({ endpoint } = await newBroker());
  asking = await newClient();
});

afterEach(async () => {
  await Promise.all(groups.splice(0).map((group) => group.stop()));
  await Promise.all(clients.splice(0).map((client) => client.close()));
});
// Brokers end after those who need them to say farewell.
const newBroker = useBrokers();

async function start(worker: Worker, options: WorkersOptions = {}): Promise<WorkerGroup> {
  const group = await startWorkers([worker], { endpoint, log, address: 'w', ...options });
  groups.push(group);
  return group;
}

async function newClient(): Promise<MlmClient> {
  const client = await connect(endpoint);
  clients.push(client);
  return client;
}

/** Ends when the signal of the job fires. */
function untilAborted({ signal }: Job): Promise<never> {
  return new Promise((_, reject) =>
    signal.addEventListener('abort', () => reject(signal.reason as Error)),
  );
}

describe('a job', () => {
  it('knows its attempt and its name, tells how far it is, and sends parts', async () => {
    const seen: unknown[] = [];
    const handle = (job: Job): string => {
      seen.push([job.attempt, job.tracker]);
      job.progress(0.25, 'begun');
      job.emit({ part: job.attempt });
      job.extend();
      if (job.attempt === 1) throw new JobError('transient', 'once more');
      return 'done';
    };
    await start(defineWorker({ service: 's', handle }));
    const told: unknown[] = [];
    const reply = await asking.request('s', 'x', '', {
      id: 'job-1',
      onProgress: (progress) => told.push(progress),
      onPartial: (part) => told.push(part.value()),
    });
    expect(reply.value()).toBe('done');
    expect(seen).toEqual([
      [1, 'job-1'],
      [2, 'job-1'],
    ]);
    const begun = { fraction: 0.25, note: 'begun' };
    expect(told).toEqual([begun, { part: 1 }, begun, { part: 2 }]);
  });

  it('may be a generator', async () => {
    const handle = async function* ({ body }: Job): AsyncGenerator<string> {
      for (const word of body.text().split(' ')) {
        await Promise.resolve();
        yield word;
      }
    };
    const group = await start(defineWorker({ service: 's', handle }));
    const words: unknown[] = [];
    const reply = await asking.request('s', 'x', Buffer.from('a b c'), {
      onPartial: (part) => words.push(part.value()),
    });
    expect([words, reply.value()]).toEqual([
      ['a', 'b', 'c'],
      ['a', 'b', 'c'],
    ]);
    expect(group.running).toBe(0);
  });

  it('may submit others, and wait for them', async () => {
    await start(defineWorker({ service: 'inner', handle: ({ subject }) => `inner ${subject}` }));
    const handle = async ({ client }: Job): Promise<unknown> => {
      const jobs = await Promise.all(['a', 'b'].map((name) => client.submit('inner', name)));
      return Promise.all(jobs.map(async (job) => (await job.result()).value()));
    };
    await start(defineWorker({ service: 'outer', handle }), { address: 'w2' });
    expect((await asking.request('outer', '')).value()).toEqual(['inner a', 'inner b']);
  });

  it('that is cancelled sees its signal fire; nobody is to blame', async () => {
    const jobs: Job[] = [];
    const handle = (job: Job): unknown => {
      jobs.push(job);
      return job.subject === 'next' ? 'next' : untilAborted(job);
    };
    await start(defineWorker({ service: 's', failuresMax: 1, handle }));
    const controller = new AbortController();
    const request = failureOf(asking.request('s', 'first', '', controller));
    await until(() => jobs.length === 1);
    controller.abort();
    await request;
    await until(() => jobs[0]!.signal.aborted);
    expect((jobs[0]!.signal.reason as MlmError).code).toBe('CANCELLED');
    expect((await asking.request('s', 'next')).value()).toBe('next');
    expect([logged('given up').length, logged('failed').length, logged('paused').length]).toEqual([
      1, 0, 0,
    ]);
  });

  it('that takes longer than it may fails, and says so', async () => {
    const worker = defineWorker({
      service: 's',
      timeLimitMs: 30,
      handle: (job) => (job.attempt < 3 ? untilAborted(job) : 'in time'),
    });
    await start(worker);
    expect((await asking.request('s', 'x')).value()).toBe('in time');
    expect(logged('failed').map(({ code, reason }) => [code, reason])).toEqual(
      Array(2).fill(['time-limit', 'it took longer than 30 ms, the time limit of this worker']),
    );
  });

  it('that is a generator has the same time limit', async () => {
    const handle = async function* (job: Job): AsyncGenerator<number> {
      yield 1;
      if (job.attempt === 1) await untilAborted(job);
    };
    await start(defineWorker({ service: 's', timeLimitMs: 500, handle }));
    expect((await asking.request('s', 'x')).value()).toEqual([1]);
    // Where the machine is busy, others may have taken too long, too.
    expect(logged('failed')[0]).toMatchObject({ code: 'time-limit' });
  });

  it('that runs when the time to finish is over goes to another worker at once', async () => {
    const handle = (job: Job): Promise<never> => untilAborted(job);
    const group = await start(defineWorker({ service: 's', handle }), { drainTimeoutMs: 20 });
    const job = await asking.submit('s', 'x');
    await until(async () => (await job.state())?.event === 'started');
    expect(await group.stop()).toEqual({ unfinished: 1 });
    // It is given back as not ready: the attempt does not count.
    await until(async () => (await job.state())?.event === 'retrying');
    const other = defineWorker({ service: 's', handle: ({ attempt }) => `attempt ${attempt}` });
    await start(other, { address: 'w2' });
    expect((await job.result()).value()).toBe('attempt 1');
  });
});

describe('labels', () => {
  it('are what the worker says of itself, and later what it announces', async () => {
    const worker = defineWorker({
      service: 's',
      labels: { vramMb: 8000, models: [] },
      handle: ({ announce, subject }) => {
        if (subject === 'load') announce({ models: ['sam3'] });
        return subject;
      },
    });
    await start(worker);
    expect((await asking.request('s', 'x', '', { needs: { vramMb: 8000 } })).value()).toBe('x');
    const warm = asking.request('s', 'warm', '', { needs: { models: 'sam3', vramMb: 8000 } });
    await asking.flush();
    await asking.request('s', 'load');
    expect((await warm).value()).toBe('warm');
  });
});

describe('a worker whose jobs fail', () => {
  /** The capacity and the labels of its offer, as `$presence` tells them. */
  async function offerNow(): Promise<unknown> {
    for await (const message of asking.stream('$presence').read({ from: { last: 1 } })) {
      return (message.value() as { offers: { capacity: number; labels: unknown }[] }).offers[0];
    }
    return undefined;
  }

  it('is paused, for all to see, and comes back when one job goes well', async () => {
    let works = false;
    const worker = defineWorker({
      service: 's',
      capacity: 4,
      failuresMax: 3,
      labels: { gpu: true },
      handle: ({ subject }) => {
        if (works) return subject;
        throw new Error('the card is gone');
      },
    });
    await start(worker);
    const requests = ['1', '2', '3', '4'].map((subject) => asking.request('s', subject));
    await until(() => logged('paused').length > 0);
    expect(logged('paused')[0]).toMatchObject({ service: 's', reason: 'the card is gone' });
    // From time to time it tries one, and is paused again.
    const paused = { capacity: 0, labels: { gpu: true, paused: true } };
    await untilPasses(async () => expect(await offerNow()).toMatchObject(paused));
    works = true;
    // Nothing is lost meanwhile: what waits is done, first one to see, then all.
    const values = (await Promise.all(requests)).map((reply) => reply.value());
    expect(values).toEqual(['1', '2', '3', '4']);
    await until(() => logged('resumed').length > 0);
    const whole = { capacity: 4, labels: { gpu: true } };
    await untilPasses(async () => expect(await offerNow()).toMatchObject(whole));
    expect(logged('trying one job again').length).toBeGreaterThan(0);
  });

  it('is not paused for one job that fails again and again, or for what it was given', async () => {
    const worker = defineWorker({
      service: 's',
      failuresMax: 2,
      handle: ({ subject }) => {
        if (subject === 'poison') throw new Error('always');
        throw new JobError('bad-input', 'no picture');
      },
    });
    await start(worker);
    const poison = await failureOf(asking.request('s', 'poison'));
    expect(poison).toMatchObject({ code: 'WORKER_ERROR', workerCode: 'Error' });
    for (let n = 0; n < 5; n++) {
      const failure = await failureOf(asking.request('s', `bad ${n}`));
      expect(failure).toMatchObject({ workerCode: 'bad-input' });
    }
    expect(logged('paused')).toEqual([]);
    const stacks = logged('failed').filter(({ stack }) => stack !== undefined);
    expect(stacks).toHaveLength(1);
  });
});

it('a worker of MLM/1 sessions does without: nothing is told, and nothing breaks', async () => {
  const { MlmClient } = await import('../../client/client.js');
  const { Offering } = await import('../../workers/offering.js');
  const plain = await MlmClient.connect(endpoint, { protocol: 'v1' });
  clients.push(plain);
  const worker = defineWorker({
    service: 's',
    failuresMax: 1,
    labels: { gpu: true },
    handle: (job) => {
      job.progress(0.5);
      job.extend();
      job.announce({ gpu: false });
      if (job.subject === 'emit') job.emit('part');
      return job.attempt;
    },
  });
  await new Offering(worker, plain, log).start();
  const requester = await connect(endpoint, { protocol: 'v1' });
  clients.push(requester);
  expect((await requester.request('s', 'x')).value()).toBe(1);
  const failure = await failureOf(requester.request('s', 'emit'));
  expect(failure).toMatchObject({ code: 'WORKER_ERROR', workerCode: 'UNSUPPORTED' });
  expect(logged('paused')).toEqual([]);
});

it('a requester of MLM/1 hears of bad input at once, and why', async () => {
  const { MlmClient } = await import('../../client/client.js');
  const { Offering } = await import('../../workers/offering.js');
  const [client, requester] = await Promise.all([
    MlmClient.connect(endpoint),
    connect(endpoint, { protocol: 'v1' }),
  ]);
  clients.push(client, requester);
  const worker = defineWorker({
    service: 's',
    handle: () => {
      throw new JobError('bad-input', 'this is no picture');
    },
  });
  await new Offering(worker, client, log).start();
  const failure = await failureOf(requester.request('s', 'x', 'y', { timeoutMs: 60_000 }));
  expect(failure).toMatchObject({ code: 'WORKER_ERROR', workerCode: 'bad-input' });
  expect(failure.message).toContain('this is no picture');
});
