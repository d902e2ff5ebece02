// Brings the events of jobs to those who wait for them. A few jobs are followed by
// a reader of the stream `$jobs` each; where more are awaited, one reader follows
// all jobs of a service, and each job that is awaited is looked up once beside it.
// What an event means is not known here.
import { MlmError } from '../errors.js';
import { patternFor, readJobEvent, subjectOf, type JobEvent, type JobName } from '../jobs.js';
import type { StreamMessage } from '../message.js';
import type { From } from '../stream.js';
import type { NativeReader } from './reader.js';

/** Who waits for the events of a job. */
export interface JobListener {
  /** How the job is, then each event that comes. None comes twice, none after a newer one. */
  event(event: JobEvent): void;
  /** Nothing more will come. */
  failed(error: MlmError): void;
}

/** How `$jobs` is read. */
export interface JobsStream {
  read(options: { pattern: string; from: From }): NativeReader;
  /** The sequence behind everything that `last` knows now. */
  end(): Promise<number>;
  /** The last message of a subject, where there is one. */
  last(subject: string): Promise<StreamMessage | undefined>;
}

/** A job that is followed. */
interface Watched {
  readonly name: JobName;
  readonly listeners: Set<JobListener>;
  /** The last event that was told. */
  last: JobEvent | undefined;
  /** Its own reader, where it has one. */
  reader: NativeReader | undefined;
}

/** A reader that follows the jobs of a service for many who wait. */
interface Follower {
  /** Undefined before it has begun. */
  reader: NativeReader | undefined;
  /** Resolves when it reads. */
  ready: Promise<void>;
  /** How many jobs it follows. */
  jobs: number;
}

/** Jobs that have a reader of their own, at most. */
const ALONE_MAX = 8;
/** Jobs that are looked up at the same time. */
const LOOKS_MAX = 32;

export class JobWatch {
  readonly #stream: JobsStream;
  readonly #watched = new Map<string, Watched>();
  readonly #followers = new Map<string, Follower>();
  /** Jobs that are to be looked up. */
  readonly #toLookUp: Watched[] = [];
  #alone = 0;
  #looking = 0;

  constructor(stream: JobsStream) {
    this.#stream = stream;
  }

  /** Follows a job for a listener. @returns ends that */
  watch(name: JobName, listener: JobListener): () => void {
    const subject = subjectOf(name);
    let watched = this.#watched.get(subject);
    if (watched === undefined) {
      watched = { name, listeners: new Set(), last: undefined, reader: undefined };
      this.#watched.set(subject, watched);
      watched.listeners.add(listener);
      if (this.#alone < ALONE_MAX) this.#followAlone(watched);
      else this.#followWithOthers(watched);
    } else {
      watched.listeners.add(listener);
      if (watched.last !== undefined) listener.event(watched.last);
    }
    const of = watched;
    return () => this.#leave(of, listener);
  }

  #leave(watched: Watched, listener: JobListener): void {
    const subject = subjectOf(watched.name);
    watched.listeners.delete(listener);
    if (watched.listeners.size > 0 || this.#watched.get(subject) !== watched) return;
    this.#watched.delete(subject);
    if (watched.reader !== undefined) {
      this.#alone--;
      watched.reader.finish();
      return;
    }
    const follower = this.#followers.get(watched.name.service);
    if (follower === undefined || --follower.jobs > 0) return;
    this.#followers.delete(watched.name.service);
    follower.reader?.finish();
  }

  #followAlone(watched: Watched): void {
    this.#alone++;
    const pattern = patternFor(subjectOf(watched.name));
    watched.reader = this.#stream.read({ pattern, from: 'compact' });
    void this.#pass(watched.reader, (error) => this.#fail(watched, error));
  }

  #followWithOthers(watched: Watched): void {
    const { service } = watched.name;
    let follower = this.#followers.get(service);
    if (follower === undefined) {
      follower = { reader: undefined, ready: Promise.resolve(), jobs: 0 };
      this.#followers.set(service, follower);
      follower.ready = this.#beginFollower(service, follower);
      follower.ready.catch((error: unknown) => this.#failFollowed(service, error));
    }
    follower.jobs++;
    // What happened before the reader began is seen by looking afterwards.
    follower.ready.then(
      () => {
        this.#toLookUp.push(watched);
        this.#lookUpNext();
      },
      () => undefined,
    );
  }

  /** It begins behind what can be looked up: `new` would leave out what is not durable yet. */
  async #beginFollower(service: string, follower: Follower): Promise<void> {
    const sequence = await this.#stream.end();
    if (this.#followers.get(service) !== follower) return;
    const pattern = patternFor(subjectOf({ service, id: '' }), { prefix: true });
    follower.reader = this.#stream.read({ pattern, from: { sequence } });
    void this.#pass(follower.reader, (error) => this.#failFollowed(service, error));
    await follower.reader.ready;
  }

  #failFollowed(service: string, error: unknown): void {
    if (!(error instanceof MlmError)) throw error;
    for (const watched of this.#followedOf(service)) this.#fail(watched, error);
  }

  #followedOf(service: string): Watched[] {
    const watched = [...this.#watched.values()];
    return watched.filter(({ name, reader }) => name.service === service && reader === undefined);
  }

  /** Passes on what a reader brings, until it ends. */
  async #pass(reader: NativeReader, failed: (error: MlmError) => void): Promise<void> {
    try {
      for await (const message of reader) {
        const watched = this.#watched.get(message.subject);
        if (watched !== undefined) this.#tell(watched, message);
      }
    } catch (error) {
      if (!(error instanceof MlmError)) throw error;
      failed(error);
    }
  }

  #lookUpNext(): void {
    while (this.#looking < LOOKS_MAX) {
      const watched = this.#toLookUp.shift();
      if (watched === undefined) return;
      const subject = subjectOf(watched.name);
      // Its events come already, or nobody waits any more.
      if (watched.last !== undefined || this.#watched.get(subject) !== watched) continue;
      this.#looking++;
      void this.#lookUp(watched, subject).finally(() => {
        this.#looking--;
        this.#lookUpNext();
      });
    }
  }

  async #lookUp(watched: Watched, subject: string): Promise<void> {
    try {
      const message = await this.#stream.last(subject);
      if (message !== undefined) this.#tell(watched, message);
    } catch (error) {
      if (!(error instanceof MlmError)) throw error;
      this.#fail(watched, error);
    }
  }

  #tell(watched: Watched, message: StreamMessage): void {
    const event = readJobEvent(watched.name, message);
    if (event === undefined || (watched.last !== undefined && !isNewer(event, watched.last)))
      return;
    watched.last = event;
    for (const listener of [...watched.listeners]) listener.event(event);
  }

  #fail(watched: Watched, error: MlmError): void {
    for (const listener of [...watched.listeners]) {
      this.#leave(watched, listener);
      listener.failed(error);
    }
  }
}

/** A broker that keeps its streams in memory counts from 1 again after a restart. */
function isNewer(event: JobEvent, last: JobEvent): boolean {
  return event.sequence > last.sequence || event.timeMs > last.timeMs;
}
