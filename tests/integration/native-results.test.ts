// Results that are kept and used again, over real sockets: what offers and requests
// of the SDK say of it, jobs, workers that are killed, a broker that starts anew on
// its disk, and wrapped commands.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type JobEvent, type MlmClient, type ServiceRequest } from '../../client/index.js';
import { CommandWorkers } from '../../workers/commands/workers.js';
import { defineWorker, silentLog, startWorkers, type WorkerGroup } from '../../workers/index.js';
import { failureOf, next, range, World } from '../support/sessions.js';
import { configOf, yaml } from '../unit/workers/commands-support.js';
import { until } from '../support/until.js';

const world = new World();
const groups: WorkerGroup[] = [];

afterEach(async () => {
  await Promise.all(groups.splice(0).map((group) => group.stop()));
  await world.close();
});

/** A handler that counts, and ends when the test says so. */
class Counting {
  runs = 0;
  readonly begun: ServiceRequest[] = [];
  open = true;

  readonly handle = async (request: ServiceRequest): Promise<unknown> => {
    this.runs++;
    this.begun.push(request);
    await until(() => this.open || request.signal.aborted);
    return { run: this.runs, value: request.value() };
  };
}

const CACHE = { cache: { version: '1' } };

async function stats(client: MlmClient): Promise<Record<string, number>> {
  return (await client.request('$broker', 'stats')).value() as Record<string, number>;
}

async function eventsOf(client: MlmClient, service: string, id: string): Promise<JobEvent[]> {
  const events: JobEvent[] = [];
  for await (const event of client.job(service, id).events()) events.push(event);
  return events;
}

it('a request is done once; another version, a fresh one and MLM/1 workers are something else', async () => {
  await world.broker();
  const [asking, working] = [await world.client(), await world.client({ address: 'w' })];
  const old = await world.client({ protocol: 'v1' });
  const counting = new Counting();
  const offer = await working.offer('s', { ...CACHE, capacity: 2 }, counting.handle);
  const first = { run: 1, value: { a: 1 } };
  const reply = await asking.request('s', 'x', { a: 1 });
  expect([reply.sender, reply.value()]).toEqual(['w', first]);
  const again = await asking.request('s', 'x', { a: 1 });
  expect([again.sender, again.value()]).toEqual(['w', first]);
  expect((await old.request('s', 'x', { a: 1 }, { fresh: true })).value()).toEqual(first);
  expect((await asking.request('s', 'x', { a: 2 })).value()).toMatchObject({ run: 2 });
  const fresh = await asking.request('s', 'x', { a: 1 }, { fresh: true });
  expect(fresh.value()).toMatchObject({ run: 3 });
  expect((await asking.request('s', 'x', { a: 1 })).value()).toEqual(fresh.value());
  await offer.stop();
  await working.offer('s', { cache: { version: '2', maxAgeMs: 60_000 } }, counting.handle);
  expect((await asking.request('s', 'x', { a: 1 })).value()).toMatchObject({ run: 4 });
  expect((await asking.request('s', 'x', { a: 1 })).value()).toMatchObject({ run: 4 });
  expect(await stats(asking)).toMatchObject({ results: 3, resultsReused: 4 });
});

it('identical requests share a run: requests, jobs, of clients of both kinds', async () => {
  await world.broker();
  const [asking, working] = [await world.client(), await world.client({ address: 'w' })];
  const old = await world.client({ protocol: 'v1' });
  const counting = new Counting();
  counting.open = false;
  await working.offer('s', { ...CACHE, capacity: 10 }, counting.handle);
  const asked = [
    ...range(1, 20).map(() => asking.request('s', 'x', 'same')),
    old.request('s', 'x', 'same'),
  ];
  const job = await asking.submit('s', 'x', 'same', { id: 'j' });
  await old.ping();
  await until(() => counting.runs > 0);
  const other = asking.request('s', 'x', 'other');
  await until(() => counting.runs > 1);
  counting.open = true;
  const replies = await Promise.all(asked);
  expect(new Set(replies.map((reply) => JSON.stringify(reply.value()))).size).toBe(1);
  expect((await job.result()).value()).toEqual(replies[0]!.value());
  await other;
  expect(counting.runs).toBe(2);
  const done = (await eventsOf(asking, 's', 'j')).at(-1);
  expect(done).toMatchObject({ event: 'succeeded', worker: 'w', cached: true });
});

