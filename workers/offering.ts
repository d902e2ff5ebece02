// One worker of a process, as it is offered: does the jobs that come, and keeps its
// offer as its health says: paused after failures in a row, tried again after a
// while. The session, and how all workers end, are group.ts.
import { randomUUID } from 'node:crypto';
import { MlmError, type MlmClient, type Offer } from '../client/index.js';
import { emitAll, isAsyncIterable } from '../client/partials.js';
import type { ServiceRequest } from '../client/service-request.js';
import { failureOf } from '../client/worker-error.js';
import { Attempt } from './attempt.js';
import { Health, type Verdict } from './health.js';
import { Body, JobError, type Job, type JobClient } from './job.js';
import { logWith, type WorkerLog } from './log.js';
import type { Worker } from './worker.js';

/** Codes of errors that say why a job was taken from its worker: nobody failed. */
const TAKEN = new Set(['CANCELLED', 'EXPIRED', 'REVOKED', 'DISCONNECTED', 'CLOSED', 'STOPPED']);

/** What of a session is needed to offer a worker. */
export type OfferingClient = JobClient & Pick<MlmClient, 'offer' | 'protocol'>;

export class Offering {
  readonly #worker: Worker;
  readonly #client: OfferingClient;
  readonly #log: WorkerLog;
  readonly #health: Health;
  readonly #attempts = new Set<Attempt>();
  #offer: Offer | undefined;
  #unwatch: () => void = () => undefined;
  #capacity: number;
  #pause: NodeJS.Timeout | undefined;
  #stopping = false;

  constructor(worker: Worker, client: OfferingClient, log: WorkerLog) {
    this.#worker = worker;
    this.#client = client;
    this.#log = log;
    this.#health = new Health(worker.failuresMax);
    this.#capacity = worker.capacity;
  }

  /** How many jobs run now. */
  get running(): number {
    return this.#attempts.size;
  }

