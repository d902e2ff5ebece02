// The requester's side of services: send a request, wait for its reply. A reply
// travels as mail with the request's tracker; mail without one cannot be told
// apart from any other, and goes to the mailbox.
import { randomBytes } from 'node:crypto';
import { STATUS, type Command } from '../protocol/index.js';
import { encodeBody } from './body.js';
import { MlmError } from './errors.js';
import { confirmError } from './mailbox.js';
import { Reply } from './message.js';
import { checkMs, checkSignal, checkText } from './options.js';
import { Pending } from './pending.js';
import type { Room } from './room.js';
import { readWorkerError } from './worker-error.js';

export interface RequestOptions {
  /** How long to wait for the reply, ms. Default 30000. */
  readonly timeoutMs?: number | undefined;
  /** Ends the waiting. A request that has not left is taken back. */
  readonly signal?: AbortSignal | undefined;
}

const TIMEOUT_MS = 30_000;

export class Requests {
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
    { timeoutMs = TIMEOUT_MS, signal }: RequestOptions = {},
  ): Promise<Reply> {
    const { connection, options, outbox } = this.#room;
    if (options.address === '') {
      const message =
        'an anonymous client gets no replies: connect with an address, or with none given';
      throw new MlmError('UNSUPPORTED', message);
    }
    checkText('service', service);
    checkText('subject', subject, { empty: true });
    checkMs('timeoutMs', timeoutMs);
    checkSignal('the request', signal);
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
function brokerTimeoutMs(timeoutMs: number): number {
  return timeoutMs - Math.min(100, Math.floor(timeoutMs / 10));
}
