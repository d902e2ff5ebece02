// The roles of a fan-out on BullMQ: the workers, and who adds the jobs, in bulk,
// and follows their ends by the events of the queue.
import { Queue, QueueEvents, Worker } from 'bullmq';
import { done, nextLine, ready } from '../load/counting.js';
import type { RoleOptions } from '../load/options.js';
import { Tally, Waits } from './fan-out-tally.js';

type Options = Required<RoleOptions>;

function connectionTo(endpoint: string) {
  const port = Number(new URL(endpoint).port);
  return { host: '127.0.0.1', port, maxRetriesPerRequest: null };
}

/** Does jobs, one at a time, by waiting; the result of a job is its data. */
export async function workAndWait({ endpoint, target, waitMs }: Options): Promise<void> {
  const waits = new Waits(waitMs);
  const worker = new Worker<string, string>(
    target,
    async (job) => {
      await waits.one();
      return job.data;
    },
    { connection: connectionTo(endpoint), concurrency: 1 },
  );
  await worker.waitUntilReady();
  await ready();
  await nextLine();
  done(waits.report);
  await nextLine();
  await worker.close(true);
}

/** Adds `count` jobs at once, and waits until all have succeeded. */
export async function fanOut({ endpoint, target, count }: Options): Promise<void> {
  const connection = connectionTo(endpoint);
  const queue = new Queue<string, string>(target, { connection });
  const events = new QueueEvents(target, { connection });
  await Promise.all([queue.waitUntilReady(), events.waitUntilReady()]);
  await ready();
  const tally = new Tally(count);
  events.on('completed', ({ jobId, returnvalue }) => {
    tally.succeeded(jobId, returnvalue as string);
  });
  events.on('failed', ({ jobId, failedReason }) => tally.failed(jobId, failedReason));
  await queue.addBulk(tally.ids.map((id) => ({ name: 'wait', data: id, opts: { jobId: id } })));
  await tally.finished;
  tally.tell();
  await nextLine();
  await Promise.all([queue.close(), events.close()]);
}
