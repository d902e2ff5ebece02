// The requester's side of services: send a request, wait for its reply. A reply
// travels as mail with the request's tracker; mail without one cannot be told
// apart from any other, and goes to the mailbox.
import { randomBytes } from 'node:crypto';
import { STATUS, type Command } from '../protocol/index.js';
import { encodeBody } from './body.js';
import { MlmError, notOnV1 } from './errors.js';
import { confirmError } from './mailbox.js';
import { checkWants, type Wants } from './labels.js';
import { Reply, type Message } from './message.js';
import { checkMs, checkSignal, checkText } from './options.js';
import { Pending } from './pending.js';
import type { Room } from './room.js';
import type { RequestVerbs } from './rooms.js';
import type { Progress } from './service-request.js';
import { readWorkerError } from './worker-error.js';

/** How a request is to be treated. Native sessions only. */
export interface RequestTerms extends Wants {
  /** 0 (the default) to 9: what is more urgent goes first. */
  readonly priority?: number | undefined;
  /** How long no worker is to get the request, ms. */
  readonly delayMs?: number | undefined;
  /** By when it must be done, ms from now; then it is given up (EXPIRED), and its worker is told. */
  readonly deadlineMs?: number | undefined;
  /**
   * Requests of one key (to one service) run one at a time, in order, with the same worker where
   * that can be; and no key keeps those of others waiting.
   */
  readonly key?: string | undefined;
  /**
   * Has it done anew, though workers keep results (see `offer`) and the result may be known. On
   * MLM/1, where nobody keeps any, it changes nothing.
   */
  readonly fresh?: boolean | undefined;
}

export interface RequestOptions extends RequestTerms {
  /**
   * How long to wait for the reply, ms. Default 30000. Then, and when the signal fires, the request
   * is cancelled (on MLM/1: where it has not left), so that nobody works for nothing.
   */
  readonly timeoutMs?: number | undefined;
  /** Ends the waiting, and cancels the request. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Makes the request a job with this id, as `submit` does, and waits for its result. A job goes on
   * where the waiting ends: `client.job(service, id)` collects or cancels it. Native sessions only.
   */
  readonly id?: string | undefined;
  /** Told how far the worker is, as it says so. */
  readonly onProgress?: ((progress: Progress) => void) | undefined;
  /**
   * Told of each part of the result that the worker emits, in order. An attempt that fails may have
   * sent some: the next one begins again.
   */
  readonly onPartial?: ((part: Message) => void) | undefined;
}

const TIMEOUT_MS = 30_000;
const PRIORITY_MAX = 9;

/** The terms of a request with their defaults in place. */
export interface CheckedTerms {
  readonly priority: number;
  readonly delayMs: number;
  /** 0 for none. */
  readonly deadlineMs: number;
  readonly key: string;
  /** As it travels; undefined for nothing. */
  readonly wants: unknown;
}

/** The options of a request with their defaults in place. */
export interface CheckedRequest extends CheckedTerms {
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
}

/** @throws {MlmError} INVALID_ARGUMENT naming the option */
export function checkTerms(service: string, subject: string, terms: RequestTerms): CheckedTerms {
  const { priority = 0, delayMs = 0, deadlineMs = 0, key = '' } = terms;
  checkText('service', service);
  checkText('subject', subject, { empty: true });
  if (!Number.isInteger(priority) || priority < 0 || priority > PRIORITY_MAX) {
    const message = `priority is ${String(priority)}; it must be a whole number from 0 to ${PRIORITY_MAX}`;
    throw new MlmError('INVALID_ARGUMENT', message);
  }
  if (delayMs !== 0) checkMs('delayMs', delayMs);
  if (terms.deadlineMs !== undefined) checkMs('deadlineMs', deadlineMs);
  if (deadlineMs > 0 && delayMs >= deadlineMs) {
    const message = `delayMs is ${delayMs}: the request would be given up before, after its deadlineMs of ${deadlineMs}`;
    throw new MlmError('INVALID_ARGUMENT', message);
  }
  checkText('key', key, { empty: true });
  return { priority, delayMs, deadlineMs, key, wants: checkWants(terms, terms.fresh) };
}

