// The lives of jobs, written down: each request that is a job has its events on
// the stream `$jobs`, under the subject SERVICE/ID, durable together with what they
// tell of. The last event of a job is its state. Ids that were seen are remembered,
// so that a job which is sent again is done once. What happens to a job is decided
// in requests.ts; who reads the events is not known here.
import { encode as pack } from '@msgpack/msgpack';
import { STRING_BYTES_MAX, textBytes } from '../../protocol/index.js';
import { IdBound, IdWindow, type Remembered } from '../store/id-window.js';
import type { Place } from '../store/storage.js';
import type { KeptMessage } from '../store/store.js';
import type { Message } from './message.js';

/** The stream that holds the events of all jobs. */
export const JOBS_STREAM = '$jobs';

/** What can happen to a job; those after `partial` end it, but for `retrying`. */
export type JobEvent =
  | 'queued'
  | 'started'
  | 'progress'
  | 'partial'
  | 'retrying'
  | 'succeeded'
  | 'failed'
  | 'cancelled'
  | 'expired';

/** Appends to a stream of the broker's own. */
export type AppendOwn = (stream: string, subject: string, content: readonly Buffer[]) => unknown;

/** The kind of queue under which the store keeps the ids of jobs. */
const JOB_IDS_KIND = 'jobs';

export class Jobs {
  readonly #append: AppendOwn;
  /** Ids that were seen, by service. */
  readonly #ids: IdWindow;
  #lastId = 0;

  /** @param place where the ids are kept */
  constructor(append: AppendOwn, place: Place) {
    this.#append = append;
    this.#ids = new IdWindow({ queue: `${JOB_IDS_KIND}/ids`, place, bound: new IdBound() });
  }

  /** Takes over the ids that an earlier run of the broker remembered. */
  recover(ids: readonly KeptMessage[]): void {
    this.#ids.recover(ids);
    this.#lastId = ids.at(-1)?.sequence ?? 0;
  }

  /** A job with this id came before: it is not to be done again. */
  known(service: string, id: string): Remembered | undefined {
    return this.#ids.find(service, id);
  }

  /** A job is accepted. */
  remember(service: string, id: string): void {
    if (this.#ids.known(service, id) === undefined) this.#ids.remember(service, id, ++this.#lastId);
  }

  /** Why a request cannot be a job; undefined where it can. */
  whyNot(service: string, id: string): string | undefined {
    if (id === '') return 'a job needs an id, as its tracker';
    if (textBytes(subjectOf(service, id)) <= STRING_BYTES_MAX) return undefined;
    return `the service and the id of a job have ${STRING_BYTES_MAX - 1} octets together at most`;
  }

  /**
   * Writes down what happened to a message, where it is a job.
   *
   * @param more what else is to be told, beside the event
   * @param content frames that go with it: a partial result, or the reply
   */
  note(
    service: string,
    { job, tracker }: Pick<Message, 'job' | 'tracker'>,
    event: JobEvent,
    more: Readonly<Record<string, unknown>> = {},
    content: readonly Buffer[] = [],
  ): void {
    if (!job) return;
    // The subject alone does not tell where the service ends: either may have a slash.
    const head = Buffer.from(pack({ event, service, ...more }));
    this.#append(JOBS_STREAM, subjectOf(service, tracker), [head, ...content]);
  }
}

function subjectOf(service: string, id: string): string {
  return `${service}/${id}`;
}
