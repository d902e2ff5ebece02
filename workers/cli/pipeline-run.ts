// Does `mlm run`: checks a pipeline, begins a run of it, and shows what it gives. How
// the command is called stands in pipeline.ts.
import { readFileSync } from 'node:fs';
import type { Context } from '../../client/commands/shared/command.js';
import { CommandError, EXIT } from '../../client/commands/shared/failure.js';
import { safeJson } from '../../client/commands/shared/safe-text.js';
import { withClient } from '../../client/commands/shared/session.js';
import type { MlmClient } from '../../client/index.js';
import { BodyError } from '../pipelines/bodies.js';
import { readPipeline, type Pipeline } from '../pipelines/definition.js';
import { Files } from '../pipelines/files.js';
import { problemLine } from '../pipelines/problem.js';
import { submitRun, type RequestedRun, type RunView } from '../pipelines/runs.js';
import type { RunArguments, ShowArguments } from './pipeline.js';
import { askServices, followToEnd, type Services } from './pipeline-follow.js';
import { readInputs } from './pipeline-inputs.js';
import { resultLines, resultsOf, writeResults, type Results } from './pipeline-results.js';

/** Does `mlm run`. */
export async function run(given: RunArguments, context: Context): Promise<void> {
  const { file, input = [], values = [], detach = false } = given;
  const source = readText(file);
  const pipeline = checkedPipeline(file, source, context);
  const named = typeof input === 'string' ? [input] : input;
  const inputs = await readInputs(pipeline.inputs, named, values);
  await withClient('run', given, context, { kind: 'following' }, async (client) => {
    const services = await askServices(client, context.signal);
    warnOfMissing(pipeline, services, context);
    const run = await submitRun(client, { file, source, inputs });
    if (detach) {
      if (!services.hasOrchestrator) context.warn(noOrchestrator(run.run));
      await context.output.line(run.run);
    } else await showToEnd(client, run, !services.hasOrchestrator, given, context);
  });
}

function noOrchestrator(run: string): string {
  const advice = `start one with "mlm pipeline serve", or go on here with "mlm pipeline resume ${run}"`;
  return `there is no orchestrator: the run waits for one; ${advice}`;
}

export function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw new CommandError(`cannot read ${file}: ${(cause as Error).message}`, EXIT.failed, cause);
  }
}

/** @throws {CommandError} after all that is wrong was told, a line each */
export function checkedPipeline(file: string, source: string, { warn }: Context): Pipeline {
  const { pipeline, problems } = readPipeline(file, source);
  for (const problem of problems) warn(problemLine(problem));
  if (pipeline !== undefined) return pipeline;
  throw new CommandError(`${file} is not a pipeline that can run`, EXIT.usage);
}

function warnOfMissing(pipeline: Pipeline, services: Services, { warn }: Context): void {
  for (const service of services.missing(pipeline)) {
    warn(`no worker offers the service "${service}" now: its steps wait for one`);
  }
}

/**
 * Follows a run to its end, and shows what it gave.
 *
 * @param hold whether this process is to be its orchestrator
 * @throws {CommandError} where it did not succeed
 */
export async function showToEnd(
  client: MlmClient,
  run: RequestedRun,
  hold: boolean,
  given: ShowArguments,
  context: Context,
): Promise<void> {
  context.hint(`run ${run.run}`);
  const view = await followToEnd(client, run, hold, context);
  const { phase, reason, outputs } = view.state;
  const results =
    given.out === undefined || phase !== 'succeeded'
      ? resultsOf(outputs)
      : await written(client, given.out, view);
  if (given.json === true) {
    const told = { run: run.run, state: phase, ...(reason !== '' && { reason }), outputs: results };
    await context.output.line(safeJson(JSON.stringify(told, null, 2)));
  } else {
    for (const line of resultLines(results)) await context.output.line(line);
  }
  if (phase === 'succeeded') return;
  const status = phase === 'cancelled' && context.signal.aborted ? EXIT.interrupted : EXIT.failed;
  const advice = `"mlm pipeline resume ${run.run}" tries again what was not done`;
  throw new CommandError(`the run ${run.run} ${phase}: ${reason}; ${advice}`, status);
}

async function written(client: MlmClient, out: string, view: RunView): Promise<Results> {
  const outputs = view.state.outputs as Readonly<Record<string, unknown>>;
  const files = new Files(client);
  try {
    return await writeResults(out, view.pipeline, outputs, (file) => files.fetch(file));
  } catch (error) {
    if (error instanceof BodyError) throw new CommandError(error.message, EXIT.failed, error);
    throw error;
  }
}
