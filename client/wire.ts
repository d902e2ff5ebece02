// How one session speaks MLM/1: how commands leave and are acknowledged, and
// how deliveries arrive. Once both sides have agreed on a native session, its
// batches go out and come in here, and only OPEN, CLOSE, OK and ERROR are still
// MLM/1. It serves one transport and is dropped with it; whether a session is
// opened, lost or opened again is the connection's business.
//
// Two lanes go out: control commands first, then, once data may flow, the
// outbox. OK and ERROR answer OPEN, CLOSE, WRITE, READ, CANCEL and OFFER in the
// order in which they were sent; data commands, PING and CREDIT get no such answer.
import {
  decode,
  encodeHeader,
  isBatch,
  ProtocolError,
  trailer,
  type ClientCommandName,
  type Command,
} from '../protocol/index.js';
import { MlmError } from './errors.js';
import { Fifo } from './fifo.js';
import type { Intake } from './intake.js';
import type { Outbox } from './outbox.js';
import type { Transport } from './transport.js';

/** What the broker may bring without being asked. */
export type Delivery = Command<
  'STREAM DELIVER' | 'MAILBOX DELIVER' | 'SERVICE DELIVER' | 'CONFIRM'
>;

/** The commands that OK or ERROR answers, and PING. */
export type ControlCommand = Command<
  Exclude<ClientCommandName, 'STREAM SEND' | 'MAILBOX SEND' | 'SERVICE SEND' | 'CONFIRM' | 'CREDIT'>
>;

/** Who waits for the answer to a control command. */
export interface Answer {
  /** @param properties what stood behind the last field of the OK, for those who look at it */
  accepted(properties?: () => Buffer): void;
  /**
   * The broker answered with an ERROR other than 500, which has ended the session.
   *
   * @returns true where this tells whoever is concerned
   */
  refused(error: MlmError): boolean;
  /** The session ended before the answer came. */
  dropped?(): void;
}

/** What a wire reports. */
export interface WireHandlers {
  deliver(delivery: Delivery): void;
  /** Any message of the broker: it lives. */
  heard(): void;
  pong(): void;
  /** ERROR 500: the broker does not know this session, or did not understand. */
  invalid(error: MlmError): void;
  /** Any other ERROR. `answer` is the command that it answers, if one was open. */
  refused(error: MlmError, answer: Answer | undefined): void;
  /** The transport failed, or the broker sent what is not MLM/1. */
  broken(error: MlmError): void;
}

/** What fills a native session: batches to send, and who takes those that come. */
export interface Batches {
  /** The next batch to send; undefined where there is none now. */
  take(): Buffer[] | undefined;
  /** @throws {ProtocolError} where it is no batch of a broker */
  receive(frames: readonly Buffer[]): void;
}

interface Control {
  readonly command: ControlCommand;
  readonly answer: Answer | undefined;
  /** What stands behind the last field of frame 0. */
  readonly properties: Buffer | undefined;
}

const COMMAND_INVALID = 500;

export class Wire {
  readonly #transport: Transport;
  readonly #outbox: Outbox;
  readonly #intake: Intake;
  readonly #handlers: WireHandlers;
  readonly #controls = new Fifo<Control>();
  readonly #answers = new Fifo<Answer>();
  /** The stream that STREAM SEND goes to now. */
  #selected: string | undefined;
  #flowing = false;
  #pumping = false;
  #pingQueued = false;
  /** What is being sent is the first message of the outbox. */
  #dataLeaves = false;
  #dropped = false;
  /** The other side of a native session; undefined for MLM/1. */
  #batches: Batches | undefined;

  constructor(transport: Transport, outbox: Outbox, intake: Intake, handlers: WireHandlers) {
    this.#transport = transport;
    this.#outbox = outbox;
    this.#intake = intake;
    this.#handlers = handlers;
  }

  /**
   * Sends a control command before any data.
   *
   * @param properties what to append to its last field
   */
  control(command: ControlCommand, answer: Answer, properties?: Buffer): void {
    this.#controls.push({ command, answer, properties });
    void this.#pump();
  }

  /** Goes on as a native session. */
  goNative(batches: Batches): void {
    this.#batches = batches;
  }

