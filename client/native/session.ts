// How a client speaks in native sessions: commands gather and leave as batches
// at the end of the tick, calls are matched with their results by number, and
// what the broker accepts, refuses and delivers is brought to whom it concerns.
// It outlives single sessions: what is unaccepted goes out again in the next.
// When a session opens or is lost is the connection's business.
import {
  BatchReader,
  BatchWriter,
  contentBytes,
  isFromNativeClient,
  ProtocolError,
  type NativeBrokerCommandName,
  type NativeClientCommandName,
  type NativeCommand,
} from '../../protocol/index.js';
import { MlmError } from '../errors.js';
import { Fifo } from '../fifo.js';
import type { CallAnswer } from './call-answer.js';
import type { NativeOutbox } from './outbox.js';
import { StreamWriters } from './stream-writers.js';

/** A command that does not count as a sending, and means something in this session only. */
export type SessionCommand = NativeCommand<
  Exclude<
    NativeClientCommandName,
    'CALL' | 'STREAM SEND' | 'STREAM SEND ONCE' | 'MAILBOX SEND' | 'SERVICE SEND'
  >
>;

export type NativeDelivery = NativeCommand<
  | 'STREAM DELIVER'
  | 'GAP'
  | 'MAILBOX DELIVER'
  | 'SERVICE DELIVER'
  | 'REVOKED'
  | 'PROGRESSED'
  | 'CONFIRM'
>;

/** What hangs on the session: readers, the mailbox, offers. */
export interface Member {
  /** A session is open: declare again what is to be declared. */
  sessionOpened(): void;
  sessionLost(): void;
}

export interface SessionHooks {
  deliver(delivery: NativeDelivery): void;
  pong(): void;
}

/** Something that wants to say a word before the next batch leaves. */
export interface Speaker {
  speak(): void;
}

/** A word that is said behind the sendings that were there before it. */
interface LastWord {
  /** How many sendings were added before it. */
  readonly behind: number;
  readonly command: SessionCommand;
}

interface Call {
  readonly command: NativeCommand<'CALL'>;
  readonly answer: CallAnswer;
}

/** A batch is sent when it has this much; the broker takes 20,000 commands in one. */
const BATCH_BYTES = 256 * 1024;
const BATCH_COMMANDS = 5000;
const SUCCESS = 200;

export class NativeSession {
  readonly outbox: NativeOutbox;
  readonly writers: StreamWriters;
  readonly #hooks: SessionHooks;
  readonly #members = new Set<Member>();
  readonly #batch = new BatchWriter();
  readonly #words = new Fifo<SessionCommand | NativeCommand<'CALL'>>();
  readonly #lastWords = new Fifo<LastWord>();
  readonly #speakers = new Set<Speaker>();
  /** Who waits until the words have left. */
  #listeners: (() => void)[] = [];
  readonly #calls = new Map<number, CallAnswer>();
  /** Calls that wait for a session. */
  #waiting: Call[] = [];
  #wake: (() => void) | undefined;
  #scheduled = false;
  #lastCall = 0;
  /** Tells sessions apart: rises with each. */
  epoch = 0;
  /** The largest message that the broker takes, octets. */
  messageBytesMax = Infinity;
  /** Octets of content in words that have not left. */
  wordBytes = 0;

  constructor(outbox: NativeOutbox, hooks: SessionHooks) {
    this.outbox = outbox;
    this.#hooks = hooks;
    this.writers = new StreamWriters({
      isOpen: () => this.isOpen,
      call: (...call) => this.call(...call),
      opened: () => this.wake(),
      refused: (writer, error) => {
        this.outbox.failWriter(writer, error);
        this.wake();
      },
    });
  }

  /** True while a session is open. */
  get isOpen(): boolean {
    return this.#wake !== undefined;
  }

  /** Adds one that is told when sessions open and are lost. */
  join(member: Member): void {
    this.#members.add(member);
  }

  leave(member: Member): void {
    this.#members.delete(member);
  }

