// What a native client has sent and the broker has not accepted yet, in order:
// what waits for a session, and what is on its way. The broker accepts by
// number, counted anew in each session; what a lost session left unaccepted goes
// out again in the next one. It is bounded, and knows no sockets.
import { IDS_REMEMBERED, type NativeCommand } from '../../protocol/index.js';
import { MlmError } from '../errors.js';
import type { Handed, StreamWriter } from './stream-writer.js';

/** A command that counts as one or more sendings. */
export type SendCommand = NativeCommand<
  'STREAM SEND' | 'STREAM SEND ONCE' | 'MAILBOX SEND' | 'SERVICE SEND'
>;

/** Who waits for the acceptance of one message of a sending. */
export interface Waiter {
  /** Which message of the sending it is. */
  readonly index: number;
  /** @param sequence of the message in its stream; 0 where it went to no stream */
  accepted(sequence: number): void;
  failed(error: MlmError): void;
}

/** One command on its way to acceptance. */
export interface Sending {
  readonly command: SendCommand;
  /** The stream it goes to; undefined for mail and requests. */
  readonly writer: StreamWriter | undefined;
  readonly count: number;
  readonly bytes: number;
  readonly waiters: readonly Waiter[];
  /** The number of its last message, in the session that it was sent in. */
  last: number;
  /** The sequence that its first message got. */
  sequence: number;
  error: MlmError | undefined;
}

interface FlushWaiter {
  readonly at: number;
  readonly resolve: () => void;
  readonly reject: (error: MlmError) => void;
}

/** Settled sendings are forgotten in rows of so many. */
const CHUNK = 1024;

export class NativeOutbox {
  readonly #messagesMax: number;
  readonly #bytesMax: number;
  readonly #onRefused: (sending: Sending, error: MlmError) => void;
  /** Sendings from `#head` on; those before `#next` are on their way. */
  #sendings: Sending[] = [];
  #head = 0;
  #next = 0;
  /** Writers in which messages gather. */
  readonly #gathering: StreamWriter[] = [];
  #messages = 0;
  #bytes = 0;
  /** Of the messages, those with an id. */
  #withId = 0;
  /** Sendings settled, and sendings ever added. */
  #settled = 0;
  #added = 0;
  #lastNumber = 0;
  #flushing: FlushWaiter[] = [];
  #wantingRoom: FlushWaiter[] = [];

  /**
   * @param messagesMax messages, and `bytesMax` octets, that may be unaccepted
   * @param onRefused told of refused messages that nobody waits for
   */
  constructor(
    messagesMax: number,
    bytesMax: number,
    onRefused: (sending: Sending, error: MlmError) => void,
  ) {
    this.#messagesMax = messagesMax;
    this.#bytesMax = bytesMax;
    this.#onRefused = onRefused;
  }

  /** How many sendings were ever added. */
  get added(): number {
    return this.#added;
  }

  /** How many of them do not wait to leave any more. */
  get passed(): number {
    return this.#added - (this.#sendings.length - this.#next);
  }

