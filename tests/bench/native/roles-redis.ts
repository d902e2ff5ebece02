// The roles of Redis clients: a stream filled and read with ioredis, and jobs
// with BullMQ. They check what ours check.
import { Queue, QueueEvents, Worker } from 'bullmq';
import { Redis } from 'ioredis';
import { done, nextLine, nowNs, Progress, ready } from '../load/counting.js';
import type { RoleOptions } from '../load/options.js';
import { Bodies, keepInFlight } from './bodies.js';

type Options = Required<RoleOptions>;

const PIPELINE = 1000;
/** Finished jobs that stay: a job must be there when its requester begins to wait for it. */
const KEEP = { removeOnComplete: { count: 1000 } };
/** Messages in one answer of XREAD. */
const READ_COUNT = 1000;

function portOf(endpoint: string): number {
  return Number(new URL(endpoint).port);
}

function open({ endpoint }: Options): Redis {
  return new Redis(portOf(endpoint), '127.0.0.1', { maxRetriesPerRequest: null });
}

/** Fills a stream with `count` messages. */
export async function fill(options: Options): Promise<void> {
  const redis = open(options);
  const bodies = new Bodies(options.size);
  await ready();
  for (let number = 0; number < options.count;) {
    const pipeline = redis.pipeline();
    for (let more = PIPELINE; more > 0 && number < options.count; more--, number++) {
      pipeline.xadd(options.target, '*', 'b', bodies.take(number, number + 1 === options.count));
    }
    await pipeline.exec();
  }
  const stored = await redis.xlen(options.target);
  if (stored !== options.count) throw new Error(`LOST: ${stored} of ${options.count} stored`);
  done({ count: stored });
  await nextLine();
  redis.disconnect();
}

type Entry = [id: Buffer, fields: Buffer[]];

async function readAfter(redis: Redis, key: string, id: Buffer | string): Promise<Entry[]> {
  const answer = await redis.xreadBuffer('COUNT', READ_COUNT, 'STREAMS', key, id);
  return answer?.[0]?.[1] ?? [];
}

/** Reads a stream from its first message, READ_COUNT at a time. */
export async function replay(options: Options): Promise<void> {
  const redis = open(options);
  const progress = new Progress();
  await redis.ping();
  await ready();
  const firstNs = nowNs();
  let after: Buffer | string = '0';
  while (!progress.finished) {
    const entries = await readAfter(redis, options.target, after);
    if (entries.length === 0) break;
    for (const [, fields] of entries) progress.take(fields[1]!);
    after = entries.at(-1)![0];
  }
  done({ count: progress.received, disordered: progress.disordered, firstNs });
  await nextLine();
  redis.disconnect();
}

interface Job {
  readonly body: string;
}

/** Does jobs, `window` at a time; a job's result is its body. */
export async function work(options: Options): Promise<void> {
  const connection = { host: '127.0.0.1', port: portOf(options.endpoint) };
  let count = 0;
  const worker = new Worker<Job, string>(
    options.target,
    (job) => {
      count++;
      return Promise.resolve(job.data.body);
    },
    {
      connection: { ...connection, maxRetriesPerRequest: null },
      concurrency: options.window,
    },
  );
  await worker.waitUntilReady();
  await ready();
  await nextLine();
  done({ count });
  await nextLine();
  await worker.close(true);
}

/** Adds jobs and waits until they are done, `window` in flight, for `seconds`. */
export async function request(options: Options): Promise<void> {
  const connection = {
    host: '127.0.0.1',
    port: portOf(options.endpoint),
    maxRetriesPerRequest: null,
  };
  const queue = new Queue<Job, string>(options.target, { connection });
  const events = new QueueEvents(options.target, { connection });
  events.setMaxListeners(0);
  queue.setMaxListeners(0);
  await Promise.all([queue.waitUntilReady(), events.waitUntilReady()]);
  await ready();
  const rest = 'x'.repeat(options.size - 9);
  let disordered = 0;
  const flight = await keepInFlight(options.window, options.seconds, async (number) => {
    const body = String(number).padStart(9, '0') + rest;
    const job = await queue.add('load', { body }, KEEP);
    if ((await job.waitUntilFinished(events)) !== body) disordered++;
  });
  done({ ...flight, disordered });
  await nextLine();
  await Promise.all([queue.close(), events.close()]);
}
