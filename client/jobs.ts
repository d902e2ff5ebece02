// Jobs: requests with an id, whose life the broker writes to the stream `$jobs`,
// so that whoever knows the id can follow it, collect its result or cancel it,
// days later and from anywhere. The shapes, and how events are read; what is asked
// of the broker stands in native/jobs.ts.
import { randomBytes } from 'node:crypto';
import { STATUS, STRING_BYTES_MAX, textBytes } from '../protocol/index.js';
import { MlmError } from './errors.js';
import { confirmError } from './mailbox.js';
import { Reply, type StreamMessage } from './message.js';
import { checkText } from './options.js';
import type { RequestTerms } from './requests.js';
import { progressIn, type Progress } from './service-request.js';
import type { From } from './stream.js';
import { decodeText, decodeValue } from './value.js';
import { deadLetterError } from './worker-error.js';

/** The stream that holds the events of all jobs; a job's have the subject SERVICE/ID. */
export const JOBS_STREAM = '$jobs';

/**
 * What can happen to a job.
 * - `queued`: it was accepted, and waits for a worker
 * - `started`: a worker has it
 * - `progress`, `partial`: the worker says how far it is, or sends a part of the result
 * - `retrying`: an attempt failed, or its worker is gone; there will be another
 * - `succeeded`: it is done, and this is the reply
 * - `failed`: it is given up, and a dead letter now
 * - `cancelled`, `expired`: somebody did not want it any more, or its time was over
 */
export type JobEventName = (typeof EVENTS)[number];

const EVENTS = [
  'queued',
  'started',
  'progress',
  'partial',
  'retrying',
  'succeeded',
  'failed',
  'cancelled',
  'expired',
] as const;
const FINAL: ReadonlySet<string> = new Set(['succeeded', 'failed', 'cancelled', 'expired']);

export interface SubmitOptions extends RequestTerms {
  /**
   * The name of the job. A job of the same service with an id that was there before is accepted and
   * not run again, so that sending it twice does no harm. Default: one that is made up, unlike any
   * other; those made later sort behind.
   */
  readonly id?: string | undefined;
  /** Takes the job back while it waits to be sent. */
  readonly signal?: AbortSignal | undefined;
}

export interface ResultOptions {
  /** How long to wait, ms. Default: as long as it takes. The job goes on. */
  readonly timeoutMs?: number | undefined;
  /** Ends the waiting; the job goes on. */
  readonly signal?: AbortSignal | undefined;
}

export interface EventsOptions {
  /** Where to begin. Default `earliest`: its whole history, as far as `$jobs` holds it. */
  readonly from?: From | undefined;
  /** Ends the reading; the job goes on. */
  readonly signal?: AbortSignal | undefined;
}

/** One thing that happened to a job. */
export class JobEvent {
  readonly event: JobEventName;
  readonly service: string;
  readonly id: string;
  /** Its place in the stream `$jobs`. */
  readonly sequence: number;
  /** When it was written, ms since 1970. */
  readonly timeMs: number;
  /** `queued`: who asked. */
  readonly sender: string | undefined;
  /** `queued`: the subject of the request. */
  readonly subject: string | undefined;
  /** The address of the worker. */
  readonly worker: string | undefined;
  /** Which attempt it is, or was. */
  readonly attempt: number | undefined;
  /** `progress`: how far the worker is. */
  readonly progress: Progress | undefined;
  /** Why: `retrying`, `failed`, `cancelled`, `expired`. */
  readonly reason: string | undefined;
  /** `retrying`: the next attempt begins so much later, ms. */
  readonly delayMs: number | undefined;
  /** `succeeded`: the result is that of another request for the same; see `OfferOptions.cache`. */
  readonly cached: boolean;
  /** `partial`, `succeeded`: the frames of the part, or of the reply. They are not copies. */
  readonly content: Buffer[];

  /** @internal See `readJobEvent`. */
  constructor(
    name: JobName,
    event: JobEventName,
    said: Readonly<Record<string, unknown>>,
    message: StreamMessage,
  ) {
    this.event = event;
    this.service = name.service;
    this.id = name.id;
    this.sequence = message.sequence ?? 0;
    this.timeMs = message.timeMs ?? 0;
    this.sender = textIn(said['sender']);
    this.subject = textIn(said['subject']);
    this.worker = textIn(said['worker']);
    this.attempt = numberIn(said['attempt']);
    this.progress = event === 'progress' ? progressIn(said) : undefined;
    this.reason = textIn(said['reason']);
    this.delayMs = numberIn(said['delayMs']);
    this.cached = said['cached'] === true;
    this.content = message.content.slice(1);
  }

  /** True where nothing more happens, unless somebody makes the job again from its dead letter. */
  get isFinal(): boolean {
    return FINAL.has(this.event);
  }

  /** `content` as a value; see Message.value. @throws {MlmError} INVALID_BODY */
  value(): unknown {
    return decodeValue(this.content);
  }

  /** `content` as text; see Message.text. @throws {MlmError} INVALID_BODY */
  text(): string {
    return decodeText(this.content);
  }
}

/** Which job is meant. */
export interface JobName {
  readonly service: string;
  readonly id: string;
}

/** A job, wherever it was submitted. It costs nothing until it is asked something. */
export interface JobHandle extends JobName {
  /**
   * Looks once how it is.
   *
   * @returns the last thing that happened to it; undefined where no such job is known
   * @throws {MlmError} DISCONNECTED, CLOSED
   */
  state(): Promise<JobEvent | undefined>;

