// Mail in native sessions. The broker sends no more than was granted, and keeps
// each mail until it is confirmed: what this client has not dealt with when its
// session ends goes to the next one. Replies to requests come this way too, and
// have been taken out before mail comes here.
import { randomBytes } from 'node:crypto';
import { contentBytes, STATUS, type NativeCommand } from '../../protocol/index.js';
import { encodeBody } from '../body.js';
import { MlmError } from '../errors.js';
import {
  checkMailbox,
  checkSend,
  confirmError,
  type MailboxOptions,
  type MailboxReader,
  type SendToOptions,
} from '../mailbox.js';
import { Mail } from '../message.js';
import { checkText } from '../options.js';
import { Pending } from '../pending.js';
import { DeliveryQueue, QueueIterator } from '../queue.js';
import type { Room } from '../room.js';
import type { MailVerbs } from '../rooms.js';
import type { HeldDelivery } from './held.js';
import { send, sendUnder } from './sending.js';
import type { Member, Speaker } from './session.js';
import { CreditWindow } from './window.js';

/** Credit bounds what comes; the queue itself turns nothing away. */
const UNBOUNDED = { messagesMax: Infinity, bytesMax: Infinity };
/** Granted for replies, at least, while any is awaited. */
const REPLY_CREDIT = 64;
/** Mail that nobody reads may keep replies away once there is so many times a window of it. */
const UNREAD_WINDOWS_MAX = 4;

interface Received {
  readonly mail: Mail;
  readonly held: HeldDelivery;
}

export class NativeMailbox implements MailVerbs, Member, Speaker {
  readonly #room: Room;
  readonly #queue: DeliveryQueue<Received>;
  readonly #pending: Pending<undefined>;
  readonly #window: CreditWindow;
  readonly #replies: () => number;
  readonly #trackerPrefix = `c-${randomBytes(6).toString('hex')}-`;
  #trackers = 0;
  #readers = 0;

  /** @param replies how many replies are awaited now */
  constructor(room: Room, replies: () => number) {
    this.#room = room;
    this.#replies = replies;
    this.#queue = new DeliveryQueue(UNBOUNDED, room.intake, true);
    this.#pending = new Pending(room.clock, room.intake);
    this.#window = new CreditWindow(room.options.bufferBytesMax);
    room.native.join(this);
  }

