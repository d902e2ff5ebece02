// Runs the handler of a worker for one request, without a broker: the request goes
// the way that one of a broker goes, through the SDK's offer and the runtime's
// attempt, with only the session replaced. So results, parts, time limits and
// classes of failures are those of real life; no rule of theirs is written here.
import { STATUS, workerCodeOf } from '../../protocol/index.js';
import { encodeBody, MlmError, type Progress } from '../../client/index.js';
import { revocation } from '../../client/native/services.js';
import type { Outcome } from '../../client/offer.js';
import { ServiceRequest } from '../../client/service-request.js';
import { failureOf } from '../../client/worker-error.js';
import { timeLimitOver } from '../attempt.js';
import type { Body, JobClient } from '../job.js';
import { Offering } from '../offering.js';
import { defineWorker, type Worker } from '../worker.js';
import { HandlerRun, type HandlerEnd } from './handler-run.js';
import { recordedLog, type LogLine } from './recorded-log.js';
import { TestClient } from './test-client.js';
import { bodyOf, TestRequest } from './test-request.js';

/** The request that a handler is to do. */
export interface TestedRequest {
  readonly subject?: string | undefined;
  /** As a requester gives it: frames as they are, anything else as MessagePack. */
  readonly body?: unknown;
  /** The address of the requester. Default `test`. */
  readonly sender?: string | undefined;
  /** The id of the job. Default: none. */
  readonly tracker?: string | undefined;
  /** How often it was given to a worker, this time included. Default 1. */
  readonly attempt?: number | undefined;
  /** Cancels the request when it fires. */
  readonly signal?: AbortSignal | undefined;
  /** What `job.client` is: one of a test broker, or functions of your own. Default: none. */
  readonly client?: Partial<JobClient> | undefined;
  /** Told of each word about progress, while the handler runs. */
  readonly onProgress?: ((progress: Progress) => void) | undefined;
  /** Told of each part of the result, while the handler runs. */
  readonly onPartial?: ((part: Body) => void) | undefined;
}

/** A handler that runs; `startHandler` makes one. */
export class RunningHandler {
  /** Resolves when the handler has ended, however it did; rejects only where the request cannot be. */
  readonly ended: Promise<HandlerRun>;
  readonly #request: TestRequest;
  readonly #worker: Worker;
  #taken = false;
  #begun = false;
  /** True where the time limit was fired before the handler has begun, which is when time runs. */
  #limitWaits = false;

  /** @internal See `startHandler`. */
  constructor(worker: Worker, asked: TestedRequest) {
    // Labels that it announces are those of this run.
    this.#worker = defineWorker({ ...worker });
    const { onProgress = () => undefined, onPartial = () => undefined } = asked;
    this.#request = new TestRequest({ onProgress, onPartial });
    this.ended = this.#run(asked);
  }

  /** Somebody cancels the request: the signal fires with an error of the code CANCELLED. */
  cancel(): void {
    this.#take(STATUS.CANCELLED);
  }

  /** The deadline of the request is over: EXPIRED. */
  expire(): void {
    this.#take(STATUS.EXPIRED);
  }

  /** The broker gives the request to another worker: REVOKED. */
  revoke(): void {
    this.#take(STATUS.FAILED);
  }

  /**
   * The worker's time limit is over, now (or, where the handler has not begun, once it has).
   *
   * @throws {MlmError} INVALID_ARGUMENT where the worker has none
   */
  fireTimeLimit(): void {
    const { service, timeLimitMs } = this.#worker;
    if (timeLimitMs === undefined) {
      throw new MlmError('INVALID_ARGUMENT', `worker "${service}" has no timeLimitMs`);
    }
    if (this.#begun) this.#request.end(timeLimitOver(timeLimitMs));
    else this.#limitWaits = true;
  }

  #take(status: number): void {
    if (this.#request.isOver) return;
    this.#taken = true;
    this.#request.end(revocation(status, ''));
  }

  async #run(asked: TestedRequest): Promise<HandlerRun> {
    let finished: (outcome: Outcome) => void = () => undefined;
    const outcome = new Promise<Outcome>((resolve) => (finished = resolve));
    const client = new TestClient(asked.client ?? {}, (said) => finished(said));
    const log: LogLine[] = [];
    const offering = new Offering(
      this.#worker,
      client,
      recordedLog((line) => log.push(line)),
    );
    await offering.start();
    log.length = 0;
    const request = this.#serviceRequest(asked);
    this.#checkSubject(client, request.subject);
    const onAbort = (): void => this.cancel();
    asked.signal?.addEventListener('abort', onAbort);
    if (asked.signal?.aborted === true) onAbort();
    client.offered.take(request);
    this.#begun = true;
    if (this.#limitWaits) this.fireTimeLimit();
    const end = this.#endOf(await outcome);
    this.#request.answered();
    asked.signal?.removeEventListener('abort', onAbort);
    await offering.stop();
    const { progressed: progress, partials, extended } = this.#request;
    const { labels } = client.offered;
    return new HandlerRun(end, { progress, partials, extended, labels, log });
  }

  #serviceRequest({
    subject = '',
    body,
    sender = 'test',
    tracker = '',
    attempt = 1,
  }: TestedRequest) {
    const { service } = this.#worker;
    const content = encodeBody(body);
    const nowMs = Date.now();
    return new ServiceRequest(
      service,
      sender,
      subject,
      tracker,
      content,
      this.#request,
      attempt,
      nowMs,
    );
  }

  #checkSubject({ offered }: TestClient, subject: string): void {
    if (offered.matches(subject)) return;
    const { service, pattern } = this.#worker;
    const message = `worker "${service}" takes subjects that match "${pattern}": "${subject}" would never come to it`;
    throw new MlmError('INVALID_ARGUMENT', message);
  }

  #endOf(outcome: Outcome): HandlerEnd {
    const { reason } = this.#request.signal as { reason: unknown };
    if (this.#taken) return { kind: 'taken', thrown: reason };
    if (outcome.kind === 'done') return { kind: 'done', reply: bodyOf(outcome.content) };
    const thrown = outcome.kind === 'failed' ? outcome.thrown : reason;
    const failure = failureOf(thrown);
    const code = workerCodeOf(failure.reason) ?? '';
    return { kind: 'failed', thrown, failure: { ...failure, code } };
  }
}

/**
 * Begins to run the handler of a worker for one request, without a broker.
 *
 * ```ts
 * const running = startHandler(worker, { body: picture, onProgress: () => running.cancel() });
 * const run = await running.ended;
 * ```
 *
 * @returns to end it early, and to wait for what becomes of it
 */
export function startHandler(worker: Worker, request: TestedRequest = {}): RunningHandler {
  return new RunningHandler(worker, request);
}

/**
 * Runs the handler of a worker for one request, to its end, without a broker.
 *
 * ```ts
 * const run = await runHandler(worker, { subject: 'say', body: Buffer.from('hello') });
 * assert.equal(run.reply.text(), 'HELLO');
 * ```
 *
 * @returns resolves when the handler has ended, also where it has failed; one that does not heed
 *   its signal is left behind after five seconds
 * @throws {MlmError} INVALID_ARGUMENT where no broker could bring the worker such a request
 */
export function runHandler(worker: Worker, request: TestedRequest = {}): Promise<HandlerRun> {
  return startHandler(worker, request).ended;
}
