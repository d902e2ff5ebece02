// Follows a run to its end for a command: shows it, holds it in this process where no
// orchestrator is there, and cancels it when the user has had enough. What the run
// gives is for the command to show.
import { randomBytes } from 'node:crypto';
import type { Context } from '../../client/commands/shared/command.js';
import { CommandError, EXIT } from '../../client/commands/shared/failure.js';
import { askTable, type Fields } from '../../client/commands/shared/introspection.js';
import type { MlmClient } from '../../client/index.js';
import { startWorkers } from '../group.js';
import { silentLog, type WorkerLog } from '../log.js';
import { BrokerLog } from '../pipelines/broker-ports.js';
import type { Pipeline } from '../pipelines/definition.js';
import { PIPELINES_SERVICE, pipelineWorker } from '../pipelines/orchestrator.js';
import { followRun, type RequestedRun, type RunView } from '../pipelines/runs.js';
import { displayOn, type RunDisplay } from './pipeline-view.js';

/** The services of a broker, as far as a run needs them. */
export interface Services {
  /** True where an orchestrator takes any run. */
  readonly hasOrchestrator: boolean;
  /** Services of a pipeline that no worker offers now. */
  missing(pipeline: Pipeline): string[];
}

export async function askServices(client: MlmClient, signal: AbortSignal): Promise<Services> {
  const offered = (await askTable(client, 'services', signal)).filter(hasWorkers);
  const names = new Set(offered.map(({ service }) => service));
  const takesAll = ({ service, patterns }: Fields): boolean =>
    service === PIPELINES_SERVICE && Array.isArray(patterns) && patterns.includes('');
  return {
    hasOrchestrator: offered.some(takesAll),
    missing: ({ steps }) => {
      const wanted = new Set([...steps.values()].map(({ service }) => service));
      return [...wanted].filter((service) => !names.has(service));
    },
  };
}

function hasWorkers({ workers }: Fields): boolean {
  return typeof workers === 'number' && workers > 0;
}

/** @returns the run as it ended @throws {CommandError} where it is given up before its end */
export async function followToEnd(
  client: MlmClient,
  place: RequestedRun,
  hold: boolean,
  context: Context,
): Promise<RunView> {
  const display = displayOn(process.stderr);
  const stopping = new AbortController();
  const group = hold ? await holdHere(client, place, stopping.signal, display) : undefined;
  const over = new AbortController();
  const onGone = (): void => over.abort(goneBeforeItsEnd(place));
  const cancel = (): void => {
    display.line('cancelling the run; Ctrl-C again does not wait for its end');
    // Who wants to go does not wait for a broker that may never come back.
    if (client.state !== 'open') {
      onGone();
      return;
    }
    client.once('disconnected', onGone);
    const asking = { event: 'cancelling', reason: 'cancelled from the command line' } as const;
    new BrokerLog(client, place).append(asking).catch((error: unknown) => over.abort(error));
  };
  if (context.signal.aborted) cancel();
  context.signal.addEventListener('abort', cancel);
  try {
    return await new Following(client, place, display, over).end();
  } finally {
    context.signal.removeEventListener('abort', cancel);
    client.off('disconnected', onGone);
    over.abort();
    display.stop();
    await group?.stop();
    stopping.abort();
  }
}

/** The user has had enough of a run, and the broker is not there to be told. */
function goneBeforeItsEnd({ run }: RequestedRun): CommandError {
  return new CommandError(
    `the broker is gone, and did not say that the run ${run} is cancelled; ` +
      `"mlm pipeline show ${run}" tells what became of it when the broker is back`,
    EXIT.interrupted,
  );
}

/** An orchestrator in this process, for one run. */
async function holdHere(
  client: MlmClient,
  { run }: RequestedRun,
  stopping: AbortSignal,
  display: RunDisplay,
) {
  const say = (message: string): void => display.line(message);
  const log: WorkerLog = { ...silentLog, warn: say, error: say };
  const address = `mlm-pipelines-${randomBytes(4).toString('hex')}`;
  const { endpoint } = client;
  return startWorkers([pipelineWorker({ run, capacity: 1, stopping })], { endpoint, address, log });
}

/** One run, as it is followed. */
class Following {
  readonly #client: MlmClient;
  readonly #place: RequestedRun;
  readonly #display: RunDisplay;
  readonly #over: AbortController;
  #view: RunView | undefined;
  /** True once the events are those of this request: a run that is resumed has older ones. */
  #isNow = false;

  constructor(client: MlmClient, place: RequestedRun, display: RunDisplay, over: AbortController) {
    this.#client = client;
    this.#place = place;
    this.#display = display;
    this.#over = over;
  }

  /** @returns the run as it ended */
  async end(): Promise<RunView> {
    const { signal } = this.#over;
    for await (const { logged, view } of followRun(this.#client, this.#place, signal)) {
      this.#view = view;
      if (view.state.request !== this.#place.request) continue;
      if (!this.#isNow) this.#begin();
      this.#display.event(view, logged);
      if (view.state.isOver) return view;
    }
    const reason: unknown = signal.reason;
    throw reason instanceof Error
      ? reason
      : new CommandError('the run was not followed to its end');
  }

  #begin(): void {
    this.#isNow = true;
    this.#followRequest().catch((error: unknown) => this.#over.abort(error));
  }

  /** What becomes of the request tells how far the run is, and whether somebody still has it. */
  async #followRequest(): Promise<void> {
    const { run, request } = this.#place;
    const { signal } = this.#over;
    for await (const { event, progress, reason = '' } of this.#client
      .job(PIPELINES_SERVICE, request)
      .events({ signal })) {
      if (this.#view !== undefined && progress?.note !== undefined) {
        this.#display.progress(this.#view, progress.note);
      }
      if (event !== 'failed' && event !== 'expired') continue;
      const advice = `"mlm pipeline resume ${run}" goes on with it`;
      throw new CommandError(`the run ${run} was given up: ${reason}; ${advice}`);
    }
  }
}
