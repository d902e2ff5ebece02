// Runs a pipeline to its end for a test, and gathers what came of it. Who holds the
// run, and who does its jobs, is not decided here.
import { readFileSync } from 'node:fs';
import type { MlmClient } from '../../client/index.js';
import { aborted } from '../../client/errors.js';
import type { FileValue } from '../pipelines/file-value.js';
import { mapFiles } from '../pipelines/file-value.js';
import { Files } from '../pipelines/files.js';
import type { InputFile, Inputs } from '../pipelines/inputs.js';
import { followRun, submitRun, type RunView } from '../pipelines/runs.js';
import type { RunState } from '../pipelines/state.js';

/** What came of a run. */
export interface PipelineRun {
  readonly state: 'succeeded' | 'failed' | 'cancelled';
  /** Why, where it has not succeeded. */
  readonly reason: string;
  /** By name; files are `{ name, content }`. */
  readonly outputs: Readonly<Record<string, unknown>>;
  /** What became of each step: `succeeded`, `skipped`, `failed` or, where it was not begun, `waiting`. */
  readonly steps: Readonly<Record<string, StepPhase>>;
}

type StepPhase =
  RunState['steps'] extends ReadonlyMap<string, { readonly phase: infer Phase }> ? Phase : never;

/**
 * @param file the path of the pipeline
 * @param signal ends the waiting for the end of the run
 * @throws {PipelineError} where the pipeline is not right; {InputError}; {MlmError} ABORTED
 *   where the signal fires first
 */
export async function runPipeline(
  client: MlmClient,
  file: string,
  inputs: Inputs,
  signal: AbortSignal = new AbortController().signal,
): Promise<PipelineRun> {
  const run = await submitRun(client, { file, source: readFileSync(file, 'utf8'), inputs });
  let last: RunView | undefined;
  for await (const { view } of followRun(client, run, signal)) {
    last = view;
    if (view.state.isOver) break;
  }
  if (last?.state.isOver !== true) throw aborted(`the run ${run.run}`, signal);
  const { phase, reason, outputs, steps } = last.state;
  return {
    state: phase as PipelineRun['state'],
    reason,
    outputs: (await withFiles(client, outputs)) as PipelineRun['outputs'],
    steps: Object.fromEntries([...steps].map(([name, step]) => [name, step.phase])),
  };
}

/** The same value with each file fetched. */
async function withFiles(client: MlmClient, value: unknown): Promise<unknown> {
  const files = new Files(client);
  const found: FileValue[] = [];
  mapFiles(value, (file) => found.push(file));
  const fetched = new Map<FileValue, InputFile>();
  for (const file of found) {
    fetched.set(file, { name: file.name, content: await files.fetch(file) });
  }
  return mapFiles(value, (file) => fetched.get(file));
}
