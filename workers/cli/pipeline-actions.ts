// Does what `mlm pipeline` can: lists, shows and draws pipelines and their runs,
// cancels and resumes runs, offers an orchestrator. How the command is called stands in
// pipeline.ts.
import { existsSync, writeFileSync } from 'node:fs';
import { actionOf, needed, wholeNumberOf } from '../../client/commands/shared/actions.js';
import { targetOf } from '../../client/commands/shared/arguments.js';
import type { Context } from '../../client/commands/shared/command.js';
import { CommandError, EXIT, usageError } from '../../client/commands/shared/failure.js';
import { withClient, type SessionKind } from '../../client/commands/shared/session.js';
import { showFields, showTable } from '../../client/commands/shared/show.js';
import type { MlmClient } from '../../client/index.js';
import { startWorkers } from '../group.js';
import type { Pipeline } from '../pipelines/definition.js';
import { drawPipeline, RUN_WORDS, stepWords, type DrawnRun } from '../pipelines/draw.js';
import { pipelineWorker } from '../pipelines/orchestrator.js';
import {
  cancelRun,
  findRun,
  isOver,
  isRequested,
  listRuns,
  readRun,
  resumeRun,
  RunError,
  type RequestedRun,
} from '../pipelines/runs.js';
import type { PipelineArguments } from './pipeline.js';
import { askServices } from './pipeline-follow.js';
import { resultsOf } from './pipeline-results.js';
import { checkedPipeline, readText, showToEnd } from './pipeline-run.js';

type Action = (given: PipelineArguments, context: Context) => Promise<void>;

const ACTIONS: Readonly<Record<string, Action>> = {
  ls: (given, context) =>
    asked(given, context, 'once', async (client) => {
      const rows = (await listRuns(client)).map(({ run, pipeline, state, changedMs }) => ({
        run,
        pipeline,
        state,
        changed: new Date(changedMs).toISOString(),
      }));
      await showTable(rows, 'no runs', given.json === true, context);
    }),
  show: async (given, context) => {
    const what = needed(given.what, 'a run, or the file of a pipeline');
    if (isFile(what)) await showFile(what, given, context);
    else await asked(given, context, 'once', (client) => showRun(client, what, given, context));
  },
  resume: (given, context) =>
    asked(given, context, 'following', (client) => resume(client, given, context)),
  cancel: (given, context) =>
    asked(given, context, 'following', async (client) => {
      const run = needed(given.what, 'the run');
      await cancelRun(client, run, 'cancelled from the command line');
      const { hasOrchestrator } = await askServices(client, context.signal);
      if (hasOrchestrator) context.hint(`the run ${run} is being cancelled`);
      else await showToEnd(client, await requested(client, run), true, given, context);
    }),
  serve: (given, context) => serve(given, context),
};

/** Runs `work` with a client; what is wrong with a run becomes a line. */
async function asked(
  given: PipelineArguments,
  context: Context,
  kind: SessionKind,
  work: (client: MlmClient) => Promise<void>,
): Promise<void> {
  try {
    await withClient('pipeline', given, context, { kind }, work);
  } catch (error) {
    if (error instanceof RunError) throw new CommandError(error.message, EXIT.failed, error);
    throw error;
  }
}

function isFile(what: string): boolean {
  return /[./]/.test(what) || existsSync(what);
}

async function showFile(file: string, given: PipelineArguments, context: Context): Promise<void> {
  const pipeline = checkedPipeline(file, readText(file), context);
  const rows = [...pipeline.steps.values()].map(({ name, service, needs, after, forEach }) => {
    return { step: name, service, needs, after, items: forEach === undefined ? 'one' : 'each' };
  });
  await draw(given, pipeline, undefined, context);
  const json = given.json === true;
  await showTable(json ? rows : numbered(rows), 'no steps', json, context);
}

/** Tables are sorted by what stands first in them: here by the order of the steps. */
function numbered(rows: readonly object[]): object[] {
  const digits = String(rows.length).length;
  return rows.map((row, at) => ({ nr: String(at + 1).padStart(digits, '0'), ...row }));
}

async function showRun(
  client: MlmClient,
  run: string,
  given: PipelineArguments,
  context: Context,
): Promise<void> {
  const { pipeline, state } = await readRun(client, await findRun(client, run));
  const { phase, reason, beganMs, lastMs } = state;
  const began = new Date(beganMs).toISOString();
  const changed = new Date(lastMs).toISOString();
  const fields = { run, pipeline: pipeline.name, state: phase, began, changed, reason };
  const steps = [...state.steps].map(([step, own]) => {
    const service = pipeline.steps.get(step)?.service ?? '';
    return { step, service, state: stepWords(own, state.isOver), reason: own.reason };
  });
  await draw(given, pipeline, { run, state }, context);
  if (given.json === true) {
    await showFields({ ...fields, steps, outputs: resultsOf(state.outputs) }, true, context);
    return;
  }
  await showFields({ ...fields, state: RUN_WORDS[phase] }, false, context);
  await showTable(numbered(steps), 'no steps', false, context);
}

async function draw(
  { svg }: PipelineArguments,
  pipeline: Pipeline,
  run: DrawnRun | undefined,
  { hint }: Context,
): Promise<void> {
  if (svg === undefined) return;
  const drawing = await drawPipeline(pipeline, run);
  try {
    writeFileSync(svg, drawing);
  } catch (cause) {
    throw new CommandError(`cannot write ${svg}: ${(cause as Error).message}`, EXIT.failed, cause);
  }
  hint(`wrote ${svg}`);
}

/** Goes on with a run: here, where no orchestrator is there. */
async function resume(
  client: MlmClient,
  given: PipelineArguments,
  context: Context,
): Promise<void> {
  const run = needed(given.what, 'the run');
  const { hasOrchestrator } = await askServices(client, context.signal);
  const waiting = hasOrchestrator ? undefined : await waitingRun(client, run);
  const place = waiting ?? (await resumeRun(client, run));
  if (given.detach === true) await context.output.line(run);
  else await showToEnd(client, place, !hasOrchestrator, given, context);
}

/** A run that is asked for and not over; undefined where it must be asked for anew. */
async function waitingRun(client: MlmClient, run: string): Promise<RequestedRun | undefined> {
  if (isOver(await findRun(client, run))) return undefined;
  const place = await requested(client, run);
  return (await isRequested(client, place.request)) ? place : undefined;
}

async function requested(client: MlmClient, run: string): Promise<RequestedRun> {
  const summary = await findRun(client, run);
  const { state } = await readRun(client, summary);
  return { ...summary, request: state.request };
}

/** Offers an orchestrator until the user has had enough. */
async function serve(given: PipelineArguments, context: Context): Promise<void> {
  const { signal, hint } = context;
  const capacity =
    given.capacity === undefined ? undefined : wholeNumberOf(given.capacity, '--capacity');
  if (capacity === 0) throw usageError('--capacity is 1 or more');
  const { endpoint, connectTimeoutMs } = targetOf(given);
  const worker = pipelineWorker({ capacity, stopping: signal });
  const group = await startWorkers([worker], { endpoint, connectTimeoutMs, signal });
  hint(`offering the service "pipelines" at ${endpoint}; Ctrl-C ends it`);
  await group.ended;
}

/** Does `mlm pipeline`. */
export function run(given: PipelineArguments, context: Context): Promise<void> {
  return actionOf(ACTIONS, given.action)(given, context);
}
