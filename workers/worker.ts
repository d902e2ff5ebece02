// A worker as it is written down: what it offers and what it does. It is a plain
// description, checked at once; nothing runs and nothing is sent until it is
// given to `startWorkers` or `runWorkers`.
import { MlmError } from '../client/index.js';
import type { Job } from './job.js';

/** What `defineWorker` takes. */
export interface WorkerDefinition {
  /** The service that it offers. */
  readonly service: string;
  /** Subjects that it takes: a regular expression, searched, not anchored. Without it all. */
  readonly pattern?: string | undefined;
  /** How many jobs it does at the same time. Default 1. */
  readonly capacity?: number | undefined;
  /**
   * Does one job. What it returns (or its promise resolves to) is the reply's body: a Buffer
   * or a list of them as they are, anything else as MessagePack. What it throws fails
   * the job; see `JobError`. While it computes without a pause, the session is not kept: leave
   * work that blocks for seconds to a thread or a process.
   */
  readonly handle: (job: Job) => unknown;
}

/** A worker, checked and with its defaults. */
export interface Worker {
  readonly service: string;
  readonly pattern: string;
  readonly capacity: number;
  readonly handle: (job: Job) => unknown;
}

/**
 * Describes a worker.
 *
 * @throws {MlmError} INVALID_ARGUMENT naming what cannot be
 */
export function defineWorker(definition: WorkerDefinition): Worker {
  const { service, pattern = '', capacity = 1, handle } = definition;
  check(typeof service === 'string' && service !== '', 'service must be a name');
  const worker = `worker "${service}"`;
  check(typeof pattern === 'string', `${worker}: pattern must be a string`);
  check(
    Number.isSafeInteger(capacity) && capacity >= 1,
    `${worker}: capacity is ${String(capacity)}; it must be a whole number of 1 or more`,
  );
  check(typeof handle === 'function', `${worker}: handle must be a function`);
  return Object.freeze({ service, pattern, capacity, handle });
}

function check(holds: boolean, otherwise: string): void {
  if (!holds) throw new MlmError('INVALID_ARGUMENT', otherwise);
}
