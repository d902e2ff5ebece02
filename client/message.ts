// What readers get: a message as it came, with its body in frames and ways to
// read it. It decodes nothing until asked, and knows no sockets.
import { decodeText, decodeValue } from './value.js';

/** What every received message has. */
export class Message {
  readonly subject: string;
  /** The address of who sent it; empty where the sender is anonymous. */
  readonly sender: string;
  /** The body as it came: zero or more frames. They are not copies. */
  readonly content: Buffer[];

  constructor(subject: string, sender: string, content: Buffer[]) {
    this.subject = subject;
    this.sender = sender;
    this.content = content;
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

/** A message of a stream. */
export class StreamMessage extends Message {
  readonly stream: string;

  constructor(stream: string, sender: string, subject: string, content: Buffer[]) {
    super(subject, sender, content);
    this.stream = stream;
  }
}

/** What answers for received mail. */
export interface Confirms {
  confirm(tracker: string): Promise<void>;
  reject(tracker: string, reason: string): Promise<void>;
}

/** A message from the own mailbox. */
export class Mail extends Message {
  /** The sender's name for this message; empty where it does not track it. */
  readonly tracker: string;
  readonly #confirms: Confirms;

  constructor(
    confirms: Confirms,
    sender: string,
    subject: string,
    tracker: string,
    content: Buffer[],
  ) {
    super(subject, sender, content);
    this.tracker = tracker;
    this.#confirms = confirms;
  }

  /**
   * Tells the sender that the mail was received (CONFIRM 200). Mail without a
   * tracker asks for nothing, and nothing is sent. Only with this project's
   * broker: the C broker ends a session that confirms.
   *
   * @throws {MlmError} CLOSED, DISCONNECTED, BUFFER_FULL
   */
  confirm(): Promise<void> {
    return this.#confirms.confirm(this.tracker);
  }

  /** Tells the sender that the mail was refused (CONFIRM 300), and why. As `confirm` otherwise. */
  reject(reason: string): Promise<void> {
    return this.#confirms.reject(this.tracker, reason);
  }
}

/** The worker's answer to a request. `sender` is the worker. */
export class Reply extends Message {}

/** A request, as a worker gets it. */
export class ServiceRequest extends Message {
  readonly service: string;
  /** The requester's name for this request; empty where it does not track it. */
  readonly tracker: string;
  /** Fires when the client is closed: the reply will reach nobody. */
  readonly signal: AbortSignal;

  constructor(
    service: string,
    sender: string,
    subject: string,
    tracker: string,
    content: Buffer[],
    signal: AbortSignal,
  ) {
    super(subject, sender, content);
    this.service = service;
    this.tracker = tracker;
    this.signal = signal;
  }
}
