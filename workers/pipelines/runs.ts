// Runs from outside: begin one, list them, read and follow one, cancel it, have it
// gone on with. All of it is events on streams and requests to the orchestrators;
// nothing is held here.
import { randomBytes } from 'node:crypto';
import { MlmError, type MlmClient } from '../../client/index.js';
import { BrokerLog, loggedEvent, type RunClient, type RunPlace } from './broker-ports.js';
import { requirePipeline, type Pipeline } from './definition.js';
import { RUNS_STREAM, store, type LoggedEvent } from './events.js';
import { FILES_STREAM, FileValue } from './file-value.js';
import { checkInputs, isFile, type InputFile, type Inputs } from './inputs.js';
import { runIdOf } from './job-id.js';
import { PIPELINES_SERVICE } from './orchestrator.js';
import { RunState } from './state.js';

/** What of a client is needed to look after runs. */
export type RunsClient = RunClient & Pick<MlmClient, 'streamInfo'>;

/** A pipeline, and what one run of it is given. */
export interface RunRequest {
  /** The name of the pipeline's file, for what is told about it. */
  readonly file: string;
  /** The text of the file. */
  readonly source: string;
  /** JSON values, and files as `{ name, content }`. */
  readonly inputs?: Inputs | undefined;
}

/** The inputs are not what the pipeline asks for. */
export class InputError extends Error {
  override readonly name = 'InputError';
  /** One for each thing that is wrong. */
  readonly lines: readonly string[];

  constructor(lines: readonly string[]) {
    super(lines.join('\n'));
    this.lines = lines;
  }
}

/** There is no such run, or it is not in the way that was asked for. */
export class RunError extends Error {
  override readonly name = 'RunError';
}

/** A run as a list shows it. */
export interface RunSummary extends RunPlace {
  readonly state: 'waiting' | 'running' | 'cancelling' | 'succeeded' | 'failed' | 'cancelled';
  /** When something happened to it last, ms since 1970. */
  readonly changedMs: number;
  /** The sequence of what happened last. */
  readonly lastSequence: number;
}

/** A run that was asked for, and the id of the request. */
export interface RequestedRun extends RunPlace {
  readonly request: string;
}

/** A run as far as it is known. */
export interface RunView {
  readonly pipeline: Pipeline;
  readonly state: RunState;
}

/**
 * Begins a run: from then on it goes on by itself, as soon as there is an orchestrator.
 *
 * @throws {PipelineError} where the pipeline is not right; {InputError}; {MlmError}
 */
export async function submitRun(client: RunClient, request: RunRequest): Promise<RequestedRun> {
  const { file, source, inputs: given = {} } = request;
  const pipeline = requirePipeline(file, source);
  const { values, wrong } = checkInputs(pipeline.inputs, given);
  if (wrong.length > 0) throw new InputError(wrong);
  const run = runIdOf(pipeline.name, randomBytes(5).toString('hex'));
  const sent: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(values)) {
    sent[name] = await sendFiles(client, `${run}/${name}`, value);
  }
  const log = new BrokerLog(client, { run, pipeline: pipeline.name, since: 0 });
  const inputs = store(sent);
  const since = await log.append({ event: 'submitted', file, source, inputs, request: run });
  return requestRun(client, { run, pipeline: pipeline.name, since, request: run });
}

/** Asks the orchestrators for a run. */
async function requestRun(client: RunClient, requested: RequestedRun): Promise<RequestedRun> {
  const { run, pipeline, since, request: id } = requested;
  await client.submit(PIPELINES_SERVICE, run, { pipeline, since }, { id });
  return requested;
}

/** The value with its files sent to the broker. */
async function sendFiles(client: RunClient, subject: string, value: unknown): Promise<unknown> {
  if (Array.isArray(value) && value.every(isFile)) {
    const files: unknown[] = [];
    for (const file of value) files.push(await sendFiles(client, subject, file));
    return files;
  }
  if (!isFile(value) || value instanceof FileValue) return value;
  const { name, content }: InputFile = value;
  const { sequence = 0 } = await client.stream(FILES_STREAM).send(subject, content);
  return new FileValue(name, content.length, { stream: FILES_STREAM, sequence, frame: 0 });
}

/** All runs that the broker still knows, the oldest first. @throws {MlmError} */
export async function listRuns(client: RunsClient): Promise<RunSummary[]> {
  const end = await lastSequenceOf(client, RUNS_STREAM);
  const rows = new Map<string, RunSummary>();
  if (end === 0) return [];
  const reader = client.stream(RUNS_STREAM).read({ from: 'compact', own: true });
  for await (const message of reader) {
    const logged = loggedEvent(message);
    if (logged !== undefined) rows.set(message.subject, summaryOf(message.subject, logged));
    if ((message.sequence ?? end) >= end) break;
  }
  return [...rows.values()].sort((a, b) => a.since - b.since);
}

