// The requester's side of services in native sessions: sends a request, waits
// for the reply, which comes as mail with the request's tracker, or for the word
// that there will be none. What nobody waits for any more is cancelled; a reply
// that comes all the same is taken and thrown away.
import { randomBytes } from 'node:crypto';
import { PROGRESS_KIND, STATUS, type NativeCommand } from '../../protocol/index.js';
import { encodeBody } from '../body.js';
import type { MlmError } from '../errors.js';
import { confirmError } from '../mailbox.js';
import { Message, Reply } from '../message.js';
import { Pending } from '../pending.js';
import {
  brokerTimeoutMs,
  checkRequest,
  type CheckedTerms,
  type RequestOptions,
} from '../requests.js';
import type { Room } from '../room.js';
import type { RequestVerbs } from '../rooms.js';
import { readProgress } from '../service-request.js';
import { deadLetterError, readWorkerError } from '../worker-error.js';
import { LateReplies } from './late.js';
import type { Sending } from './outbox.js';
import { send } from './sending.js';

/** What does a request that is a job. */
export interface JobRequests {
  request(
    service: string,
    subject: string,
    body: unknown,
    id: string,
    options: RequestOptions & { readonly timeoutMs: number },
  ): Promise<Reply>;
}

/** A request whose reply is awaited. */
interface Asked {
  readonly service: string;
  readonly subject: string;
  readonly sending: Sending;
  readonly options: RequestOptions;
}

/** Trackers as clients of this kind make them; also those of whoever had the address before. */
const TRACKER = /^r-[0-9a-f]{12}-\d+$/;

export class NativeRequests implements RequestVerbs {
  readonly #room: Room;
  readonly #pending: Pending<Reply>;
  readonly #trackerPrefix = `r-${randomBytes(6).toString('hex')}-`;
  readonly #jobs: JobRequests;
  readonly #onAwaited: () => void;
  readonly #asked = new Map<string, Asked>();
  readonly #late: LateReplies;
  #trackers = 0;

  /**
   * @param jobs what does requests that are jobs
   * @param onAwaited told when one more reply is awaited
   */
  constructor(room: Room, jobs: JobRequests, onAwaited: () => void) {
    this.#room = room;
    this.#jobs = jobs;
    this.#onAwaited = onAwaited;
    this.#pending = new Pending(room.clock, room.intake);
    this.#late = new LateReplies(room.clock);
  }

  /** How many replies are awaited, or may come though nobody waits for them. */
  get awaited(): number {
    return this.#pending.size + this.#late.size;
  }

  /** @throws {MlmError} through its promise; see MlmClient.request */
  async request(
    service: string,
    subject: string,
    body: unknown,
    options: RequestOptions = {},
  ): Promise<Reply> {
    const { address } = this.#room.options;
    const checked = checkRequest(address, service, subject, options);
    const { timeoutMs, signal } = checked;
    if (options.id !== undefined) {
      return this.#jobs.request(service, subject, body, options.id, { ...options, timeoutMs });
    }
    const tracker = `${this.#trackerPrefix}${++this.#trackers}`;
    const command = requestCommand(service, subject, tracker, body, checked);
    command.timeout = brokerTimeoutMs(timeoutMs);
    const sending = send(
      this.#room,
      command,
      () => undefined,
      (error) => void this.#reject(tracker, error),
    );
    this.#asked.set(tracker, { service, subject, sending, options });
    const reply = this.#pending.add(tracker, {
      what: `request "${subject}" to service "${service}"`,
      timeoutMs,
      signal,
      onGone: () => this.#giveUp(tracker),
    });
    this.#onAwaited();
    return reply;
  }

  /** Mail has come. @returns false where it is no reply to a request of a client with this address */
  onMail({ sender, subject, tracker, content }: NativeCommand<'MAILBOX DELIVER'>): boolean {
    if (!TRACKER.test(tracker)) return false;
    const error = readWorkerError(sender, content);
    const awaited =
      error === undefined
        ? this.#resolve(tracker, new Reply(subject, sender, [...content]))
        : this.#reject(tracker, error);
    this.#late.delete(tracker);
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
    if (!tracker.startsWith(this.#trackerPrefix)) return false;
    // A worker has done it: the reply is on its way.
    if (statusCode === STATUS.SUCCESS) return true;
    this.#late.delete(tracker);
    this.#reject(tracker, endError(statusCode, statusReason));
    return true;
  }

  /** A worker has said how far it is, or sent a part of the result. */
  onProgressed({ tracker, kind, content }: NativeCommand<'PROGRESSED'>): void {
    const asked = this.#asked.get(tracker);
    if (asked === undefined) return;
    const { onProgress, onPartial } = asked.options;
    const { events } = this.#room;
    if (kind === PROGRESS_KIND.progress) events.tell(onProgress, readProgress(content));
    if (kind === PROGRESS_KIND.partial) {
      events.tell(onPartial, new Message(asked.subject, '', [...content]));
    }
  }

  /** The client is over: what it asked for is wanted by nobody. */
  end(error: MlmError): void {
    for (const tracker of this.#asked.keys()) this.#giveUp(tracker);
    this.#pending.fail(error);
    this.#late.stop();
  }

  #resolve(tracker: string, reply: Reply): boolean {
    this.#asked.delete(tracker);
    return this.#pending.resolve(tracker, reply);
  }

  #reject(tracker: string, error: MlmError): boolean {
    this.#asked.delete(tracker);
    return this.#pending.reject(tracker, error);
  }

  /** Nobody waits for a reply any more: takes the request back, or cancels it. */
  #giveUp(tracker: string): void {
    const asked = this.#asked.get(tracker);
    if (asked === undefined) return;
    this.#asked.delete(tracker);
    const { service, sending } = asked;
    const everLeft = sending.last > 0;
    if (this.#room.native.outbox.withdraw(sending) && !everLeft) return;
    this.#late.add(tracker);
    this.#cancel(service, tracker);
  }

  #cancel(service: string, tracker: string): void {
    const { connection, native } = this.#room;
    if (connection.over !== undefined) return;
    native.call(
      'request.cancel',
      { service, tracker },
      {
        done: () => this.#late.delete(tracker),
        // It is done, or never came: if there is a reply, it is in the mailbox.
        refused: () => this.#onAwaited(),
        dropped: () => this.#cancel(service, tracker),
      },
    );
  }
}

/** A request as it travels, without a timeout. @throws {MlmError} INVALID_ARGUMENT for the body */
export function requestCommand(
  service: string,
  subject: string,
  tracker: string,
  body: unknown,
  { priority, delayMs, deadlineMs, key, wants }: CheckedTerms,
): NativeCommand<'SERVICE SEND'> {
  // Field by field: one copy of an object with a spread costs more than all else here.
  return {
    name: 'SERVICE SEND',
    address: service,
    subject,
    tracker,
    timeout: 0,
    priority,
    delay: delayMs,
    deadline: deadlineMs,
    job: 0,
    key,
    wants,
    content: encodeBody(body),
  };
}

/** The error for a request that will not be done, from the broker's last word about it. */
function endError(statusCode: number, reason: string): MlmError {
  return statusCode === STATUS.EXPIRED || statusCode === STATUS.CANCELLED
    ? confirmError('the request', statusCode, reason)
    : deadLetterError(reason, statusCode);
}
