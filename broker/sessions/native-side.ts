// What is more about a native session than about one of MLM/1: its sendings are
// counted and accepted by number, what it was given is its own until it confirms,
// and it keeps streams and readers under handles.
import type { NativeCommand } from '../../protocol/index.js';
import { Acceptance } from './acceptance.js';
import { Held } from '../queues/held.js';
import type { Message } from '../queues/message.js';
import type { NativeReader } from '../streams/native-reader.js';
import { nativeOutgoing, type Outgoing, type Traffic } from './outbox.js';
import type { Session } from './session.js';
import type { Stream } from '../streams/stream.js';

export class NativeSide {
  /** The numbers of its sendings. */
  readonly acceptance: Acceptance;
  /** Streams that it writes to, by handle. */
  readonly streams = new Map<number, Stream>();
  /** The same the other way round. */
  readonly streamHandles = new Map<Stream, number>();
  /** Readers that it opened, by handle. */
  readonly readers = new Map<number, NativeReader>();
  /** What it holds and has not confirmed, by delivery number. */
  readonly held = new Map<number, Held>();
  /** Mail that it may be sent before it grants more. */
  mailCredit = 0;
  readonly #session: Session;
  #lastHandle = 0;
  #lastDelivery = 0;

  constructor(session: Session) {
    this.#session = session;
    this.acceptance = new Acceptance({
      // Half of the room for replies is left to those that cannot wait.
      say: (command) => session.outbox.hasRoomForReplies && session.replyNative(command),
      later: () => session.continueSoon(),
    });
  }

  /** A handle that was not given before. */
  newHandle(): number {
    return ++this.#lastHandle;
  }

  /** Deliveries that it may be sent of a kind whose credit the session keeps. */
  creditFor(traffic: Traffic): number {
    return traffic === 'mailbox' ? this.mailCredit : Infinity;
  }

  /** Makes a delivery of a kept message, which the client holds from now on. */
  outgoing(traffic: 'mailbox' | 'service', address: string, message: Message): Outgoing {
    if (traffic === 'mailbox') this.mailCredit--;
    const delivery = ++this.#lastDelivery;
    const epoch = ++message.epoch;
    message.holder = new Held(this.#session, message, delivery, epoch);
    this.held.set(delivery, message.holder);
    const { sender, subject, tracker, content, bytes } = message;
    const timeMs = message.acceptedWallMs;
    const attempt = Math.min(message.attempts, 0xffff);
    const fields = { delivery, epoch, attempt, timeMs, sender, subject, tracker, content };
    const command: NativeCommand =
      traffic === 'mailbox'
        ? { name: 'MAILBOX DELIVER', ...fields }
        : { name: 'SERVICE DELIVER', address, ...fields };
    return nativeOutgoing(command, bytes);
  }

  /** Mail from the broker itself, which is not kept: delivery 0 needs no confirm. */
  answer(sender: string, subject: string, tracker: string, body: Buffer): Outgoing {
    const fields = { delivery: 0, epoch: 0, attempt: 1, timeMs: Date.now() };
    const command = {
      name: 'MAILBOX DELIVER',
      ...fields,
      sender,
      subject,
      tracker,
      content: [body],
    } as const;
    return nativeOutgoing(command, body.length);
  }

  /** The session ends. @returns what it held, newest first, to be given to others */
  release(): Message[] {
    const messages = [...this.held.values()]
      .reverse()
      .filter(({ revoked }) => !revoked)
      .map(({ message }) => message);
    this.held.clear();
    this.streams.clear();
    this.streamHandles.clear();
    this.readers.clear();
    return messages;
  }
}
