// Jobs in native sessions: sends them, and asks the broker and the stream `$jobs`
// what became of them. How their events are followed stands in job-watch.ts.
import { MlmError } from '../errors.js';
import {
  checkJob,
  JobIds,
  JOBS_STREAM,
  patternFor,
  readJobEvent,
  resultOf,
  subjectOf,
  type EventsOptions,
  type JobEvent,
  type JobHandle,
  type JobName,
  type ResultOptions,
  type SubmitOptions,
} from '../jobs.js';
import { Message, type Reply, type StreamMessage } from '../message.js';
import { checkMs, checkSignal } from '../options.js';
import { Pending } from '../pending.js';
import { checkTerms, type RequestOptions } from '../requests.js';
import type { Room } from '../room.js';
import type { JobVerbs } from '../rooms.js';
import { JobWatch } from './job-watch.js';
import { requestCommand } from './requests.js';
import { sendUnder } from './sending.js';
import { numberIn } from './call-answer.js';
import type { NativeStreams } from './streams.js';

/** Credit of a reader that is to bring one message. */
const ONE = 1;
/** How long to wait until the broker is asked again what it does not know yet, ms. */
const LOOK_AGAIN_MS = 50;

export class NativeJobs implements JobVerbs {
  readonly #room: Room;
  readonly #streams: NativeStreams;
  readonly #watch: JobWatch;
  readonly #results: Pending<Reply>;
  readonly #ids = new JobIds();
  #waits = 0;

