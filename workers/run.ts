// Workers as a whole process: start them, run until a signal says stop, end with
// the right status. What stopping means stands in group.ts.
import { atSignals } from '../client/commands/shared/signals.js';
import { startWorkers } from './group.js';
import { createWorkerLog } from './log.js';
import type { WorkersOptions } from './settings.js';
import type { Worker } from './worker.js';

/** How long a job that does not heed its signal may keep the process alive, ms. */
const LAST_MS = 1000;

/**
 * Runs workers until the process gets SIGTERM or SIGINT: then they take no new jobs, finish
 * those that run within `drainTimeoutMs`, and this returns; the process ends when nothing
 * else of yours is open. A second signal, half a second after the first or later, ends it at
 * once. It is for the main file of a worker process, and needs no `catch`: where the broker
 * cannot be reached, or refuses, it logs one line that says why. The exit status is then 1, as
 * it is where a job did not finish in time; otherwise 0.
 *
 * @returns resolves when the workers have stopped; never rejects
 */
export async function runWorkers(
  workers: readonly Worker[],
  options: WorkersOptions = {},
): Promise<void> {
  const stopping = new AbortController();
  const endNow = (): void => process.exit(1);
  const stop = atSignals(() => (stopping.signal.aborted ? endNow() : stopping.abort()), endNow);
  const { signal } = options;
  if (signal?.aborted === true) stopping.abort();
  const onAbort = (): void => stopping.abort();
  signal?.addEventListener('abort', onAbort);
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  try {
    const group = await startWorkers(workers, { ...options, signal: stopping.signal });
    const { unfinished } = await group.ended;
    if (unfinished > 0) endSoon();
  } catch (error) {
    if (!stopping.signal.aborted) {
      const { log = createWorkerLog() } = options;
      log.error(error instanceof Error ? error.message : String(error));
      process.exitCode = 1;
    }
  } finally {
    signal?.removeEventListener('abort', onAbort);
    process.off('SIGTERM', stop);
    process.off('SIGINT', stop);
  }
}

/** Status 1, and the end of the process even where a job keeps something open. */
function endSoon(): void {
  process.exitCode = 1;
  setTimeout(() => process.exit(), LAST_MS).unref();
}
