// Many jobs at once for workers of different speeds: none is lost, none is done
// twice, and nobody who is idle waits, so that the fast ones do more and all are
// done as soon as can be. Time is counted in ticks of the test, not in hours of a
// clock: the broker's part of it is nothing.
import { decode as unpack } from '@msgpack/msgpack';
import type { MlmClient } from '../../client/index.js';
import { range, World } from '../support/sessions.js';
import { until } from '../support/until.js';

const JOBS = 1000;
/** How many ticks a job takes each of the workers. */
const SPEEDS = [1, 1, 1, 1, 2, 2, 3, 4];

/** Jobs go hand over hand, which takes long where the machine is busy with other things. */
const PATIENCE_MS = 300_000;

const world = new World();
afterEach(() => world.close());

/** A worker that does one job at a time, in so many ticks. */
class TickingWorker {
  readonly name: string;
  readonly did: number[] = [];
  readonly #ticksEach: number;
  #job: { readonly number: number; readonly finish: () => void } | undefined;
  #left = 0;

  constructor(name: string, ticksEach: number) {
    this.name = name;
    this.#ticksEach = ticksEach;
  }

  get isBusy(): boolean {
    return this.#job !== undefined;
  }

  async offer(client: MlmClient): Promise<void> {
    await client.offer('fan-out', async (request) => {
      const number = Number(request.value());
      await new Promise<void>((finish) => {
        this.#job = { number, finish };
        this.#left = this.#ticksEach;
      });
      return number * 2;
    });
  }

  tick(): void {
    if (this.#job === undefined || --this.#left > 0) return;
    this.did.push(this.#job.number);
    this.#job.finish();
    this.#job = undefined;
  }
}

/** While jobs wait, no worker does. @throws {Error} naming those that have been idle for too long */
async function untilBusy(workers: readonly TickingWorker[], jobsLeft: number): Promise<void> {
  const idle = (): TickingWorker[] => workers.filter(({ isBusy }) => !isBusy);
  const waiting = Math.max(0, workers.length - jobsLeft);
  await until(() => idle().length <= waiting, 'work for all').catch((cause: unknown) => {
    const names = idle().map(({ name, did }) => `${name}, which did ${did.length}`);
    throw new Error(`${jobsLeft} jobs are not done, and idle are: ${names.join('; ')}`, { cause });
  });
}

/** How often each job succeeded, as its events tell. */
async function successes(client: MlmClient): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  const { lastSequence } = await client.streamInfo('$jobs');
  for await (const { sequence, subject, content } of client
    .stream('$jobs')
    .read({ from: 'earliest' })) {
    const { event } = unpack(content[0]!) as { event: string };
    if (event === 'succeeded') counts.set(subject, (counts.get(subject) ?? 0) + 1);
    if (sequence === lastSequence) break;
  }
  return counts;
}

it(
  `${JOBS} jobs and eight workers of different speeds`,
  async () => {
    await world.broker();
    const asking = await world.client();
    const workers = SPEEDS.map((each, at) => new TickingWorker(`worker ${at} of ${each}`, each));
    for (const worker of workers) await worker.offer(await world.client());
    const jobs = await Promise.all(
      range(1, JOBS).map((n) => asking.submit('fan-out', 'double', n, { id: `job-${n}` })),
    );
    const results = Promise.all(jobs.map(async (job) => (await job.result()).value()));

    const done = (): number => workers.reduce((sum, { did }) => sum + did.length, 0);
    while (done() < JOBS) {
      await untilBusy(workers, JOBS - done());
      for (const worker of workers) worker.tick();
    }

    expect(await results).toEqual(range(1, JOBS).map((n) => n * 2));
    const did = workers.flatMap((worker) => worker.did);
    expect(did.toSorted((a, b) => a - b)).toEqual(range(1, JOBS));
    const succeeded = await successes(asking);
    expect(succeeded.size).toBe(JOBS);
    expect(new Set(succeeded.values())).toEqual(new Set([1]));
  },
  PATIENCE_MS,
);
