// What a handler is given: one request as a job, its body, and the ways to say
// that it failed. It holds no session and runs nothing.
import { MlmError, type Message, type MlmClient } from '../client/index.js';
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
export type JobClient = Pick<MlmClient, 'address' | 'stream' | 'sendTo' | 'request'>;

/** One request, as a handler gets it. */
export interface Job {
  /** The service that was asked. */
  readonly service: string;
  readonly subject: string;
  /** The address of the requester; empty where it is anonymous and gets no reply. */
  readonly sender: string;
  readonly body: Body;
  /** Fires when nobody will take the reply any more: the time to finish is over, or the session. */
  readonly signal: AbortSignal;
  /** A log whose lines name this job. */
  readonly log: WorkerLog;
  /** To send to streams, to mailboxes and to other services. */
  readonly client: JobClient;
}

/**
 * Thrown by a handler to fail a job with a code of its own. A job that fails is tried again
 * a few times, here or by another worker, then kept as a dead letter; one with the code
 * `bad-input` becomes that at once; one with the code `not-ready` is left to another worker.
 * In the end the requester's promise rejects with `WORKER_ERROR`, this code as `workerCode`,
 * and the message. Whatever else a handler throws is reported too, by its own `code`, else
 * its `name`. (With a broker that speaks MLM/1 only, every failure is final.)
 */
export class JobError extends Error {
  override readonly name = 'JobError';
  /** Short and fixed, for programs: `bad-input` for a request that no worker can do. */
  readonly code: string;

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
