// The workers of one process at work: one session for all of them, their offers,
// the jobs that run, and how all this ends. It knows nothing of process signals
// and exit statuses; those are run.ts.
import {
  connect,
  MlmError,
  type MlmClient,
  type Offer,
  type ServiceRequest,
} from '../client/index.js';
import { Body, JobError, type Job } from './job.js';
import { logWith, type WorkerLog } from './log.js';
import { resolveSettings, type Settings, type WorkersOptions } from './settings.js';
import type { Worker } from './worker.js';

/** How the workers of a process have ended. */
export interface Ending {
  /** Jobs that did not finish in time: they are left to other workers. */
  readonly unfinished: number;
}

/** How long the last replies may take to leave, and the farewell after them, each in ms. */
const PARTING_MS = 1000;

/** Workers that are offered to a broker; `startWorkers` makes one. */
export class WorkerGroup {
  readonly endpoint: string;
  /** The address of their session. */
  readonly address: string;
  /** Resolves when the workers have stopped and their session is closed; never rejects. */
  readonly ended: Promise<Ending>;
  readonly #client: MlmClient;
  readonly #settings: Settings;
  readonly #offers: Offer[] = [];
  /** Each running job, by what cuts it off. */
  readonly #jobs = new Set<AbortController>();
  #unfinished = 0;
  #stopping = false;