/** @throws {MlmError} INVALID_ARGUMENT, ABORTED, UNSUPPORTED for an anonymous client */
export function checkRequest(
  address: string,
  service: string,
  subject: string,
  options: RequestOptions,
): CheckedRequest {
  const { timeoutMs = TIMEOUT_MS, signal } = options;
  if (address === '') {
    const message =
      'an anonymous client gets no replies: connect with an address, or with none given';
    throw new MlmError('UNSUPPORTED', message);
  }
  const terms = checkTerms(service, subject, options);
  checkMs('timeoutMs', timeoutMs);
  if (terms.delayMs >= timeoutMs) {
    const message = `delayMs is ${terms.delayMs}: the request would be given up after its timeoutMs of ${timeoutMs}`;
    throw new MlmError('INVALID_ARGUMENT', message);
  }
  checkSignal('the request', signal);
  return { ...terms, timeoutMs, signal };
}

/** @throws {MlmError} UNSUPPORTED naming what a session of MLM/1 has no word for */
function checkPlain({ priority, delayMs, deadlineMs, key, wants }: CheckedTerms): void {
  if (priority > 0) throw notOnV1('a priority');
  if (delayMs > 0) throw notOnV1('a delay');
  if (deadlineMs > 0) throw notOnV1('a deadline');
  if (key !== '') throw notOnV1('a key');
  if (wants !== undefined) throw notOnV1('what a request needs or prefers');
}

export class Requests implements RequestVerbs {
  readonly #room: Room;
  readonly #pending: Pending<Reply>;
  readonly #trackerPrefix = `r-${randomBytes(6).toString('hex')}-`;
  #trackers = 0;

  constructor(room: Room) {
    this.#room = room;
    this.#pending = new Pending(room.clock, room.intake);
  }

  /** @throws {MlmError} through its promise; see MlmClient.request */
  async request(
    service: string,
    subject: string,
    body: unknown,
    given: RequestOptions = {},
  ): Promise<Reply> {
    const { connection, options, outbox } = this.#room;
    const checked = checkRequest(options.address, service, subject, { ...given, fresh: false });
    const { timeoutMs, signal } = checked;
    checkPlain(checked);
    if (given.id !== undefined) throw notOnV1('a job');
    const tracker = `${this.#trackerPrefix}${++this.#trackers}`;
    const command: Command<'SERVICE SEND'> = {
      name: 'SERVICE SEND',
      address: service,
      subject,
      tracker,
      timeout: brokerTimeoutMs(timeoutMs),
      content: encodeBody(body),
    };
    const reply = this.#pending.add(tracker, {
      what: `request "${subject}" to service "${service}"`,
      timeoutMs,
      signal,
      onGone: () => outbox.withdraw(command),
    });
    connection.send(command).catch((error: unknown) => {
      this.#pending.reject(tracker, error as MlmError);
    });
    return reply;
  }

  /** Mail has come. @returns false where it is no reply to a request of this client */
  onMail({ sender, address, subject, tracker, content }: Command<'MAILBOX DELIVER'>): boolean {
    if (!this.#owns(tracker)) return false;
    const error = readWorkerError(sender, content);
    const awaited =
      error === undefined
        ? this.#pending.resolve(tracker, new Reply(subject, sender, content))
        : this.#pending.reject(tracker, error);
    if (!awaited) {
      // Too late, or a second reply to the same request.
      this.#room.events.emit('dropped', { from: 'reply', name: address, subject, sender });
    }
    return true;
  }

  /** A CONFIRM has come. @returns false where it is not for a request of this client */
  onConfirm({ tracker, statusCode: status, statusReason: reason }: Command<'CONFIRM'>): boolean {
    if (!this.#owns(tracker)) return false;
    // A worker has it: the reply is still to come.
    if (status === STATUS.SUCCESS) return true;
    this.#pending.reject(tracker, confirmError('the request', status, reason));
    return true;
  }

  /** The client is over. */
  end(error: MlmError): void {
    this.#pending.fail(error);
  }

  #owns(tracker: string): boolean {
    return tracker.startsWith(this.#trackerPrefix);
  }
}

/**
 * The broker gives a request up a little before we do, so that its word (EXPIRED:
 * no worker took it) comes before our TIMEOUT (whatever happened, no reply came).
 */
export function brokerTimeoutMs(timeoutMs: number): number {
  return timeoutMs - Math.min(500, Math.floor(timeoutMs / 5));
}