it('what one of them is told that fails, the others are told or find out themselves', async () => {
  await world.broker();
  const [asking, working] = [await world.client(), await world.client()];
  const counting = new Counting();
  counting.open = false;
  await working.offer('s', CACHE, async (request) => {
    await counting.handle(request);
    throw Object.assign(new Error('no such picture'), { code: 'bad-input' });
  });
  const failures = range(1, 5).map(() => failureOf(asking.request('s', 'x', 'same')));
  // All of them wait for the same run before it fails.
  await asking.flush();
  await until(() => counting.runs > 0);
  counting.open = true;
  for (const failure of await Promise.all(failures)) {
    expect(failure).toMatchObject({ code: 'WORKER_ERROR', workerCode: 'bad-input' });
  }
  expect(counting.runs).toBe(1);
  expect((await failureOf(asking.request('s', 'x', 'same'))).code).toBe('WORKER_ERROR');
  expect(counting.runs).toBe(2);
  expect(await stats(asking)).toMatchObject({ results: 0 });
});

it('a worker that goes away in the middle leaves none of them behind; nor does who gives up', async () => {
  await world.broker();
  const asking = await world.client();
  const [first, second] = [await world.client(), await world.client()];
  const [lost, counting] = [new Counting(), new Counting()];
  lost.open = false;
  await first.offer('s', CACHE, lost.handle);
  const giveUp = new AbortController();
  const given = failureOf(asking.request('s', 'x', 'same', { signal: giveUp.signal }));
  await until(() => lost.runs > 0);
  const asked = range(1, 5).map(() => asking.request('s', 'x', 'same'));
  await asking.flush();
  giveUp.abort();
  expect((await given).code).toBe('ABORTED');
  // The next one has it now; its worker goes away, too.
  await second.offer('s', CACHE, counting.handle);
  await first.close();
  for (const reply of await Promise.all(asked)) {
    expect(reply.value()).toEqual({ run: 1, value: 'same' });
  }
});

it('results and those who wait for one outlive the broker, where it has a disk', async () => {
  const data = await world.directory();
  let broker = await world.broker({ data });
  const [asking, working] = [await world.client(), await world.client({ address: 'w' })];
  const counting = new Counting();
  await working.offer('s', { ...CACHE, capacity: 5 }, counting.handle);
  const large = 'x'.repeat(300_000);
  for (const body of ['small', large]) await asking.request('s', 'x', body);
  counting.open = false;
  const asked = range(1, 5).map((n) => asking.submit('s', 'x', 'later', { id: String(n) }));
  const jobs = await Promise.all(asked);
  await until(() => counting.runs > 2);
  for (const restart of [1, 2]) {
    const back = [asking, working].map((client) => next(client, 'connected'));
    await broker.stop();
    broker = await world.broker({ data });
    await Promise.all(back);
    expect([restart, await stats(asking)]).toMatchObject([restart, { results: 2 }]);
  }
  expect((await asking.request('s', 'x', 'small')).value()).toEqual({ run: 1, value: 'small' });
  const reply = await asking.request('s', 'x', large);
  expect(reply.value()).toMatchObject({ run: 2 });
  counting.open = true;
  const results = await Promise.all(jobs.map(async (job) => (await job.result()).value()));
  expect(new Set(results.map((value) => JSON.stringify(value))).size).toBe(1);
});

it('offers and requests say what cannot be', async () => {
  await world.broker();
  const client = await world.client();
  const offer = (cache: unknown): Promise<Partial<Error>> =>
    failureOf(client.offer('s', { cache } as never, () => ''));
  expect((await offer('1')).message).toBe('cache must be { version, maxAgeMs }');
  expect((await offer({})).message).toBe('cache.version must be a string');
  expect((await offer({ version: '' })).message).toBe('cache.version must not be empty');
  expect((await offer({ version: 'ä'.repeat(96) })).message).toBe(
    'cache.version takes 192 octets of UTF-8; 191 are the most',
  );
  expect((await offer({ version: '1', maxAgeMs: 0 })).message).toMatch(/^cache.maxAgeMs is 0;/);
});

it('defined workers and wrapped commands say it, too', async () => {
  await world.broker();
  const { endpoint } = world;
  const directory = await world.directory();
  const count = join(directory, 'count');
  const script = `echo run >> ${count}; cat`;
  const config = configOf(`services:
  wrapped:
    command: ${yaml(['sh', '-c', script])}
    output: text
    cache: {version: "1", maxAge: 1h}
`);
  const commands = new CommandWorkers(config.services, silentLog);
  let runs = 0;
  const defined = defineWorker({ service: 'defined', ...CACHE, handle: () => ++runs });
  const workers = [...commands.workers, defined];
  groups.push(await startWorkers(workers, { endpoint, log: silentLog }));
  const client = await world.client();
  for (const body of ['a', 'a', 'b', 'a']) {
    const wrapped = await client.request('wrapped', 'x', Buffer.from(body));
    expect(wrapped.text()).toBe(body);
    expect((await client.request('defined', 'x', body)).value()).toBe(body === 'a' ? 1 : 2);
  }
  expect(readFileSync(count, 'utf8')).toBe('run\nrun\n');
  await Promise.all(groups.splice(0).map((group) => group.stop()));
  await commands.close();
});