  /** @internal See `startWorkers`. */
  constructor(client: MlmClient, settings: Settings) {
    this.#client = client;
    this.#settings = settings;
    this.endpoint = client.endpoint;
    this.address = client.address;
    this.ended = new Promise((resolve) => {
      client.once('closed', () => {
        this.#cutOff();
        resolve({ unfinished: this.#unfinished });
      });
    });
    tellOfSession(client, settings.log);
  }

  /** How many jobs run now. */
  get running(): number {
    return this.#jobs.size;
  }

  /** @internal Offers a worker. @throws {MlmError} as MlmClient.offer */
  async offer(worker: Worker): Promise<void> {
    const { service, pattern, capacity } = worker;
    const offered = await this.#client.offer(
      service,
      { pattern, concurrency: capacity },
      (request) => this.#handle(worker, request),
    );
    this.#offers.push(offered);
    this.#settings.log.info('offering', { service, pattern, capacity });
  }

  /**
   * Stops the workers: takes no new jobs, gives those that run `drainTimeoutMs` to finish,
   * then closes the session. A job that is not done by then sees its signal fire, and is left
   * to other workers, as jobs that were not begun are. (A broker that speaks MLM/1 only keeps
   * no jobs: their requesters get an error reply of code `STOPPED`.) Safe to call again.
   *
   * @returns resolves with how it went, within `drainTimeoutMs` and a few seconds
   */
  stop(): Promise<Ending> {
    if (!this.#stopping) {
      this.#stopping = true;
      void this.#drain();
    }
    return this.ended;
  }

  async #drain(): Promise<void> {
    const { log, drainTimeoutMs } = this.#settings;
    log.info('stopping', { running: this.running });
    const timer = setTimeout(() => this.#cutOff(), drainTimeoutMs);
    await Promise.all(this.#offers.map((offer) => offer.stop()));
    clearTimeout(timer);
    await this.#untilOpen();
    await this.#client.close();
    log.info('stopped', { unfinished: this.#unfinished });
  }

  /** Taking back the offers has begun a new session; the last replies leave when it is open. */
  async #untilOpen(): Promise<void> {
    if (this.#client.state === 'open') return;
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.#client.once('connected', resolve);
      timer = setTimeout(resolve, PARTING_MS);
    });
    clearTimeout(timer);
  }

  #cutOff(): void {
    const error = new JobError('STOPPED', 'this worker was stopped before the job was done');
    this.#unfinished += this.#jobs.size;
    for (const job of this.#jobs) job.abort(error);
    this.#jobs.clear();
  }

  /** Does one job. What this promise becomes is the reply. */
  async #handle(worker: Worker, request: ServiceRequest): Promise<unknown> {
    const { service, subject, sender } = request;
    const log = logWith(this.#settings.log, { service, subject, sender });
    const cut = new AbortController();
    this.#jobs.add(cut);
    const { signal } = cut;
    const body = new Body(request);
    const job: Job = { service, subject, sender, body, signal, log, client: this.#client };
    const startedMs = performance.now();
    try {
      const result = await unlessAborted(signal, worker.handle(job));
      log.debug('done', { ms: sinceMs(startedMs) });
      return result;
    } catch (thrown) {
      log.warn('failed', { ...describe(thrown), ms: sinceMs(startedMs) });
      throw thrown;
    } finally {
      this.#jobs.delete(cut);
    }
  }
}

/**
 * Connects to a broker and offers workers, for programs that run them beside other things;
 * a process that is nothing but its workers calls `runWorkers`.
 *
 * @returns resolves when the broker has accepted every offer
 * @throws {MlmError} as `connect` and `MlmClient.offer`; INVALID_ARGUMENT where there is no
 *   worker, or two with the same service and pattern
 */
export async function startWorkers(
  workers: readonly Worker[],
  options: WorkersOptions = {},
): Promise<WorkerGroup> {
  if (workers.length === 0) throw new MlmError('INVALID_ARGUMENT', 'there is no worker to start');
  const settings = resolveSettings(options, process.env);
  const { endpoint, address, connectTimeoutMs, signal } = settings;
  const client = await connect(endpoint, {
    address,
    connectTimeoutMs,
    closeTimeoutMs: PARTING_MS,
    signal,
  });
  const group = new WorkerGroup(client, settings);
  try {
    for (const worker of workers) await group.offer(worker);
  } catch (error) {
    await group.stop();
    throw error;
  }
  if (signal !== undefined) stopUnder(signal, group);
  return group;
}

function stopUnder(signal: AbortSignal, group: WorkerGroup): void {
  const stop = (): void => void group.stop();
  if (signal.aborted) stop();
  signal.addEventListener('abort', stop);
  void group.ended.then(() => signal.removeEventListener('abort', stop));
}

/** What no promise tells: that the session was lost and found, and errors of later sessions. */
function tellOfSession(client: MlmClient, log: WorkerLog): void {
  const { endpoint, address } = client;
  let lost = false;
  log.info('connected', { endpoint, address });
  client.on('disconnected', (error) => {
    lost = true;
    log.warn('disconnected', { reason: error.message });
  });
  client.on('connected', () => {
    if (lost) log.info('connected again', { endpoint, address });
    lost = false;
  });
  client.on('error', (error) => log.error(error.message, { code: error.code }));
  client.on('dropped', ({ from, name, subject }) => log.warn('dropped', { from, name, subject }));
}

/** The result, unless the signal fires first: then its reason is thrown, whatever the job does. */
async function unlessAborted(signal: AbortSignal, result: unknown): Promise<unknown> {
  let onAbort: (() => void) | undefined;
  const aborted = new Promise((_, reject) => {
    onAbort = () => reject(signal.reason as Error);
    signal.addEventListener('abort', onAbort);
  });
  try {
    return await Promise.race([result, aborted]);
  } finally {
    if (onAbort !== undefined) signal.removeEventListener('abort', onAbort);
  }
}

function sinceMs(startedMs: number): number {
  return Math.round(performance.now() - startedMs);
}

/** A failure as a log shows it. */
function describe(thrown: unknown): Record<string, unknown> {
  if (!(thrown instanceof Error)) return { reason: String(thrown) };
  const code = 'code' in thrown ? thrown.code : thrown.name;
  return thrown instanceof JobError || thrown instanceof MlmError
    ? { code, reason: thrown.message }
    : { code, reason: thrown.message, stack: thrown.stack };
}