function summaryOf(run: string, { head, event, timeMs, sequence }: LoggedEvent): RunSummary {
  const since = head.since === 0 ? sequence : head.since;
  const { pipeline } = head;
  return {
    run,
    pipeline,
    state: stateAfter(event),
    changedMs: timeMs,
    since,
    lastSequence: sequence,
  };
}

function stateAfter(event: LoggedEvent['event']): RunSummary['state'] {
  switch (event.event) {
    case 'submitted':
    case 'resumed':
      return 'waiting';
    case 'cancelling':
      return 'cancelling';
    case 'finished':
      return event.state;
    default:
      return 'running';
  }
}

/** The last message of a stream; 0 where there is none, or no such stream. */
async function lastSequenceOf(client: RunsClient, stream: string): Promise<number> {
  try {
    const { firstSequence, lastSequence } = await client.streamInfo(stream);
    return lastSequence < firstSequence ? 0 : lastSequence;
  } catch (error) {
    if (error instanceof MlmError && error.code === 'REFUSED') return 0;
    throw error;
  }
}

/** @throws {RunError} where there is no such run */
export async function findRun(client: RunsClient, run: string): Promise<RunSummary> {
  const found = (await listRuns(client)).find((each) => each.run === run);
  if (found !== undefined) return found;
  throw new RunError(`there is no run "${run}"; "mlm pipeline ls" lists them`);
}

/** How a run is now. @throws {RunError} where it is not known any more */
export async function readRun(client: RunsClient, summary: RunSummary): Promise<RunView> {
  const done = new AbortController();
  for await (const { logged, view } of followRun(client, summary, done.signal)) {
    if (logged.sequence >= summary.lastSequence) return view;
  }
  throw new RunError(`the broker does not know the run "${summary.run}" any more`);
}

/**
 * What happens to a run, from its beginning on, until the signal fires; the view is the same
 * each time, and changes with each event.
 *
 * @throws {RunLost, PipelineError, MlmError}
 */
export async function* followRun(
  client: RunClient,
  place: RunPlace,
  signal: AbortSignal,
): AsyncGenerator<{ readonly logged: LoggedEvent; readonly view: RunView }> {
  let view: RunView | undefined;
  for await (const logged of new BrokerLog(client, place).read(signal)) {
    const { event } = logged;
    if (event.event === 'submitted' && view === undefined) {
      const pipeline = requirePipeline(event.file, event.source);
      view = { pipeline, state: new RunState(pipeline.steps.keys()) };
    }
    if (view === undefined) continue;
    view.state.apply(logged);
    yield { logged, view };
  }
}

/** Asks for the end of a run; whoever holds it cancels its jobs. @throws {RunError, MlmError} */
export async function cancelRun(
  client: RunsClient,
  run: string,
  reason: string,
): Promise<RunPlace> {
  const summary = await findRun(client, run);
  if (isOver(summary)) throw new RunError(`the run "${run}" is over: it has ${summary.state}`);
  await new BrokerLog(client, summary).append({ event: 'cancelling', reason });
  return summary;
}

/**
 * Has a run gone on with: one that failed or was cancelled tries again what was not done, one
 * that no orchestrator has, and no request is there for, gets a new request.
 *
 * @throws {RunError} where it has succeeded, or is under way; {MlmError}
 */
export async function resumeRun(client: RunsClient, run: string): Promise<RequestedRun> {
  const summary = await findRun(client, run);
  const { state } = await readRun(client, summary);
  if (summary.state === 'succeeded') throw new RunError(`the run "${run}" has succeeded`);
  if (!isOver(summary) && (await isRequested(client, state.request))) {
    throw new RunError(`the run "${run}" is under way, or waits for an orchestrator`);
  }
  const request = `${run}.again-${randomBytes(5).toString('hex')}`;
  await new BrokerLog(client, summary).append({ event: 'resumed', request });
  const { pipeline, since } = summary;
  return requestRun(client, { run, pipeline, since, request });
}

/** Whether a request for a run is still with the broker or an orchestrator. */
export async function isRequested(client: RunClient, request: string): Promise<boolean> {
  const event = await client.job(PIPELINES_SERVICE, request).state();
  return event !== undefined && !event.isFinal;
}

/** Whether a run has ended. */
export function isOver({ state }: RunSummary): boolean {
  return state === 'succeeded' || state === 'failed' || state === 'cancelled';
}