  /** Sends a PING, unless one still waits to leave. */
  ping(): void {
    if (this.#pingQueued) return;
    this.#pingQueued = true;
    this.#controls.push({
      command: { name: 'CONNECTION PING' },
      answer: undefined,
      properties: undefined,
    });
    void this.#pump();
  }

  /** Lets data out, or holds it back in the outbox. */
  set flowing(flowing: boolean) {
    this.#flowing = flowing;
    if (flowing) void this.#pump();
  }

  /** Takes messages from the transport, or leaves them there. */
  pause(paused: boolean): void {
    this.#transport.pause(paused);
  }

  /** Something was put in the outbox. */
  kick(): void {
    if (this.#flowing && !this.#pumping) void this.#pump();
  }

  /** Ends this wire; nobody is told. */
  drop(): void {
    this.#dropped = true;
    this.#transport.close();
    for (const answer of this.#answers.drain()) {
      this.#intake.settle();
      answer.dropped?.();
    }
    for (const { answer } of this.#controls.drain()) answer?.dropped?.();
  }

  /** A message from the transport. */
  receive(frames: Buffer[]): void {
    if (this.#dropped) return;
    this.#handlers.heard();
    let command: Command;
    try {
      if (this.#batches !== undefined && isBatch(frames[0])) {
        this.#batches.receive(frames);
        return;
      }
      command = decode(frames);
    } catch (cause) {
      if (!(cause instanceof ProtocolError)) throw cause;
      const spoken = this.#batches === undefined ? 'MLM/1' : 'a native session';
      const message = `the broker sent what is not ${spoken}: ${cause.message}`;
      this.#handlers.broken(new MlmError('DISCONNECTED', message, { cause }));
      return;
    }
    this.#dispatch(command, frames);
  }

  #dispatch(command: Command, frames: readonly Buffer[]): void {
    switch (command.name) {
      case 'STREAM DELIVER':
      case 'MAILBOX DELIVER':
      case 'SERVICE DELIVER':
      case 'CONFIRM':
        this.#handlers.deliver(command);
        break;
      case 'OK':
        this.#nextAnswer()?.accepted(() => trailer(frames[0] as Buffer));
        break;
      case 'ERROR':
        this.#onError(command);
        break;
      case 'CONNECTION PONG':
        this.#handlers.pong();
        break;
      case 'CONNECTION OPEN':
      case 'CONNECTION PING':
      case 'CONNECTION CLOSE':
      case 'STREAM WRITE':
      case 'STREAM READ':
      case 'STREAM SEND':
      case 'STREAM CANCEL':
      case 'MAILBOX SEND':
      case 'SERVICE SEND':
      case 'SERVICE OFFER':
      case 'CREDIT': {
        const message = `the broker sent ${command.name}, which only clients send`;
        this.#handlers.broken(new MlmError('DISCONNECTED', message));
      }
    }
  }

  #onError({ statusCode: status, statusReason: reason }: Command<'ERROR'>): void {
    const said = `ERROR ${status}${reason === '' ? '' : `: ${reason}`}`;
    if (status === COMMAND_INVALID) {
      const message = `the broker does not know this session (${said})`;
      this.#handlers.invalid(new MlmError('DISCONNECTED', message, { status }));
      return;
    }
    const error = new MlmError('REFUSED', `the broker answered ${said}`, { status });
    this.#handlers.refused(error, this.#nextAnswer());
  }

  #nextAnswer(): Answer | undefined {
    const answer = this.#answers.shift();
    if (answer !== undefined) this.#intake.settle();
    return answer;
  }

  /** Sends what there is to send. One loop at a time, since a socket takes one send at a time. */
  async #pump(): Promise<void> {
    if (this.#pumping || this.#dropped) return;
    this.#pumping = true;
    try {
      while (this.#hasControl() || this.#flowing) {
        const sent = this.#sendNext();
        if (sent === undefined) break;
        await sent;
        if (this.#isDropped()) return;
        if (this.#dataLeaves) this.#outbox.taken();
      }
    } catch (cause) {
      if (!this.#isDropped()) {
        this.#handlers.broken(new MlmError('DISCONNECTED', 'the socket did not send', { cause }));
      }
    } finally {
      this.#pumping = false;
    }
  }

  /** Asked anew after each pause: others change it meanwhile. */
  #isDropped(): boolean {
    return this.#dropped;
  }

  #hasControl(): boolean {
    return this.#controls.length > 0;
  }

  #sendControl(): Promise<void> {
    const { command, answer, properties } = this.#controls.shift() as Control;
    if (command.name === 'CONNECTION PING') this.#pingQueued = false;
    return this.#sendCommand(command, answer, properties);
  }

  #sendCommand(
    command: ControlCommand,
    answer: Answer | undefined,
    properties?: Buffer,
  ): Promise<void> {
    this.#dataLeaves = false;
    if (answer !== undefined) {
      this.#answers.push(answer);
      this.#intake.expect();
    }
    const header = encodeHeader(command);
    return this.#transport.send([
      properties === undefined ? header : Buffer.concat([header, properties]),
    ]);
  }

  #sendNext(): Promise<void> | undefined {
    this.#dataLeaves = false;
    // In a native session only CLOSE is a control command, and goes last.
    const batch = this.#flowing ? this.#batches?.take() : undefined;
    if (batch !== undefined) return this.#transport.send(batch);
    if (this.#hasControl()) return this.#sendControl();
    return this.#batches === undefined ? this.#sendData() : undefined;
  }

  #sendData(): Promise<void> | undefined {
    const next = this.#outbox.peek();
    if (next === undefined) return undefined;
    const { stream, command } = next;
    if (stream !== undefined && stream !== this.#selected) {
      this.#selected = stream;
      return this.#sendCommand({ name: 'STREAM WRITE', stream }, this.#writeAnswer(stream));
    }
    this.#dataLeaves = true;
    const header = encodeHeader(command);
    return this.#transport.send('content' in command ? [header, ...command.content] : [header]);
  }

  /** A session writes to one stream at a time. Being refused one fails what waits for it. */
  #writeAnswer(stream: string): Answer {
    return {
      accepted: () => undefined,
      refused: (error) => {
        this.#outbox.failStream(stream, error);
        // What has left already has nobody who waits for it.
        return false;
      },
    };
  }
}
