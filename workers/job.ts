// What a handler is given: one request as a job, its body, and the ways to say
// that it failed. It holds no session and runs nothing.
import { MlmError, type Message, type MlmClient } from '../client/index.js';
import type { LabelChanges } from './announced.js';
import type { WorkerLog } from './log.js';

/** What a body is read from: any message of the SDK, or a test's own. */
export type BodySource = Pick<Message, 'content' | 'value' | 'text'>;

/** The body of a request. Nothing is decoded until asked for. */
export class Body {
  readonly #source: BodySource;

  constructor(source: BodySource) {
    this.#source = source;
  }

  /** The frames as they came, none or many. They are not copies. */
  get content(): readonly Buffer[] {
    return this.#source.content;
  }

  /**
   * The one frame of the body: a picture, a sound, any file. It is not a copy.
   *
   * @throws {MlmError} INVALID_BODY where there is no frame, or more than one
   */
  bytes(): Buffer {
    const [frame, ...more] = this.#source.content;
    if (frame !== undefined && more.length === 0) return frame;
    const message = `the body is not one frame but ${this.#source.content.length}`;
    throw new MlmError('INVALID_BODY', message);
  }

  /** The body as UTF-8 text. @throws {MlmError} INVALID_BODY where it is something else */
  text(): string {
    return this.#source.text();
  }

  /** The body as the value that was sent. @throws {MlmError} INVALID_BODY where it is something else */
  value(): unknown {
    return this.#source.value();
  }
}

/** What a handler may do with the session of its process: all but end it, or read its mail. */
export type JobClient = Pick<
  MlmClient,
  'address' | 'stream' | 'sendTo' | 'request' | 'submit' | 'job'
>;

/** One request, as a handler gets it. */
export interface Job {
  /** The service that was asked. */
  readonly service: string;
  readonly subject: string;
  /** The address of the requester; empty where it is anonymous and gets no reply. */
  readonly sender: string;
  /** The requester's name for the request, or its id where it was submitted; empty where it has none. */
  readonly tracker: string;
  /** How often it was given to a worker, this time included. Always 1 with a broker of MLM/1 only. */
  readonly attempt: number;
  readonly body: Body;
  /**
   * Fires when nobody wants the result any more: the request was cancelled, its deadline or the
   * time limit is over, the broker has given it to another worker, the session is lost, or the
   * time to finish after SIGTERM is over. The reason is an error that says which. A handler that
   * does not end within five seconds after it is left behind: its result is thrown away.
   */
  readonly signal: AbortSignal;
  /** A log whose lines name this job. */
  readonly log: WorkerLog;
  /** To send to streams, to mailboxes and to other services. */
  readonly client: JobClient;
  /**
   * Tells the requester how far the work is, as often as you like: about ten times a second at
   * most is passed on, the last word always.
   *
   * @param fraction from 0 to 1
   * @param note for people
   */
  readonly progress: (fraction?: number, note?: string) => void;
  /**
   * Sends the requester a part of the result, in order, none left out; the result is still what
   * the handler returns. A handler may also return an async iterable (as an async generator does):
   * its items are such parts.
   *
   * @throws {MlmError} UNSUPPORTED with a broker of MLM/1 only, BUFFER_FULL, INVALID_ARGUMENT, or the
   *   reason of the signal where that has fired
   */
  readonly emit: (body: unknown) => void;
  /** Says that this worker still works on it; needed only where the worker has `extend: 'manual'`. */
  readonly extend: () => void;
  /**
   * Changes what the worker says of itself, until it says otherwise: `{ models: ['sam3'] }` once
   * that is loaded. Requests may need or prefer it. Labels that are not named stay; `undefined`
   * takes one away. The worker itself has it, too: `worker.announce`.
   */
  readonly announce: (changes: LabelChanges) => void;
}

/**
 * Thrown by a handler to fail a job with a code of its own. Some codes are classes of failures:
 * - `bad-input`: no worker can do it: it becomes a dead letter at once
 * - `not-ready`: it is left to another worker; the attempt does not count
 * - `out-of-memory`: it is tried again; a worker with more may do it
 * - `transient`, and any other code: it is tried again a few times, each time after a longer
 *   while, here or by another worker, then kept as a dead letter
 *
 * In the end the requester's promise rejects with `WORKER_ERROR`, this code as `workerCode`,
 * and the message. Whatever else a handler throws is reported too, by its own `code`, else
 * its `name`. (With a broker that speaks MLM/1 only, every failure is final.)
 */
export class JobError extends Error {
  override readonly name = 'JobError';
  /** Short and fixed, for programs. */
  readonly code: string;

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
