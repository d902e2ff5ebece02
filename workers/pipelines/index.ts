// Pipelines, for programs: check one, run one, look after runs, be an orchestrator.
export { readPipeline, requirePipeline, type Pipeline, type ReadPipeline } from './definition.js';
export { drawPipeline, type DrawnRun } from './draw.js';
export { FileValue } from './file-value.js';
export { Files } from './files.js';
export type { InputFile, Inputs } from './inputs.js';
export { pipelineWorker, type OrchestratorOptions } from './orchestrator.js';
export { PipelineError, problemLine, type Problem } from './problem.js';
export {
  cancelRun,
  followRun,
  InputError,
  listRuns,
  readRun,
  resumeRun,
  RunError,
  submitRun,
  type RequestedRun,
  type RunRequest,
  type RunSummary,
  type RunView,
} from './runs.js';
export type { RunState } from './state.js';
