// What is to be sent, in order, until the socket takes it: also while there is
// no session. Messages stand in runs, one promise for each run, so that a burst
// costs one promise and not one per message. The outbox is bounded and says so;
// it knows no sockets and encodes nothing.
import { contentBytes, type Command } from '../protocol/index.js';
import { ignore, MlmError } from './errors.js';
import { Fifo } from './fifo.js';

/** The commands that carry data: none of them is answered on MLM/1. */
export type DataCommand = Command<'STREAM SEND' | 'MAILBOX SEND' | 'SERVICE SEND' | 'CONFIRM'>;

/** What `send` resolves with. */
export interface Sent {
  /** The place of the message in its stream; undefined on MLM/1, which does not tell. */
  readonly sequence: number | undefined;
}

const HANDED_OVER: Sent = { sequence: undefined };

/** Messages that go out one after the other and settle together. */
interface Run {
  /** The stream that they are written to; undefined where it does not matter. */
  readonly stream: string | undefined;
  /** Whether somebody waits for them. */
  readonly awaited: boolean;
  /** Those that have left are forgotten. */
  readonly commands: (DataCommand | undefined)[];
  /** The first one that has not left. */
  at: number;
  readonly promise: Promise<Sent>;
  readonly resolve: () => void;
  readonly reject: (error: MlmError) => void;
}

/** The next message to send. */
export interface Next {
  readonly stream: string | undefined;
  readonly command: DataCommand;
}

export class Outbox {
  readonly #messagesMax: number;
  readonly #bytesMax: number;
  readonly #runs = new Fifo<Run>();
  readonly #withdrawn = new Set<DataCommand>();
  /** Told of messages that fail and that nobody waits for: how many, one after the other. */
  onLost: (stream: string, count: number, error: MlmError) => void = ignore;
  #messages = 0;
  #bytes = 0;

  /** Bounds: messages, and octets of their bodies. One message always fits an empty outbox. */
  constructor(messagesMax: number, bytesMax: number) {
    this.#messagesMax = messagesMax;
    this.#bytesMax = bytesMax;
  }

  /** True where one more message may be sent. */
  get hasRoom(): boolean {
    return this.#messages === 0 || this.#fits(0);
  }

  /** @throws {MlmError} BUFFER_FULL */
  checkRoom(): void {
    if (!this.hasRoom) throw this.#fullError();
  }

  get messages(): number {
    return this.#messages;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /**
   * Queues a message.
   *
   * @param stream the stream that a STREAM SEND goes to
   * @returns resolves when the socket has taken it; rejects with BUFFER_FULL at
   *   once where there is no room, or with what ended the session for good
   */
  add(command: DataCommand, stream?: string): Promise<Sent> {
    if (!this.#takes(command)) return Promise.reject(this.#fullError());
    return this.#queue(command, stream, true).promise;
  }

  /**
   * As `add`, where nobody waits for the message.
   *
   * @throws {MlmError} BUFFER_FULL
   */
  post(command: DataCommand, stream: string): void {
    if (!this.#takes(command)) throw this.#fullError();
    this.#queue(command, stream, false);
  }

  #takes(command: DataCommand): boolean {
    return this.#messages === 0 || this.#fits(sizeOf(command));
  }

  #queue(command: DataCommand, stream: string | undefined, awaited: boolean): Run {
    this.#messages++;
    this.#bytes += sizeOf(command);
    const last = this.#runs.last();
    // The first run may be half sent: it takes no more, so that it settles.
    if (last?.at === 0 && last.stream === stream && last.awaited === awaited) {
      last.commands.push(command);
      return last;
    }
    const run = newRun(command, stream, awaited);
    this.#runs.push(run);
    return run;
  }

  /** Resolves once what waits now has left, or has failed. */
  async settled(): Promise<void> {
    await this.#runs.last()?.promise.catch(ignore);
  }

  /** Takes back a message that has not left; one that has is not missed. */
  withdraw(command: DataCommand): void {
    if (this.#messages > 0) this.#withdrawn.add(command);
  }

  /** The next message, which stays until `taken`. */
  peek(): Next | undefined {
    for (;;) {
      const run = this.#runs.peek();
      if (run === undefined) return undefined;
      const command = run.commands[run.at] as DataCommand;
      if (this.#withdrawn.size === 0 || !this.#withdrawn.delete(command)) {
        return { stream: run.stream, command };
      }
      this.taken();
    }
  }

  /** The socket has taken what `peek` gave. */
  taken(): void {
    const run = this.#runs.peek() as Run;
    this.#messages--;
    this.#bytes -= sizeOf(run.commands[run.at] as DataCommand);
    run.commands[run.at++] = undefined;
    if (run.at < run.commands.length) return;
    this.#runs.shift();
    if (this.#messages === 0) this.#withdrawn.clear();
    run.resolve();
  }

  /** The broker does not let us write to a stream: what waits for it fails. */
  failStream(stream: string, error: MlmError): void {
    this.#fail((run) => run.stream === stream, error);
  }

  /** Nothing will be sent any more. */
  fail(error: MlmError): void {
    this.#fail(() => true, error);
  }

  #fail(concerns: (run: Run) => boolean, error: MlmError): void {
    for (const run of this.#runs.drain()) {
      if (!concerns(run)) {
        this.#runs.push(run);
        continue;
      }
      for (const command of run.commands.slice(run.at)) {
        this.#messages--;
        this.#bytes -= sizeOf(command as DataCommand);
      }
      run.reject(error);
      const { stream, commands, at, awaited } = run;
      if (!awaited && stream !== undefined) this.onLost(stream, commands.length - at, error);
    }
    if (this.#messages === 0) this.#withdrawn.clear();
  }

  #fits(bytes: number): boolean {
    return this.#messages < this.#messagesMax && this.#bytes + bytes <= this.#bytesMax;
  }

  #fullError(): MlmError {
    return new MlmError(
      'BUFFER_FULL',
      `${this.#messages} messages of ${this.#bytes} octets wait to be sent; ` +
        `the bounds are ${this.#messagesMax} messages and ${this.#bytesMax} octets. ` +
        'Await each send, or raise bufferMessagesMax and bufferBytesMax',
    );
  }
}

function newRun(command: DataCommand, stream: string | undefined, awaited: boolean): Run {
  let resolve: () => void = ignore;
  let reject: (error: MlmError) => void = ignore;
  const promise = new Promise<Sent>((onSent, onFailed) => {
    resolve = () => onSent(HANDED_OVER);
    reject = onFailed;
  });
  if (!awaited) promise.catch(ignore);
  return { stream, awaited, commands: [command], at: 0, promise, resolve, reject };
}

function sizeOf(command: DataCommand): number {
  return 'content' in command ? contentBytes(command.content) : 0;
}