  /**
   * Waits until it is done; it may be done already. One that is not known yet is waited for, too.
   *
   * @returns the reply. Its subject is that of the request where this client submitted it, else empty
   * @throws {MlmError} WORKER_ERROR (it failed for good; `workerCode` says how), CANCELLED,
   *   EXPIRED, TIMEOUT, ABORTED, DISCONNECTED, CLOSED
   */
  result(options?: ResultOptions): Promise<Reply>;

  /**
   * Reads what happens to it: its history, then each event as it comes, until it is final.
   * Leaving the loop ends it.
   *
   * @throws {MlmError} INVALID_ARGUMENT, CLOSED; the loop as that of a stream's reader
   */
  events(options?: EventsOptions): AsyncIterableIterator<JobEvent, undefined>;

  /**
   * Cancels it, whoever submitted it: one that waits is not begun, the worker of one that runs is
   * told by its signal.
   *
   * @returns whether it waited or ran
   * @throws {MlmError} REFUSED where it is done, or not known; DISCONNECTED, CLOSED
   */
  cancel(): Promise<'waiting' | 'running'>;
}

/** @throws {MlmError} INVALID_ARGUMENT where the broker cannot write its events down */
export function checkJob({ service, id }: JobName): JobName {
  checkText('service', service);
  checkText('id', id);
  if (service.startsWith('$')) {
    throw new MlmError('INVALID_ARGUMENT', `"${service}" is the broker itself, which does no jobs`);
  }
  const bytes = textBytes(subjectOf({ service, id }));
  if (bytes <= STRING_BYTES_MAX) return { service, id };
  const message = `the service and the id of a job have ${bytes - 1} octets together; ${STRING_BYTES_MAX - 1} are the most`;
  throw new MlmError('INVALID_ARGUMENT', message);
}

/** The subject of a job's events. */
export function subjectOf({ service, id }: JobName): string {
  return `${service}/${id}`;
}

/** A pattern for the events of one job, or of all jobs of a service; it may match others, too. */
export function patternFor(subject: string, { prefix = false } = {}): string {
  let pattern = '^';
  for (const letter of subject) {
    const longer = pattern + (SPECIAL.includes(letter) ? `\\${letter}` : letter);
    // As much of it as there is room for: who reads looks again.
    if (textBytes(longer) > STRING_BYTES_MAX) return pattern;
    pattern = longer;
  }
  return prefix || textBytes(pattern) === STRING_BYTES_MAX ? pattern : `${pattern}$`;
}

/** What is more than itself in a pattern. */
const SPECIAL = '\\^$.[](){}|*+?';

/** What a message of `$jobs` tells; undefined where it is of another job, or of no known kind. */
export function readJobEvent(name: JobName, message: StreamMessage): JobEvent | undefined {
  return message.subject === subjectOf(name) ? readAnyJobEvent(message, name) : undefined;
}

/**
 * What a message of `$jobs` tells, of whatever job.
 *
 * @param name the job that it must be of; where none is given, it is the event that says which one
 * @returns undefined where it is of another job, or of no known kind
 */
export function readAnyJobEvent(message: StreamMessage, name?: JobName): JobEvent | undefined {
  const [head] = message.content;
  if (head === undefined) return undefined;
  let said: unknown;
  try {
    said = decodeValue([head]);
  } catch {
    return undefined;
  }
  if (typeof said !== 'object' || said === null) return undefined;
  const map = said as Readonly<Record<string, unknown>>;
  const event = EVENTS.find((known) => known === map['event']);
  if (event === undefined) return undefined;
  const service = textIn(map['service']);
  // Of two jobs with one subject, `a/b` of `c` and `b` of `c/a`, the service tells which one it is.
  if (name !== undefined && service !== undefined && service !== name.service) return undefined;
  return new JobEvent(name ?? nameIn(message.subject, service), event, map, message);
}

/** @param service what the event says; the first brokers that had jobs did not say it */
function nameIn(subject: string, service: string | undefined): JobName {
  const slash = service?.length ?? subject.lastIndexOf('/');
  return { service: subject.slice(0, slash), id: subject.slice(slash + 1) };
}

/** What a final event means to who waits for the result. @throws {MlmError} why there is none */
export function resultOf(event: JobEvent, subject: string): Reply {
  const { worker = '', reason = '', content } = event;
  switch (event.event) {
    case 'succeeded':
      return new Reply(subject, worker, content);
    case 'cancelled':
      throw confirmError('the job', STATUS.CANCELLED, reason);
    case 'expired':
      throw confirmError('the job', STATUS.EXPIRED, reason);
    default:
      throw deadLetterError(reason, STATUS.FAILED);
  }
}

/** Makes ids that sort by the time at which they were made, and are unlike any others. */
export class JobIds {
  #lastMs = 0;
  #count = 0;

  /** Nine digits of milliseconds, three of a count within one, and chance. */
  next(nowMs = Date.now()): string {
    if (nowMs > this.#lastMs) {
      this.#lastMs = nowMs;
      this.#count = 0;
    } else if (++this.#count >= COUNT_END) {
      this.#lastMs++;
      this.#count = 0;
    }
    const time = this.#lastMs.toString(36).padStart(9, '0');
    const count = this.#count.toString(36).padStart(3, '0');
    return `${time}${count}-${randomBytes(6).toString('hex')}`;
  }
}

const COUNT_END = 36 ** 3;

function textIn(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

function numberIn(value: unknown): number | undefined {
  return typeof value === 'number' ? value : undefined;
}