  get messages(): number {
    return this.#messages;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** True where one more message may be sent. One always fits an empty outbox. */
  get hasRoom(): boolean {
    return this.#messages < this.#messagesMax && this.#bytes < this.#bytesMax;
  }

  /** @throws {MlmError} BUFFER_FULL */
  checkRoom(): void {
    if (!this.hasRoom) throw this.#fullError();
  }

  /**
   * Checks that one more message with an id may be sent: no more may be unaccepted than the
   * broker remembers, or some of those that are sent again would come twice.
   *
   * @throws {MlmError} BUFFER_FULL
   */
  checkRoomForId(): void {
    if (this.#withId < IDS_REMEMBERED) return;
    const message = `${this.#withId} messages with an id wait for the broker to accept them: await some of them first`;
    throw new MlmError('BUFFER_FULL', message);
  }

  /** Resolves once at most half of the bounds is taken. */
  room(): Promise<void> {
    if (this.#isLow()) return Promise.resolve();
    return new Promise((resolve, reject) => this.#wantingRoom.push({ at: 0, resolve, reject }));
  }

  /** Resolves when everything added so far was accepted or refused; rejects with what ends the client. */
  flushed(): Promise<void> {
    this.seal();
    const at = this.#added;
    if (this.#settled === at) return Promise.resolve();
    return new Promise((resolve, reject) => this.#flushing.push({ at, resolve, reject }));
  }

  /** Counts a message that was put in a stream's writer. */
  gathered(writer: StreamWriter, bytes: number): void {
    this.#messages++;
    this.#bytes += bytes;
    if (writer.gathering) return;
    writer.gathering = true;
    this.#gathering.push(writer);
  }

  /** Adds mail or a request, behind everything that was sent before. */
  add(
    command: NativeCommand<'MAILBOX SEND' | 'SERVICE SEND'>,
    bytes: number,
    waiter: Waiter | undefined,
  ): Sending {
    this.seal();
    this.#messages++;
    this.#bytes += bytes;
    const waiters = waiter === undefined ? [] : [waiter];
    return this.#push({
      command,
      writer: undefined,
      count: 1,
      bytes,
      waiters,
    });
  }

  /** Makes a sending of everything that gathers. */
  seal(): void {
    for (const writer of this.#gathering.splice(0)) this.#sealOne(writer);
  }

  /** Makes a sending of what gathers for one stream; undefined where nothing does. */
  sealWriter(writer: StreamWriter): Sending | undefined {
    if (!writer.gathering) return undefined;
    this.#gathering.splice(this.#gathering.indexOf(writer), 1);
    return this.#sealOne(writer);
  }

  /** As `sealWriter`, for a single message, under an id. */
  sealWithId(writer: StreamWriter, id: string): Sending {
    this.#gathering.splice(this.#gathering.indexOf(writer), 1);
    return this.#sealOne(writer, id);
  }

  #sealOne(writer: StreamWriter, id?: string): Sending {
    const handed: Handed = writer.take();
    const { sections } = handed;
    const command: SendCommand =
      id === undefined
        ? { name: 'STREAM SEND', handle: 0, sections }
        : { name: 'STREAM SEND ONCE', handle: 0, id, sections };
    const { count, bytes, waiters } = handed;
    return this.#push({ command, writer, count, bytes, waiters });
  }

  #push(given: Pick<Sending, 'command' | 'writer' | 'count' | 'bytes' | 'waiters'>): Sending {
    const { command, writer, count, bytes, waiters } = given;
    const sending: Sending = {
      command,
      writer,
      count,
      bytes,
      waiters,
      last: 0,
      sequence: 0,
      error: undefined,
    };
    this.#sendings.push(sending);
    this.#added++;
    if (sending.command.name === 'STREAM SEND ONCE') this.#withId++;
    if (sending.writer !== undefined) sending.writer.unsettled++;
    return sending;
  }

  /** The next one to send, which stays next until `left`. */
  peek(): Sending | undefined {
    return this.#sendings[this.#next];
  }

  /** What `peek` gave goes out now. */
  left(): void {
    const sending = this.#sendings[this.#next++] as Sending;
    this.#lastNumber += sending.count;
    sending.last = this.#lastNumber;
  }

  /** Takes back one that has not left. @returns false where it has */
  withdraw(sending: Sending): boolean {
    const at = this.#sendings.indexOf(sending, this.#next);
    if (at < 0) return false;
    this.#sendings.splice(at, 1);
    this.#forget(sending);
    this.#wake();
    return true;
  }

  /** The session is lost: what it had not accepted is to be sent again. */
  rewind(): void {
    const again = this.#sendings.slice(this.#head);
    this.#sendings = [];
    this.#head = 0;
    this.#next = 0;
    this.#lastNumber = 0;
    for (const sending of again) {
      // A refusal counts, though the word about the others was lost.
      if (sending.error !== undefined) this.#settle(sending);
      else this.#sendings.push(sending);
    }
    this.#wake();
  }

  /** STORED: messages have their sequences. */
  stored(first: number, count: number, sequence: number): void {
    for (let at = this.#find(first); at < this.#next; at++) {
      const sending = this.#sendings[at] as Sending;
      const firstOfThis = sending.last - sending.count + 1;
      if (firstOfThis >= first + count) return;
      sending.sequence = sequence + firstOfThis - first;
    }
  }

  /** REFUSED: messages were not accepted. */
  refused(first: number, count: number, error: MlmError): void {
    for (let at = this.#find(first); at < this.#next; at++) {
      const sending = this.#sendings[at] as Sending;
      if (sending.last - sending.count + 1 >= first + count) return;
      sending.error = error;
    }
  }

  /** ACCEPTED: everything up to a number is settled. */
  accepted(upTo: number): void {
    while (this.#head < this.#next) {
      const sending = this.#sendings[this.#head] as Sending;
      if (sending.last > upTo) break;
      this.#sendings[this.#head++] = undefined as never;
      this.#settle(sending);
      const { command, writer } = sending;
      // The broker has all of it, so that the socket needs it no more either.
      if ('sections' in command) {
        writer?.sections.reuse(command.sections, writer.unsettled === 0);
      }
    }
    if (this.#head === this.#sendings.length) {
      this.#sendings.length = this.#head = this.#next = 0;
    } else if (this.#head >= CHUNK && this.#head * 2 >= this.#sendings.length) {
      this.#sendings = this.#sendings.slice(this.#head);
      this.#next -= this.#head;
      this.#head = 0;
    }
    this.#wake();
  }

  /** The broker does not let us write to a stream: what waits for it fails. */
  failWriter(writer: StreamWriter, error: MlmError): void {
    this.sealWriter(writer);
    const kept: Sending[] = [];
    for (const sending of this.#sendings.splice(this.#next)) {
      if (sending.writer !== writer) kept.push(sending);
      else {
        sending.error = error;
        this.#settle(sending);
      }
    }
    this.#sendings.push(...kept);
    this.#wake();
  }

  /** Nothing will be sent any more. */
  fail(error: MlmError): void {
    this.seal();
    const all = this.#sendings.slice(this.#head);
    this.#sendings = [];
    this.#head = this.#next = 0;
    for (const sending of all) {
      sending.error ??= error;
      this.#settle(sending);
    }
    for (const waiter of [...this.#flushing.splice(0), ...this.#wantingRoom.splice(0)]) {
      waiter.reject(error);
    }
  }

  /** The first one on its way that holds a number, or a later one. */
  #find(number: number): number {
    let low = this.#head;
    let high = this.#next;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#sendings[middle] as Sending).last < number) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #settle(sending: Sending): void {
    this.#forget(sending);
    const { waiters, error, sequence, writer } = sending;
    if (error === undefined) {
      for (const waiter of waiters)
        waiter.accepted(writer === undefined ? 0 : sequence + waiter.index);
      return;
    }
    for (const waiter of waiters) waiter.failed(error);
    if (waiters.length < sending.count) this.#onRefused(sending, error);
  }

  #forget({ command, writer, count, bytes }: Sending): void {
    if (writer !== undefined) writer.unsettled--;
    if (command.name === 'STREAM SEND ONCE') this.#withId--;
    this.#messages -= count;
    this.#bytes -= bytes;
    this.#settled++;
  }

  #isLow(): boolean {
    return this.#messages * 2 <= this.#messagesMax && this.#bytes * 2 <= this.#bytesMax;
  }

  #wake(): void {
    while (this.#flushing.length > 0 && (this.#flushing[0] as FlushWaiter).at <= this.#settled) {
      this.#flushing.shift()?.resolve();
    }
    if (this.#wantingRoom.length === 0 || !this.#isLow()) return;
    for (const { resolve } of this.#wantingRoom.splice(0)) resolve();
  }

  #fullError(): MlmError {
    return new MlmError(
      'BUFFER_FULL',
      `${this.#messages} messages of ${this.#bytes} octets wait for the broker to accept them; ` +
        `the bounds are ${this.#messagesMax} messages and ${this.#bytesMax} octets. ` +
        'Await each send, or `ready()` between the messages that you publish',
    );
  }
}
