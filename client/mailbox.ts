// The verbs of mail: send to a mailbox, read the own one, confirm. Replies to
// requests have been taken out before mail comes here. It queues what nobody
// reads yet, within bounds; sockets are not its business.
import { randomBytes } from 'node:crypto';
import { contentBytes, STATUS, type Command } from '../protocol/index.js';
import { encodeBody } from './body.js';
import { MlmError } from './errors.js';
import { Mail, type Confirms } from './message.js';
import type { MailVerbs } from './rooms.js';
import { checkMs, checkSignal, checkText } from './options.js';
import { Pending } from './pending.js';
import { DeliveryQueue, QueueIterator } from './queue.js';
import { boundsOf, sendUnder, type Room } from './room.js';

export interface SendToOptions {
  /** A name for this message, which its receiver confirms by. Made up where needed. */
  readonly tracker?: string | undefined;
  /** The broker discards the mail if it was not delivered within this time, ms. Default: keeps it. */
  readonly timeoutMs?: number | undefined;
  /** Wait until the receiver has confirmed. Not with a C broker: it has no confirmations. */
  readonly confirm?: boolean | undefined;
  /** Takes the mail back while it waits to be sent, and ends the waiting for a confirmation. */
  readonly signal?: AbortSignal | undefined;
}

export interface MailboxOptions {
  /** Ends the reading, as `break` does. What was not taken stays for the next one. */
  readonly signal?: AbortSignal | undefined;
}

/** A reader of the own mailbox. */
export type MailboxReader = AsyncIterableIterator<Mail, undefined>;

export class Mailbox implements MailVerbs {
  readonly #room: Room;
  readonly #queue: DeliveryQueue<Mail>;
  readonly #pending: Pending<undefined>;
  readonly #trackerPrefix = `c-${randomBytes(6).toString('hex')}-`;
  #trackers = 0;
  #readers = 0;
  #dropping = false;

  constructor(room: Room) {
    this.#room = room;
    this.#queue = new DeliveryQueue(boundsOf(room), room.intake, false);
    this.#pending = new Pending(room.clock, room.intake);
  }

  /** @throws {MlmError} through its promise; see MlmClient.sendTo */
  async send(
    address: string,
    subject: string,
    body: unknown,
    options: SendToOptions = {},
  ): Promise<void> {
    const { timeoutMs, signal } = options;
    checkSend(address, subject, options);
    const tracker = this.#trackerOf(options);
    const command: Command<'MAILBOX SEND'> = {
      name: 'MAILBOX SEND',
      address,
      subject,
      tracker,
      timeout: timeoutMs ?? 0,
      content: encodeBody(body),
    };
    if (options.confirm === true) await this.#sendAndWait(command, options);
    else await sendUnder(this.#room, signal, command);
  }

  read({ signal }: MailboxOptions): MailboxReader {
    checkMailbox(this.#room);
    this.#readers++;
    this.#queue.patient = true;
    const reader = new QueueIterator(this.#queue, signal, () => {
      this.#readers--;
      this.#queue.patient = this.#readers > 0;
    });
    if (signal?.aborted === true) reader.finish();
    return reader;
  }

  deliver({ sender, address, subject, tracker, content }: Command<'MAILBOX DELIVER'>): void {
    const mail = new Mail(this.#confirmsOf(tracker), sender, subject, tracker, content);
    const taken = this.#queue.push(mail, contentBytes(content));
    if (!taken && !this.#dropping) {
      this.#room.events.emit('dropped', { from: 'mailbox', name: address, subject, sender });
    }
    this.#dropping = !taken;
  }

  /** A CONFIRM has come. @returns false where it is not for mail sent here that waits for it */
  onConfirm({ tracker, statusCode: status, statusReason: reason }: Command<'CONFIRM'>): boolean {
    if (status === STATUS.SUCCESS) return this.#pending.resolve(tracker, undefined);
    return this.#pending.reject(tracker, confirmError('the mail', status, reason));
  }

  #confirmsOf(tracker: string): Confirms {
    return {
      confirm: () => this.#confirm(tracker, STATUS.SUCCESS, ''),
      reject: (reason) => this.#confirm(tracker, STATUS.FAILED, reason),
    };
  }

  /** The client is over. */
  end(error: MlmError | undefined, pending: MlmError): void {
    this.#queue.end(error);
    this.#pending.fail(pending);
  }

  async #confirm(tracker: string, statusCode: number, statusReason: string): Promise<void> {
    if (tracker === '') return;
    checkText('reason', statusReason, { empty: true });
    await this.#room.connection.send({ name: 'CONFIRM', tracker, statusCode, statusReason });
  }

  #trackerOf({ tracker, confirm }: SendToOptions): string {
    if (confirm !== true) return tracker ?? '';
    const chosen = tracker ?? `${this.#trackerPrefix}${++this.#trackers}`;
    if (!this.#pending.has(chosen)) return chosen;
    const message = `mail with the tracker "${chosen}" already waits for its confirmation`;
    throw new MlmError('INVALID_ARGUMENT', message);
  }

  #sendAndWait(command: Command<'MAILBOX SEND'>, options: SendToOptions): Promise<void> {
    const { connection, outbox } = this.#room;
    const confirmed = this.#pending.add(command.tracker, {
      what: `mail to "${command.address}"`,
      timeoutMs: options.timeoutMs,
      signal: options.signal,
      onGone: () => outbox.withdraw(command),
    });
    connection.send(command).catch((error: unknown) => {
      this.#pending.reject(command.tracker, error as MlmError);
    });
    return confirmed;
  }
}

/** @throws {MlmError} INVALID_ARGUMENT, ABORTED */
export function checkSend(
  address: string,
  subject: string,
  { timeoutMs, tracker, confirm, signal }: SendToOptions,
): void {
  if (tracker !== undefined) checkText('tracker', tracker, { empty: confirm !== true });
  checkText('address', address);
  checkText('subject', subject, { empty: true });
  if (timeoutMs !== undefined) checkMs('timeoutMs', timeoutMs);
  checkSignal('sending', signal);
}

/** @throws {MlmError} UNSUPPORTED for an anonymous client; what ended the client */
export function checkMailbox({ connection, options }: Room): void {
  if (options.address === '') {
    const message = 'an anonymous client has no mailbox: connect with an address';
    throw new MlmError('UNSUPPORTED', message);
  }
  if (connection.over !== undefined) throw connection.over;
}

/** What a CONFIRM with another status than 200 says. */
export function confirmError(what: string, status: number, reason: string): MlmError {
  const why = reason === '' ? '' : `: ${reason}`;
  if (status === STATUS.EXPIRED) {
    const reasoned = reason === '' ? 'nobody took it in its time' : reason;
    return new MlmError('EXPIRED', `${what} expired: ${reasoned}`, { status });
  }
  if (status === STATUS.CANCELLED) {
    return new MlmError('CANCELLED', `${what} was cancelled${why}`, { status });
  }
  return new MlmError('REFUSED', `${what} was refused (status ${status})${why}`, { status });
}
