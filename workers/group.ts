// The workers of one process at work: one session for all of them, and how all
// this ends. How a job is done stands in offering.ts; process signals and exit
// statuses are run.ts.
import { connect, MlmError, type MlmClient } from '../client/index.js';
import type { WorkerLog } from './log.js';
import { Offering } from './offering.js';
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
  readonly #offerings: Offering[] = [];
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
    return this.#offerings.reduce((sum, { running }) => sum + running, 0);
  }

  /** @internal Offers a worker. @throws {MlmError} as MlmClient.offer */
  async offer(worker: Worker): Promise<void> {
    const offering = new Offering(worker, this.#client, this.#settings.log);
    await offering.start();
    this.#offerings.push(offering);
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
    await Promise.all(this.#offerings.map((offering) => offering.stop()));
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
    for (const offering of this.#offerings) this.#unfinished += offering.cutOff();
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
