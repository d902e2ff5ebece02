// What became of jobs, read from the stream `$jobs`: the last event of each, or
// all events of one. It shows nothing.
import {
  JOBS_STREAM,
  patternFor,
  readAnyJobEvent,
  readJobEvent,
  subjectOf,
  type JobEvent,
  type JobName,
} from '../../jobs.js';
import { MlmError, type From, type MlmClient, type StreamMessage } from '../../index.js';
import { interruption } from '../shared/failure.js';
import { StreamEnd } from '../shared/stream-end.js';
import { StreamLists } from '../shared/stream-lists.js';

/**
 * The last event of each job that the broker knows of.
 *
 * @param service only its jobs; undefined for all
 * @throws {MlmError} ABORTED where the signal fires before all were read; UNSUPPORTED on MLM/1
 */
export async function* lastEvents(
  client: MlmClient,
  service: string | undefined,
  signal: AbortSignal,
): AsyncGenerator<JobEvent, undefined> {
  const prefix = service === undefined ? undefined : subjectOf({ service, id: '' });
  const pattern = prefix === undefined ? '' : patternFor(prefix, { prefix: true });
  for await (const message of messages(client, pattern, 'compact', signal)) {
    const event = readAnyJobEvent(message);
    if (event === undefined) continue;
    // The service `a` has not the jobs of the service `a/b`.
    if (service === undefined || event.service === service) yield event;
  }
  return undefined;
}

/** All events of a job, as far as the broker holds them, oldest first. @throws {MlmError} as above */
export async function historyOf(
  client: MlmClient,
  name: JobName,
  signal: AbortSignal,
): Promise<JobEvent[]> {
  const events: JobEvent[] = [];
  const pattern = patternFor(subjectOf(name));
  for await (const message of messages(client, pattern, 'earliest', signal)) {
    const event = readJobEvent(name, message);
    if (event !== undefined) events.push(event);
  }
  return events;
}

/** What `$jobs` holds now. */
async function* messages(
  client: MlmClient,
  pattern: string,
  from: From,
  stop: AbortSignal,
): AsyncGenerator<StreamMessage, undefined> {
  const end = await StreamEnd.find(client, JOBS_STREAM, 'now').catch(noJobs);
  if (end === undefined) return undefined;
  const reader = client.stream(JOBS_STREAM).read({ from, own: true, onGap: () => lists.look() });
  const lists = new StreamLists({ reader, end, pattern, hasCursor: false, stop });
  try {
    for await (const list of lists) yield* list;
    if (stop.aborted) throw interruption();
  } finally {
    end.close();
  }
  return undefined;
}

/** Before the first job there is no stream of them. */
function noJobs(error: unknown): undefined {
  if (error instanceof MlmError && error.code === 'REFUSED') return undefined;
  throw error;
}