  /**
   * A session is open.
   *
   * @param wake has `take` called, now or when the socket takes more
   * @param declares whether the members declare themselves; not where it only serves to send the rest
   */
  opened(wake: () => void, declares = true): void {
    this.epoch++;
    this.#wake = wake;
    for (const { command, answer } of this.#waiting.splice(0)) this.#ask(command, answer);
    if (declares) for (const member of [...this.#members]) member.sessionOpened();
    this.wake();
  }

  /** The session is lost, or over. */
  lost(): void {
    if (this.#wake === undefined) return;
    this.#wake = undefined;
    this.#batch.take();
    this.#words.drain();
    this.#lastWords.drain();
    this.wordBytes = 0;
    this.#speakers.clear();
    this.#wordsHaveLeft();
    this.writers.lost();
    this.outbox.rewind();
    const calls = [...this.#calls.values()];
    this.#calls.clear();
    for (const member of [...this.#members]) member.sessionLost();
    for (const answer of calls) answer.dropped();
  }

  /** There will be no session any more. */
  fail(error: MlmError): void {
    this.lost();
    this.outbox.fail(error);
    for (const { answer } of this.#waiting.splice(0)) answer.refused(error);
  }

  /** Says something in this session; nothing where there is none. */
  say(command: SessionCommand): void {
    if (this.#wake === undefined) return;
    if ('content' in command) this.wordBytes += contentBytes(command.content);
    this.#words.push(command);
    this.wake();
  }

  /** As `say`, behind everything that was sent before. */
  sayLast(command: SessionCommand): void {
    if (this.#wake === undefined) return;
    this.outbox.seal();
    this.#lastWords.push({ behind: this.outbox.added, command });
    this.wake();
  }

  /** Resolves when everything that was said has left, or means nothing any more. */
  wordsLeft(): Promise<void> {
    if (this.#words.length === 0) return Promise.resolve();
    return new Promise((resolve) => this.#listeners.push(resolve));
  }

  /** Has `speaker.speak` called once, before the next batch leaves. */
  speakSoon(speaker: Speaker): void {
    if (this.#wake === undefined) return;
    this.#speakers.add(speaker);
    this.wake();
  }

  /** Asks the broker something, in this session or, where there is none, in the next. */
  call(method: string, given: Record<string, unknown>, answer: CallAnswer): void {
    const call = (this.#lastCall = (this.#lastCall + 1) >>> 0);
    const command: NativeCommand<'CALL'> = { name: 'CALL', call, method, arguments: given };
    if (this.#wake === undefined) this.#waiting.push({ command, answer });
    else this.#ask(command, answer);
  }

  #ask(command: NativeCommand<'CALL'>, answer: CallAnswer): void {
    // What was confirmed before is said before: a call may be about it.
    if (this.#speakers.size > 0) this.#letSpeak();
    this.#calls.set(command.call, answer);
    this.#words.push(command);
    this.wake();
  }

  /** Something is to be sent: at the end of the tick, with all else that comes until then. */
  wake(): void {
    if (this.#scheduled || this.#wake === undefined) return;
    this.#scheduled = true;
    process.nextTick(() => {
      this.#scheduled = false;
      this.#wake?.();
    });
  }

  /** The next batch to send, if there is one. */
  take(): Buffer[] | undefined {
    if (this.#speakers.size > 0) this.#letSpeak();
    const batch = this.#batch;
    while (batch.count < BATCH_COMMANDS && batch.bytes < BATCH_BYTES) {
      const word = this.#words.shift();
      if (word === undefined) break;
      if ('content' in word) this.wordBytes -= contentBytes(word.content);
      batch.add(word);
    }
    if (this.#words.length === 0) this.#wordsHaveLeft();
    this.outbox.seal();
    while (batch.count < BATCH_COMMANDS && batch.bytes < BATCH_BYTES && this.#addSending()) {
      // Until the batch is full, or nothing more may leave.
    }
    if (this.#words.length === 0) this.#addLastWords();
    return batch.take();
  }

  #addLastWords(): void {
    let last = this.#lastWords.peek();
    while (last !== undefined && last.behind <= this.outbox.passed) {
      this.#batch.add(last.command);
      this.#lastWords.shift();
      last = this.#lastWords.peek();
    }
  }

  #wordsHaveLeft(): void {
    for (const told of this.#listeners.splice(0)) told();
  }

  #letSpeak(): void {
    const speakers = [...this.#speakers];
    this.#speakers.clear();
    for (const speaker of speakers) speaker.speak();
  }

  /** @returns false where nothing more may leave now */
  #addSending(): boolean {
    const { outbox } = this;
    const sending = outbox.peek();
    if (sending === undefined) return false;
    const { writer, command } = sending;
    if (writer !== undefined) {
      // Order is kept: until the broker has answered, nothing that was sent later leaves either.
      if (!this.writers.isReady(writer)) return false;
      if ('sections' in command) command.handle = writer.handle;
    }
    this.#batch.add(command);
    outbox.left();
    return true;
  }

  /**
   * A message from the broker.
   *
   * @throws {ProtocolError} where it is no batch of commands that a broker sends
   */
  receive(frames: readonly Buffer[]): void {
    const batch = new BatchReader(frames);
    const { epoch } = this;
    for (let command = batch.next(); command !== undefined; command = batch.next()) {
      if (isFromNativeClient(command.name)) {
        throw new ProtocolError('unknown-command', 'batch', `${command.name} is not a broker's`);
      }
      this.#dispatch(command as NativeCommand<NativeBrokerCommandName>);
      // Somebody who was told something may have closed the client.
      if (this.#wake === undefined || this.epoch !== epoch) return;
    }
  }

  #dispatch(command: NativeCommand<NativeBrokerCommandName>): void {
    switch (command.name) {
      case 'STREAM DELIVER':
      case 'GAP':
      case 'MAILBOX DELIVER':
      case 'SERVICE DELIVER':
      case 'REVOKED':
      case 'PROGRESSED':
      case 'CONFIRM':
        this.#hooks.deliver(command);
        break;
      case 'ACCEPTED':
        this.outbox.accepted(command.upTo);
        break;
      case 'STORED':
        this.outbox.stored(command.first, command.count, command.sequence);
        break;
      case 'REFUSED': {
        const { first, count, statusCode, statusReason } = command;
        this.outbox.refused(first, count, refusal(statusCode, statusReason));
        break;
      }
      case 'RESULT':
        this.#answered(command);
        break;
      case 'PONG':
        this.#hooks.pong();
    }
  }

  #answered({ call, statusCode, statusReason, value }: NativeCommand<'RESULT'>): void {
    const answer = this.#calls.get(call);
    if (answer === undefined) return;
    this.#calls.delete(call);
    if (statusCode === SUCCESS) answer.done(value);
    else answer.refused(refusal(statusCode, statusReason));
  }
}

function refusal(status: number, reason: string): MlmError {
  const why = reason === '' ? `status ${status}` : reason;
  return new MlmError('REFUSED', `the broker refused: ${why}`, { status });
}