  constructor(room: Room, streams: NativeStreams) {
    this.#room = room;
    this.#streams = streams;
    this.#results = new Pending(room.clock, room.intake);
    this.#watch = new JobWatch({
      read: (options) => streams.read(JOBS_STREAM, options),
      end: () => this.#end(),
      last: (subject) => this.#last(subject),
    });
  }

  /** @throws {MlmError} through its promise; see MlmClient.submit */
  async submit(
    service: string,
    subject: string,
    body: unknown,
    options: SubmitOptions = {},
  ): Promise<JobHandle> {
    const { id = this.#ids.next(), signal } = options;
    const terms = checkTerms(service, subject, options);
    const name = checkJob({ service, id });
    checkSignal('submitting', signal);
    const command = requestCommand(service, subject, id, body, terms);
    command.job = 1;
    await sendUnder(this.#room, signal, command);
    return this.#handleOf(name, subject);
  }

  /** @throws {MlmError} INVALID_ARGUMENT */
  job(service: string, id: string): JobHandle {
    return this.#handleOf(checkJob({ service, id }), '');
  }

  /** A request that is a job: submits it, and waits for its result. */
  async request(
    service: string,
    subject: string,
    body: unknown,
    id: string,
    options: RequestOptions & { readonly timeoutMs: number },
  ): Promise<Reply> {
    const { timeoutMs, signal } = options;
    const name = checkJob({ service, id });
    const { reply, stop } = this.#resultOf(name, subject, { timeoutMs, signal }, (event) =>
      this.#tell(event, subject, options),
    );
    this.submit(service, subject, body, options).catch(stop);
    return reply;
  }

  /** The client is over. */
  end(error: MlmError): void {
    this.#results.fail(error);
  }

  #handleOf(name: JobName, subject: string): JobHandle {
    return {
      ...name,
      state: () => this.#state(name),
      result: (options) => this.#result(name, subject, options),
      events: (options) => this.#events(name, options),
      cancel: () => this.#cancel(name),
    };
  }

  async #state(name: JobName): Promise<JobEvent | undefined> {
    const message = await this.#last(subjectOf(name));
    return message === undefined ? undefined : readJobEvent(name, message);
  }

  async #result(name: JobName, subject: string, options: ResultOptions = {}): Promise<Reply> {
    const { timeoutMs, signal } = options;
    if (timeoutMs !== undefined) checkMs('timeoutMs', timeoutMs);
    checkSignal('the waiting', signal);
    const { over } = this.#room.connection;
    if (over !== undefined) throw over;
    return this.#resultOf(name, subject, options).reply;
  }

  /** Waits for a job's end. @returns its reply, and what ends the waiting with an error */
  #resultOf(
    name: JobName,
    subject: string,
    { timeoutMs, signal }: ResultOptions,
    each?: (event: JobEvent) => void,
  ): { reply: Promise<Reply>; stop: (error: MlmError) => void } {
    const wait = String(++this.#waits);
    const stop = (error: MlmError): void => void this.#results.reject(wait, error);
    const what = `the result of job "${name.id}" of service "${name.service}"`;
    const reply = this.#results.add(wait, { what, timeoutMs, signal });
    const leave = this.#watch.watch(name, {
      event: (event) => {
        if (!event.isFinal) {
          each?.(event);
          return;
        }
        try {
          this.#results.resolve(wait, resultOf(event, subject));
        } catch (error) {
          stop(error as MlmError);
        }
      },
      failed: stop,
    });
    return { reply: reply.finally(leave), stop };
  }

  #tell(event: JobEvent, subject: string, { onProgress, onPartial }: RequestOptions): void {
    const { events } = this.#room;
    const { progress, worker = '', content } = event;
    if (progress !== undefined) events.tell(onProgress, progress);
    if (event.event === 'partial') events.tell(onPartial, new Message(subject, worker, content));
  }

  async *#events(
    name: JobName,
    { from = 'earliest', signal }: EventsOptions = {},
  ): AsyncGenerator<JobEvent, undefined> {
    const pattern = patternFor(subjectOf(name));
    const reader = this.#streams.read(JOBS_STREAM, { pattern, from, signal });
    try {
      for await (const message of reader) {
        const event = readJobEvent(name, message);
        if (event === undefined) continue;
        yield event;
        // A job that failed may have been made again since then.
        if (event.isFinal && (await this.#lastSequence(subjectOf(name))) <= event.sequence) break;
      }
    } finally {
      reader.finish();
    }
  }

  async #cancel({ service, id }: JobName): Promise<'waiting' | 'running'> {
    const { connection, native } = this.#room;
    if (connection.over !== undefined) throw connection.over;
    const value = await new Promise<unknown>((done, refused) => {
      const message = 'the session was lost: whether the job was cancelled is unknown';
      const dropped = (): void => refused(new MlmError('DISCONNECTED', message));
      native.call('request.cancel', { service, tracker: id }, { done, refused, dropped });
    });
    return (value as { was?: unknown } | undefined)?.was === 'running' ? 'running' : 'waiting';
  }

  /** The last message of a subject in `$jobs`. */
  async #last(subject: string): Promise<StreamMessage | undefined> {
    for (;;) {
      const sequence = await this.#lastSequence(subject);
      if (sequence === 0) return undefined;
      const message = await this.#at(subject, sequence);
      if (message !== undefined) return message;
    }
  }

  /** A message of a subject from a sequence on; undefined where it may not be there any more. */
  async #at(subject: string, sequence: number): Promise<StreamMessage | undefined> {
    const { native } = this.#room;
    const leave = (): void => reader.finish();
    const options = { pattern: patternFor(subject), from: { sequence }, credit: ONE };
    const reader = this.#streams.read(JOBS_STREAM, { ...options, onGap: leave });
    const member = { sessionOpened: leave, sessionLost: () => undefined };
    native.join(member);
    try {
      for await (const message of reader) if (message.subject === subject) return message;
      return undefined;
    } finally {
      native.leave(member);
    }
  }

  /** The sequence behind the last durable message of `$jobs`. */
  async #end(): Promise<number> {
    try {
      const info = await this.#look('stream.info', { stream: JOBS_STREAM });
      return numberIn(info, 'lastSequence') + 1;
    } catch (error) {
      // There was no job yet.
      if (error instanceof MlmError && error.code === 'REFUSED') return 1;
      throw error;
    }
  }

  async #lastSequence(subject: string): Promise<number> {
    for (;;) {
      const value = await this.#look('stream.last', { stream: JOBS_STREAM, subject });
      const { known } = value as { readonly known?: unknown };
      if (known !== false) return numberIn(value, 'sequence');
      // The broker reads its log, after a start or a long time without a question.
      await new Promise<void>((resolve) => this.#room.clock.start(LOOK_AGAIN_MS, resolve));
    }
  }

  /** Asks the broker what does no harm when it is asked twice: where the session is lost, again. */
  #look(method: string, given: Record<string, unknown>): Promise<unknown> {
    const { connection, native } = this.#room;
    if (connection.over !== undefined) return Promise.reject(connection.over);
    return new Promise((resolve, reject) => {
      native.call(method, given, {
        done: resolve,
        refused: reject,
        dropped: () => void this.#look(method, given).then(resolve, reject),
      });
    });
  }
}
