// The lives of jobs, written down: each request that is a job has its events on
// the stream `$jobs`, under the subject SERVICE/ID, durable together with what they
// tell of. The last event of a job is its state. What happens to a job is decided
// in service.ts; who reads the events is not known here.
import { encode as pack } from '@msgpack/msgpack';
import { STRING_BYTES_MAX, textBytes } from '../../protocol/index.js';
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

export class Jobs {
  readonly #append: AppendOwn;

  constructor(append: AppendOwn) {
    this.#append = append;
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
    const head = Buffer.from(pack({ event, ...more }));
    this.#append(JOBS_STREAM, subjectOf(service, tracker), [head, ...content]);
  }
}

function subjectOf(service: string, id: string): string {
  return `${service}/${id}`;
}
