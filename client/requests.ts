// The requester's side of services: send a request, wait for its reply. A reply
// travels as mail with the request's tracker; mail without one cannot be told
// apart from any other, and goes to the mailbox.
import { randomBytes } from 'node:crypto';
import { STATUS, type Command } from '../protocol/index.js';
import { encodeBody } from './body.js';
import { MlmError, notOnV1 } from './errors.js';
import { confirmError } from './mailbox.js';
import { Reply } from './message.js';
import { checkMs, checkSignal, checkText } from './options.js';
import { Pending } from './pending.js';
import type { Room } from './room.js';
import type { RequestVerbs } from './rooms.js';
import { readWorkerError } from './worker-error.js';

export interface RequestOptions {
  /** How long to wait for the reply, ms. Default 30000. */
  readonly timeoutMs?: number | undefined;
  /** Ends the waiting. A request that has not left is taken back. */
  readonly signal?: AbortSignal | undefined;
  /** 0 (the default) to 9: what is more urgent goes first. Native sessions only. */
  readonly priority?: number | undefined;
  /** How long no worker is to get the request, ms. Native sessions only. */
  readonly delayMs?: number | undefined;
}

const TIMEOUT_MS = 30_000;
const PRIORITY_MAX = 9;

/** The options of a request with their defaults in place. */
export interface CheckedRequest {
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
  readonly priority: number;
  readonly delayMs: number;
}

/** @throws {MlmError} INVALID_ARGUMENT, ABORTED, UNSUPPORTED for an anonymous client */
export function checkRequest(
  address: string,
  service: string,
  subject: string,
  { timeoutMs = TIMEOUT_MS, signal, priority = 0, delayMs = 0 }: RequestOptions,
): CheckedRequest {
  if (address === '') {
    const message =
      'an anonymous client gets no replies: connect with an address, or with none given';
    throw new MlmError('UNSUPPORTED', message);
  }
  checkText('service', service);
  checkText('subject', subject, { empty: true });
  checkMs('timeoutMs', timeoutMs);
  if (!Number.isInteger(priority) || priority < 0 || priority > PRIORITY_MAX) {
    const message = `priority is ${String(priority)}; it must be a whole number from 0 to ${PRIORITY_MAX}`;
    throw new MlmError('INVALID_ARGUMENT', message);
  }
  if (delayMs !== 0) checkMs('delayMs', delayMs);
  if (delayMs >= timeoutMs) {
    const message = `delayMs is ${delayMs}: the request would be given up after its timeoutMs of ${timeoutMs}`;
    throw new MlmError('INVALID_ARGUMENT', message);
  }
  checkSignal('the request', signal);
  return { timeoutMs, signal, priority, delayMs };
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
    const { timeoutMs, signal, priority, delayMs } = checkRequest(
      options.address,
      service,
      subject,
      given,
    );
    if (priority > 0) throw notOnV1('a priority');
    if (delayMs > 0) throw notOnV1('a delay');
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
  return timeoutMs - Math.min(100, Math.floor(timeoutMs / 10));
}
