// The requester's side of services in native sessions: sends a request, waits
// for the reply, which comes as mail with the request's tracker, or for the word
// that there will be none.
import { randomBytes } from 'node:crypto';
import { PLAIN_REQUEST, STATUS, type NativeCommand } from '../../protocol/index.js';
import { encodeBody } from '../body.js';
import type { MlmError } from '../errors.js';
import { confirmError } from '../mailbox.js';
import { Reply } from '../message.js';
import { Pending } from '../pending.js';
import { brokerTimeoutMs, checkRequest, type RequestOptions } from '../requests.js';
import type { Room } from '../room.js';
import type { RequestVerbs } from '../rooms.js';
import { deadLetterError, readWorkerError } from '../worker-error.js';
import { send } from './sending.js';

export class NativeRequests implements RequestVerbs {
  readonly #room: Room;
  readonly #pending: Pending<Reply>;
  readonly #trackerPrefix = `r-${randomBytes(6).toString('hex')}-`;
  readonly #onAwaited: () => void;
  #trackers = 0;

  /** @param onAwaited told when one more reply is awaited */
  constructor(room: Room, onAwaited: () => void) {
    this.#room = room;
    this.#onAwaited = onAwaited;
    this.#pending = new Pending(room.clock, room.intake);
  }

  /** How many replies are awaited. */
  get awaited(): number {
    return this.#pending.size;
  }

  /** @throws {MlmError} through its promise; see MlmClient.request */
  async request(
    service: string,
    subject: string,
    body: unknown,
    given: RequestOptions = {},
  ): Promise<Reply> {
    const { address } = this.#room.options;
    const { timeoutMs, signal, priority, delayMs } = checkRequest(address, service, subject, given);
    const tracker = `${this.#trackerPrefix}${++this.#trackers}`;
    const command: NativeCommand<'SERVICE SEND'> = {
      ...PLAIN_REQUEST,
      address: service,
      subject,
      tracker,
      timeout: brokerTimeoutMs(timeoutMs),
      priority,
      delay: delayMs,
      content: encodeBody(body),
    };
    const sending = send(
      this.#room,
      command,
      () => undefined,
      (error) => void this.#pending.reject(tracker, error),
    );
    const reply = this.#pending.add(tracker, {
      what: `request "${subject}" to service "${service}"`,
      timeoutMs,
      signal,
      onGone: () => void this.#room.native.outbox.withdraw(sending),
    });
    this.#onAwaited();
    return reply;
  }

  /** Mail has come. @returns false where it is no reply to a request of this client */
  onMail({ sender, subject, tracker, content }: NativeCommand<'MAILBOX DELIVER'>): boolean {
    if (!this.#owns(tracker)) return false;
    const error = readWorkerError(sender, content);
    const awaited =
      error === undefined
        ? this.#pending.resolve(tracker, new Reply(subject, sender, [...content]))
        : this.#pending.reject(tracker, error);
    // An error reply beside the word that the request is a dead letter says nothing new.
    if (!awaited && error === undefined) {
      // Too late, or a second reply to the same request.
      const { options, events } = this.#room;
      events.emit('dropped', { from: 'reply', name: options.address, subject, sender });
    }
    return true;
  }

  /** A CONFIRM has come. @returns false where it is not for a request of this client */
  onConfirm({ tracker, statusCode, statusReason }: NativeCommand<'CONFIRM'>): boolean {
    if (!this.#owns(tracker)) return false;
    // A worker has done it: the reply is on its way.
    if (statusCode === STATUS.SUCCESS) return true;
    const error =
      statusCode === STATUS.EXPIRED
        ? confirmError('the request', statusCode, statusReason)
        : deadLetterError(statusReason, statusCode);
    this.#pending.reject(tracker, error);
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
