// What holding a run needs, as a broker gives it: the run's events on the stream
// `pipelines`, its jobs as jobs of the broker, their ends on the stream `$jobs`. It
// translates, and decides nothing.
import { MlmError, type MlmClient, type StreamMessage } from '../../client/index.js';
import { readJobEvent, type JobEvent } from '../../client/jobs.js';
import { bodyOf, eventOf, RUNS_STREAM, type LoggedEvent, type RunEvent } from './events.js';
import { JOBS_STREAM, type FileValue } from './file-value.js';
import { Files } from './files.js';
import { jobIdOf, jobOfId, type JobOfRun } from './job-id.js';
import {
  JobRefused,
  type JobEnd,
  type JobOrder,
  type JobProgress,
  type RunJobs,
  type RunLog,
} from './ports.js';

/** What of a client is needed for runs. */
export type RunClient = Pick<MlmClient, 'stream' | 'submit' | 'job'>;

/** Which run is meant, and where its log begins. */
export interface RunPlace {
  readonly run: string;
  /** The name of its pipeline. */
  readonly pipeline: string;
  /** The sequence of its first event. */
  readonly since: number;
}

/** A part of a run's log is not kept any more. */
export class RunLost extends Error {
  override readonly name = 'RunLost';
}

export class BrokerLog implements RunLog {
  readonly #client: RunClient;
  readonly #place: RunPlace;
  readonly #holding: string | undefined;

  /** @param holding marks what is written; absent for those who do not hold the run */
  constructor(client: RunClient, place: RunPlace, holding?: string) {
    this.#client = client;
    this.#place = place;
    this.#holding = holding;
  }

  /** @returns the sequence of the event @throws {MlmError} */
  async append(event: RunEvent): Promise<number> {
    const { run, pipeline, since } = this.#place;
    const head = { pipeline, since, ...(this.#holding && { holding: this.#holding }) };
    const { sequence = 0 } = await this.#client.stream(RUNS_STREAM).send(run, bodyOf(head, event));
    return sequence;
  }

  /** @throws {RunLost} where retention has removed a part of it; {MlmError} */
  async *read(signal: AbortSignal): AsyncGenerator<LoggedEvent> {
    const { run, since } = this.#place;
    const ended = new AbortController();
    let lost: string | undefined;
    const reader = this.#client.stream(RUNS_STREAM).read({
      pattern: `^${run}$`,
      from: { sequence: since },
      own: true,
      signal: AbortSignal.any([signal, ended.signal]),
      onGap: ({ reason }) => {
        lost = reason;
        ended.abort();
      },
    });
    for await (const message of reader) {
      const logged = loggedEvent(message);
      if (logged !== undefined) yield logged;
    }
    if (lost === undefined) return;
    throw new RunLost(`the stream "${RUNS_STREAM}" does not hold all of the run: ${lost}`);
  }
}

/** An event of a run; undefined where a message is none. */
export function loggedEvent(message: StreamMessage): LoggedEvent | undefined {
  const { sequence = 0, timeMs = 0 } = message;
  const read = eventOf(valueOf(message));
  return read === undefined ? undefined : { sequence, timeMs, ...read };
}

function valueOf(message: StreamMessage): unknown {
  try {
    return message.value();
  } catch {
    return undefined;
  }
}

export class BrokerJobs implements RunJobs {
  readonly #client: RunClient;
  readonly #files: Files;

  constructor(client: RunClient) {
    this.#client = client;
    this.#files = new Files(client);
  }

  async lastSequence(): Promise<number> {
    const reader = this.#client.stream(JOBS_STREAM).read();
    try {
      await reader.ready;
      return (reader.position ?? 1) - 1;
    } finally {
      await reader.return();
    }
  }

  async submit(job: JobOfRun, order: JobOrder): Promise<void> {
    const { service, subject, frames, delayMs, deadlineMs, wants } = order;
    const body = frames.length === 0 ? undefined : frames;
    const terms = { id: jobIdOf(job), delayMs, deadlineMs, ...wants };
    try {
      await this.#client.submit(service, subject, body, terms);
    } catch (error) {
      if (!isRefusal(error)) throw error;
      throw new JobRefused(`the broker does not take the job: ${error.message}`, { cause: error });
    }
  }

  async cancel(service: string, job: JobOfRun): Promise<void> {
    try {
      await this.#client.job(service, jobIdOf(job)).cancel();
    } catch (error) {
      // It is over, or the broker never had it.
      if (!isRefusal(error)) throw error;
    }
  }

  async *watch(
    run: string,
    after: number,
    onGap: () => void,
    signal: AbortSignal,
  ): AsyncGenerator<JobEnd | JobProgress> {
    const from = { sequence: after + 1 };
    for await (const { job, event } of readJobsOf(this.#client, run, { from, onGap, signal })) {
      const fraction = event.progress?.fraction;
      if (fraction !== undefined) yield { kind: 'progress', job, fraction };
      const end = endOf(job, event);
      if (end !== undefined) yield end;
    }
  }

  fetch(file: FileValue): Promise<Buffer> {
    return this.#files.fetch(file);
  }
}

/** What happens to a job of a run. */
export interface EventOfJob {
  readonly job: JobOfRun;
  readonly event: JobEvent;
}

/** What happens to the jobs of a run, until the signal fires. */
async function* readJobsOf(
  client: Pick<MlmClient, 'stream'>,
  run: string,
  options: {
    readonly from: { readonly sequence: number };
    readonly onGap?: () => void;
    readonly signal: AbortSignal;
  },
): AsyncGenerator<EventOfJob> {
  const pattern = `/${run}\\.[^/]*$`;
  for await (const message of client.stream(JOBS_STREAM).read({ pattern, ...options })) {
    const slash = message.subject.lastIndexOf('/');
    const [service, id] = [message.subject.slice(0, slash), message.subject.slice(slash + 1)];
    const job = jobOfId(id);
    const event = readJobEvent({ service, id }, message);
    if (job?.run === run && event !== undefined) yield { job, event };
  }
}

/** How a job ended; undefined where it has not. */
function endOf(job: JobOfRun, event: JobEvent): JobEnd | undefined {
  const { worker = '', reason = '', content: frames, sequence } = event;
  switch (event.event) {
    case 'succeeded':
      return { kind: 'succeeded', job, worker, frames, sequence };
    case 'failed':
    case 'expired':
    case 'cancelled':
      return { kind: event.event, job, reason };
    default:
      return undefined;
  }
}

function isRefusal(error: unknown): error is MlmError {
  if (!(error instanceof MlmError)) return false;
  return error.code === 'REFUSED' || error.code === 'INVALID_ARGUMENT';
}
