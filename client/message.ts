// What readers get: a message as it came, with its body in frames and ways to
// read it. It decodes nothing until asked, and knows no sockets.
import { framesBetween } from '../protocol/index.js';
import { MlmError } from './errors.js';
import { decodeText, decodeValue } from './value.js';

/** Where the frames of a body lie in the octets they came in. */
export interface FramesAt {
  readonly bytes: Buffer;
  readonly start: number;
  readonly end: number;
}

/** What every received message has. */
export class Message {
  readonly subject: string;
  /** The address of who sent it; empty where the sender is anonymous. */
  readonly sender: string;
  #content: Buffer[] | FramesAt;

  constructor(subject: string, sender: string, content: Buffer[] | FramesAt) {
    this.subject = subject;
    this.sender = sender;
    this.#content = content;
  }

  /** The body as it came: zero or more frames. They are not copies. */
  get content(): Buffer[] {
    const content = this.#content;
    if (Array.isArray(content)) return content;
    return (this.#content = framesBetween(content.bytes, content.start, content.end));
  }

  /**
   * The body as the value that was sent: one frame of MessagePack, valid from
   * its first octet to its last; undefined where there is no frame. Ask only for
   * what you know to be a value: a short text of a foreign sender may be valid
   * MessagePack by accident.
   *
   * @throws {MlmError} INVALID_BODY where it is something else
   */
  value(): unknown {
    return decodeValue(this.content);
  }

  /**
   * The body as text: one frame of UTF-8; empty where there is no frame.
   *
   * @throws {MlmError} INVALID_BODY where it is something else
   */
  text(): string {
    return decodeText(this.content);
  }
}

/** Who is told how far the messages of a stream have been dealt with. */
export interface CursorMover {
  confirmUpTo(sequence: number): void;
}

/** A message of a stream. */
export class StreamMessage extends Message {
  readonly stream: string;
  /** Its place in the stream: rises with each message. Undefined on MLM/1. */
  readonly sequence: number | undefined;
  /** When the broker accepted it, ms since 1970. Undefined on MLM/1. */
  readonly timeMs: number | undefined;
  readonly #confirms: CursorMover | undefined;

  constructor(
    stream: string,
    sender: string,
    subject: string,
    content: Buffer[] | FramesAt,
    sequence?: number,
    timeMs?: number,
    confirms?: CursorMover,
  ) {
    super(subject, sender, content);
    this.stream = stream;
    this.sequence = sequence;
    this.timeMs = timeMs;
    this.#confirms = confirms;
  }

  /**
   * Moves the reader's cursor to this message: it and all before it are dealt
   * with, and a reader that opens with the cursor later begins after it.
   *
   * @throws {MlmError} UNSUPPORTED where the message did not come through a cursor
   */
  confirm(): void {
    if (this.#confirms === undefined || this.sequence === undefined) {
      throw new MlmError('UNSUPPORTED', 'only a reader with a cursor confirms messages');
    }
    this.#confirms.confirmUpTo(this.sequence);
  }
}

/** What answers for one received mail. */
export interface Confirms {
  confirm(): Promise<void>;
  reject(reason: string): Promise<void>;
}

/** A message from the own mailbox. */
export class Mail extends Message {
  /** The sender's name for this message; empty where it does not track it. */
  readonly tracker: string;
  /** How often it was delivered, this time included. Undefined on MLM/1. */
  readonly attempt: number | undefined;
  /** When the broker accepted it, ms since 1970. Undefined on MLM/1. */
  readonly timeMs: number | undefined;
  readonly #confirms: Confirms;

  constructor(
    confirms: Confirms,
    sender: string,
    subject: string,
    tracker: string,
    content: Buffer[],
    attempt?: number,
    timeMs?: number,
  ) {
    super(subject, sender, content);
    this.tracker = tracker;
    this.attempt = attempt;
    this.timeMs = timeMs;
    this.#confirms = confirms;
  }

  /**
   * The mail is dealt with. In a native session it leaves the mailbox (asking the
   * reader for the next one says the same), and the sender of tracked mail gets
   * CONFIRM 200. On MLM/1 it has left the mailbox already; mail without a tracker
   * asks for nothing, and nothing is sent; and the C broker ends a session that
   * confirms.
   *
   * @throws {MlmError} CLOSED, DISCONNECTED, BUFFER_FULL
   */
  confirm(): Promise<void> {
    return this.#confirms.confirm();
  }

  /**
   * The mail is not wanted: it leaves the mailbox, and the sender of tracked mail
   * gets CONFIRM 300, and why. As `confirm` otherwise.
   */
  reject(reason: string): Promise<void> {
    return this.#confirms.reject(reason);
  }
}

/** The worker's answer to a request. `sender` is the worker. */
export class Reply extends Message {}