  /** @throws {MlmError} through its promise; see MlmClient.sendTo */
  async send(
    address: string,
    subject: string,
    body: unknown,
    options: SendToOptions = {},
  ): Promise<void> {
    const { timeoutMs = 0, signal, confirm = false } = options;
    checkSend(address, subject, options);
    const tracker = this.#trackerOf(options);
    const content = encodeBody(body);
    const command: NativeCommand<'MAILBOX SEND'> = {
      name: 'MAILBOX SEND',
      address,
      subject,
      tracker,
      timeout: timeoutMs,
      content,
    };
    if (confirm) await this.#sendAndWait(command, options);
    else await sendUnder(this.#room, signal, command);
  }

  read({ signal }: MailboxOptions): MailboxReader {
    checkMailbox(this.#room);
    this.#readers++;
    const reader = new MailReader(this.#queue, signal, {
      taken: () => this.balance(),
      ended: () => {
        this.#readers--;
      },
    });
    if (signal?.aborted === true) reader.finish();
    this.balance();
    return reader;
  }

  deliver(delivery: NativeCommand<'MAILBOX DELIVER'>, held: HeldDelivery): void {
    const { sender, subject, tracker, content, attempt, timeMs } = delivery;
    const confirms = {
      confirm: () => this.#settle(held, STATUS.SUCCESS, ''),
      reject: (reason: string) => this.#settle(held, STATUS.FAILED, reason),
    };
    const mail = new Mail(confirms, sender, subject, tracker, [...content], attempt, timeMs);
    this.#queue.push({ mail, held }, 0);
    this.balance();
  }

  /** Mail of any kind has come within the credit. */
  came({ content }: NativeCommand<'MAILBOX DELIVER'>): void {
    this.#window.came(1, Math.max(1, contentBytes(content)));
  }

  /** A CONFIRM has come. @returns false where it is not for mail sent here that waits for it */
  onConfirm(confirm: NativeCommand<'CONFIRM'>): boolean {
    const { tracker, statusCode: status, statusReason: reason } = confirm;
    if (status === STATUS.SUCCESS) return this.#pending.resolve(tracker, undefined);
    return this.#pending.reject(tracker, confirmError('the mail', status, reason));
  }

  /** Grants what there is room for, before the next batch leaves. */
  balance(): void {
    this.#room.native.speakSoon(this);
  }

  sessionOpened(): void {
    this.balance();
  }

  sessionLost(): void {
    this.#window.outstanding = 0;
    this.#queue.empty();
  }

  speak(): void {
    const { readMessagesMax } = this.#room.options;
    const replies = this.#replies();
    const waiting = this.#queue.length;
    let amount = 0;
    if (this.#readers > 0) amount = this.#window.refill(readMessagesMax, waiting);
    if (replies > 0 && waiting <= readMessagesMax * UNREAD_WINDOWS_MAX) {
      amount += this.#window.refill(Math.max(REPLY_CREDIT, replies), 0);
    }
    if (amount > 0) this.#room.native.say({ name: 'CREDIT', handle: 0, amount });
  }

  /** The client is over. */
  end(error: MlmError | undefined, pending: MlmError): void {
    this.#queue.end(error);
    this.#pending.fail(pending);
  }

  // eslint-disable-next-line @typescript-eslint/require-await -- errors go through the promise
  async #settle(held: HeldDelivery, statusCode: number, reason: string): Promise<void> {
    checkText('reason', reason, { empty: true });
    held.settle(statusCode, reason);
  }

  #trackerOf({ tracker, confirm = false }: SendToOptions): string {
    if (!confirm) return tracker ?? '';
    const chosen = tracker ?? `${this.#trackerPrefix}${++this.#trackers}`;
    if (!this.#pending.has(chosen)) return chosen;
    const message = `mail with the tracker "${chosen}" already waits for its confirmation`;
    throw new MlmError('INVALID_ARGUMENT', message);
  }

  #sendAndWait(
    command: NativeCommand<'MAILBOX SEND'>,
    { timeoutMs, signal }: SendToOptions,
  ): Promise<void> {
    const { native } = this.#room;
    const { tracker, address } = command;
    const sending = send(
      this.#room,
      command,
      () => undefined,
      (error) => void this.#pending.reject(tracker, error),
    );
    return this.#pending.add(tracker, {
      what: `mail to "${address}"`,
      timeoutMs,
      signal,
      onGone: () => void native.outbox.withdraw(sending),
    });
  }
}

interface ReaderEvents {
  taken(): void;
  ended(): void;
}

/** Asking for the next mail says that those before it are dealt with. */
class MailReader implements AsyncIterableIterator<Mail, undefined> {
  readonly #inner: QueueIterator<Received>;
  readonly #events: ReaderEvents;
  #given: HeldDelivery[] = [];

  constructor(
    queue: DeliveryQueue<Received>,
    signal: AbortSignal | undefined,
    events: ReaderEvents,
  ) {
    this.#inner = new QueueIterator(queue, signal, () => events.ended());
    this.#events = events;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<Mail, undefined>> {
    for (const held of this.#given.splice(0)) held.settle(STATUS.SUCCESS);
    const next = await this.#inner.next();
    if (next.done === true) return next;
    this.#events.taken();
    this.#given.push(next.value.held);
    return { value: next.value.mail, done: false };
  }

  return(): Promise<IteratorResult<Mail, undefined>> {
    this.finish();
    return Promise.resolve({ value: undefined, done: true });
  }

  finish(): void {
    this.#inner.finish();
  }
}
