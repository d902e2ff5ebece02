// A worker as it is written down: what it offers and what it does. It is a
// description, checked at once, of which only the labels may change; nothing runs
// and nothing is sent until it is given to `startWorkers` or `runWorkers`.
import { checkCache } from '../client/cache.js';
import { MlmError, type CacheOptions, type Labels } from '../client/index.js';
import { Announced, type LabelChanges } from './announced.js';
import type { Job } from './job.js';

/** What `defineWorker` takes. */
export interface WorkerDefinition {
  /** The service that it offers. */
  readonly service: string;
  /** Subjects that it takes: a regular expression, searched, not anchored. Without it all. */
  readonly pattern?: string | undefined;
  /** How many jobs it does at the same time. Default 1. */
  readonly capacity?: number | undefined;
  /** What it says of itself: `{ gpu: true, vramMb: 24000 }`. Requests may need or prefer it. */
  readonly labels?: Labels | undefined;
  /**
   * How long the broker believes that a job is worked on without a word, ms; then another worker
   * gets it. Default 30000. The runtime says that word by itself while the handler runs.
   */
  readonly leaseMs?: number | undefined;
  /** `manual`: only the handler says that word, by `job.extend()`. Default `auto`. */
  readonly extend?: 'auto' | 'manual' | undefined;
  /**
   * Has the broker keep what the worker makes, and answer the same request with it: `{ version }`,
   * where the version stands for all that it depends on beside the request. See `OfferOptions`.
   */
  readonly cache?: CacheOptions | undefined;
  /** How long one attempt may take, ms; then its signal fires, and it has failed. Default: no limit. */
  readonly timeLimitMs?: number | undefined;
  /**
   * So many jobs in a row that fail pause the worker (a job that fails again counts once): it gets
   * no more, then one after a while, to see. Default 5; 0 for never. What is `bad-input` does not
   * count. Not with a broker of MLM/1 only.
   */
  readonly failuresMax?: number | undefined;
  /**
   * Does one job. What it returns (or its promise resolves to) is the reply's body: a Buffer
   * or a list of them as they are, anything else as MessagePack. Where that is an async iterable,
   * its items are parts of the result, and the reply is what a generator returns in the end, else
   * the list of all items. What it throws fails the job; see `JobError`. While it computes without a pause, the session is not kept: leave
   * work that blocks for seconds to a thread or a process.
   */
  readonly handle: (job: Job) => unknown;
}

/** A worker, checked and with its defaults. */
export interface Worker {
  readonly service: string;
  readonly pattern: string;
  readonly capacity: number;
  /** What it says of itself now. */
  readonly labels: Labels;
  readonly leaseMs: number | undefined;
  readonly extend: 'auto' | 'manual';
  readonly cache: CacheOptions | undefined;
  readonly timeLimitMs: number | undefined;
  readonly failuresMax: number;
  readonly handle: (job: Job) => unknown;
  /**
   * Changes what it says of itself, before it is started or while it runs:
   * `worker.announce({ models: ['sam3'] })` once that is loaded. Labels that are not named stay;
   * `undefined` takes one away. (A broker of MLM/1 only is told of no labels.)
   *
   * @throws {MlmError} INVALID_ARGUMENT naming the label
   */
  readonly announce: (changes: LabelChanges) => void;
  /** @internal Calls a function after each change. @returns ends that */
  readonly onAnnounced: (watcher: () => void) => () => void;
}

const FAILURES_MAX = 5;
const TIMER_MS_MAX = 2 ** 31 - 1;

/**
 * Describes a worker.
 *
 * @throws {MlmError} INVALID_ARGUMENT naming what cannot be
 */
export function defineWorker(definition: WorkerDefinition): Worker {
  const { service, pattern = '', capacity = 1, labels = {}, handle } = definition;
  const { leaseMs, extend = 'auto', timeLimitMs, failuresMax = FAILURES_MAX } = definition;
  check(typeof service === 'string' && service !== '', 'service must be a name');
  const worker = `worker "${service}"`;
  check(typeof pattern === 'string', `${worker}: pattern must be a string`);
  check(
    Number.isSafeInteger(capacity) && capacity >= 1,
    `${worker}: capacity is ${String(capacity)}; it must be a whole number of 1 or more`,
  );
  check(typeof handle === 'function', `${worker}: handle must be a function`);
  const announced = new Announced(labels);
  checkMs(worker, 'leaseMs', leaseMs);
  checkMs(worker, 'timeLimitMs', timeLimitMs);
  check(
    ['auto', 'manual'].includes(extend),
    `${worker}: extend is "${extend}"; it must be "auto" or "manual"`,
  );
  check(
    Number.isSafeInteger(failuresMax) && failuresMax >= 0,
    `${worker}: failuresMax is ${String(failuresMax)}; it must be a whole number of 0 or more`,
  );
  return Object.freeze({
    service,
    pattern,
    capacity,
    get labels() {
      return announced.labels;
    },
    leaseMs,
    extend,
    cache: checkCache(definition.cache),
    timeLimitMs,
    failuresMax,
    handle,
    announce: (changes: LabelChanges) => announced.change(changes),
    onAnnounced: (watcher: () => void) => announced.watch(watcher),
  });
}

function checkMs(worker: string, name: string, value: number | undefined): void {
  if (value === undefined) return;
  const range = `a whole number of milliseconds from 1 to ${TIMER_MS_MAX}`;
  check(
    Number.isInteger(value) && value >= 1 && value <= TIMER_MS_MAX,
    `${worker}: ${name} is ${String(value)}; it must be ${range}`,
  );
}

function check(holds: boolean, otherwise: string): void {
  if (!holds) throw new MlmError('INVALID_ARGUMENT', otherwise);
}