  /** Offers the worker. @throws {MlmError} as MlmClient.offer */
  async start(): Promise<void> {
    const { service, pattern, capacity, labels, leaseMs, extend, cache } = this.#worker;
    const options = { pattern, capacity, labels, leaseMs, extend, cache };
    this.#offer = await this.#client.offer(service, options, (request) => this.#handle(request));
    this.#unwatch = this.#worker.onAnnounced(() => this.#onAnnounced());
    // What was announced meanwhile is not in the offer.
    if (this.#worker.labels !== labels) this.#onAnnounced();
    this.#log.info('offering', { service, pattern, capacity });
  }

  /** Takes no more jobs. @returns resolves when those that run have ended */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#unwatch();
    clearTimeout(this.#pause);
    await this.#offer?.stop();
  }

  /** Ends the jobs that run. @returns how many */
  cutOff(): number {
    const error = new JobError('STOPPED', 'this worker was stopped before the job was done');
    const cut = this.#attempts.size;
    for (const attempt of this.#attempts) attempt.cutOff(error);
    this.#attempts.clear();
    this.#unwatch();
    clearTimeout(this.#pause);
    return cut;
  }

  /** Does one job. What this promise becomes is the reply. */
  async #handle(request: ServiceRequest): Promise<unknown> {
    const { service, subject, sender } = request;
    const log = logWith(this.#log, { service, subject, sender });
    const attempt = new Attempt();
    this.#attempts.add(attempt);
    const job = this.#jobOf(request, attempt.signal, log);
    const startedMs = performance.now();
    try {
      const handle = (): Promise<unknown> => this.#resultOf(request, job);
      const result = await attempt.run(handle, request.signal, this.#worker.timeLimitMs);
      log.debug('done', { ms: sinceMs(startedMs) });
      this.#follow(this.#health.done(), undefined);
      return result;
    } catch (thrown) {
      this.#noteFailure(request, thrown, log, startedMs);
      throw thrown;
    } finally {
      this.#attempts.delete(attempt);
    }
  }

  async #resultOf(request: ServiceRequest, job: Job): Promise<unknown> {
    const result = await this.#worker.handle(job);
    return isAsyncIterable(result) ? emitAll(request, result, job.signal) : result;
  }

  #jobOf(request: ServiceRequest, signal: AbortSignal, log: WorkerLog): Job {
    const { service, subject, sender, tracker, attempt = 1 } = request;
    return {
      service,
      subject,
      sender,
      tracker,
      attempt,
      body: new Body(request),
      signal,
      log,
      client: this.#client,
      progress: (fraction, note) => {
        if (!signal.aborted) request.progress(fraction, note);
      },
      emit: (body) => {
        signal.throwIfAborted();
        request.emit(body);
      },
      extend: () => request.extend(),
      announce: (changes) => this.#worker.announce(changes),
    };
  }

  #noteFailure(request: ServiceRequest, thrown: unknown, log: WorkerLog, startedMs: number): void {
    const ms = sinceMs(startedMs);
    const { code, reason, stack } = describe(thrown);
    if (typeof code === 'string' && TAKEN.has(code) && (request.isOver || this.#stopping)) {
      log.info('given up', { code, reason, ms });
      return;
    }
    const isNews = stack !== undefined && this.#health.isNews(`${String(code)}: ${reason}`);
    log.warn('failed', { code, reason, ...(isNews && { stack }), ms });
    if (failureOf(thrown).class === 'bad-input') return;
    this.#follow(this.#health.failed(nameOf(request)), reason);
  }

  #follow(verdict: Verdict, reason: string | undefined): void {
    if (this.#stopping || this.#client.protocol !== 'native') return;
    const { service, pattern, capacity } = this.#worker;
    if (verdict.kind === 'pause') {
      const { pauseMs } = verdict;
      const { failures } = this.#health;
      this.#log.error('paused', { service, pattern, failures, reason, pauseMs });
      this.#capacity = 0;
      this.#pause = setTimeout(() => this.#probe(), pauseMs);
    } else if (verdict.kind === 'recovered') {
      // A job that ran on through the pause has shown it already.
      clearTimeout(this.#pause);
      this.#log.info('resumed', { service, pattern, capacity });
      this.#capacity = capacity;
    } else return;
    this.#update();
  }

  /** Takes one job, to see. */
  #probe(): void {
    const { service, pattern } = this.#worker;
    this.#log.info('trying one job again', { service, pattern });
    this.#health.probe();
    this.#capacity = 1;
    this.#update();
  }

  #onAnnounced(): void {
    if (this.#client.protocol === 'native') this.#update();
  }

  /** Tells the broker how the offer is now; a paused one says so by a label. */
  #update(): void {
    const paused = this.#capacity === 0;
    const own = this.#worker.labels;
    const labels = paused ? { ...own, paused } : own;
    this.#offer?.update({ capacity: this.#capacity, labels }).catch((error: unknown) => {
      const { code, message } = error as MlmError;
      // Where the offer or the client has ended, it has been told elsewhere.
      if (code !== 'CLOSED') this.#log.error(message, { service: this.#worker.service, code });
    });
  }
}

/** Tells requests apart, but not the attempts of one. */
function nameOf({ sender, tracker, timeMs }: ServiceRequest): string {
  return tracker === '' && timeMs === undefined
    ? randomUUID()
    : JSON.stringify([sender, tracker, timeMs]);
}

function sinceMs(startedMs: number): number {
  return Math.round(performance.now() - startedMs);
}

/** A failure as a log shows it; with a stack where nobody expected it. */
function describe(thrown: unknown): { code: unknown; reason: string; stack?: string | undefined } {
  if (!(thrown instanceof Error)) return { code: undefined, reason: String(thrown) };
  const code = 'code' in thrown ? thrown.code : thrown.name;
  return thrown instanceof JobError || thrown instanceof MlmError
    ? { code, reason: thrown.message }
    : { code, reason: thrown.message, stack: thrown.stack };
}
