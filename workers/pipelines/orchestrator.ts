// The orchestrator: a worker whose jobs are runs of pipelines. It holds as many at
// the same time as it says, and leaves them to another one as any worker does: when
// its session ends, when it is stopped. How one run is held stands in hold.ts.
import { z } from 'zod';
import { MlmError } from '../../client/index.js';
import { JobError, type Job } from '../job.js';
import { defineWorker, type Worker } from '../worker.js';
import { BrokerJobs, BrokerLog, RunLost, type RunPlace } from './broker-ports.js';
import { Holding, type HoldingEnd } from './hold.js';
import { isRunId } from './job-id.js';
import { progressOf } from './progress.js';

/** The service that orchestrators offer; the subject of a request is the id of the run. */
export const PIPELINES_SERVICE = 'pipelines';

export interface OrchestratorOptions {
  /** How many runs it holds at the same time. Default 16. */
  readonly capacity?: number | undefined;
  /** Holds only this run. */
  readonly run?: string | undefined;
  /** Fires when it is to leave its runs to others at once. */
  readonly stopping?: AbortSignal | undefined;
}

const CAPACITY = 16;
/** The body of a request: where the log of the run begins. */
const requestShape = z.object({ pipeline: z.string(), since: z.int().min(1) });

/** A worker that holds runs of pipelines; give it to `startWorkers` or `runWorkers`. */
export function pipelineWorker(options: OrchestratorOptions = {}): Worker {
  const { capacity = CAPACITY, run, stopping } = options;
  return defineWorker({
    service: PIPELINES_SERVICE,
    ...(run !== undefined && { pattern: `^${run}$` }),
    capacity,
    // A run that fails is not a failure of its orchestrator.
    failuresMax: 0,
    handle: (job) => handle(job, stopping),
  });
}

async function handle(job: Job, stopping: AbortSignal | undefined): Promise<unknown> {
  const place = placeOf(job);
  const { run } = place;
  const holding = new Holding({
    run,
    log: (id) => new BrokerLog(job.client, place, id),
    jobs: new BrokerJobs(job.client),
    onNews: (state, fractions) => {
      const { fraction, note } = progressOf(run, state, fractions);
      job.progress(fraction, note);
    },
  });
  const end = await holdUnder(holding, job, stopping);
  switch (end.kind) {
    case 'over': {
      const { phase, reason } = end.state;
      job.log.info('run over', { run, phase, ...(reason !== '' && { reason }) });
      return { run, state: phase, reason };
    }
    case 'taken':
      return { run, state: 'taken', reason: 'another orchestrator has it' };
    case 'unknown':
      throw new JobError('bad-input', `there is no run ${run} in the stream of runs`);
  }
}

/** @throws {JobError} bad-input */
function placeOf({ subject: run, body }: Job): RunPlace {
  const request = requestShape.safeParse(body.value());
  if (request.success && isRunId(run)) return { run, ...request.data };
  throw new JobError('bad-input', 'not a request for a run: use "mlm run" or submitRun');
}

async function holdUnder(
  holding: Holding,
  { signal, log }: Job,
  stopping: AbortSignal | undefined,
): Promise<HoldingEnd> {
  const leave = new AbortController();
  const onStopping = (): void => {
    leave.abort(new JobError('STOPPED', 'this orchestrator stops: another one goes on'));
  };
  const onAbort = (): void => {
    const reason = signal.reason as unknown;
    if (!(reason instanceof MlmError) || reason.code !== 'CANCELLED') leave.abort(reason);
    else holding.cancel(reason.message).catch((error: unknown) => leave.abort(error));
  };
  if (stopping?.aborted === true) onStopping();
  if (signal.aborted) onAbort();
  stopping?.addEventListener('abort', onStopping);
  signal.addEventListener('abort', onAbort);
  try {
    return await holding.hold(leave.signal);
  } catch (error) {
    if (!(error instanceof RunLost)) throw error;
    log.error(error.message);
    throw new JobError('bad-input', error.message, { cause: error });
  } finally {
    stopping?.removeEventListener('abort', onStopping);
    signal.removeEventListener('abort', onAbort);
  }
}
