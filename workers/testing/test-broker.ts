// A broker for tests, in their own process, and what a test connects to it: all of
// it closed by one call. This is the one file of workers/ that may import the
// broker, because a test wants both; nothing but the entry of `malamute-ts/testing`
// imports it, so that no worker process ever loads a broker.
import { startBroker, type OptionName } from '../../broker/index.js';
import { connect, type ConnectOptions, type MlmClient } from '../../client/index.js';
import { startWorkers, type WorkerGroup } from '../group.js';
import { silentLog } from '../log.js';
import type { Inputs } from '../pipelines/inputs.js';
import { pipelineWorker } from '../pipelines/orchestrator.js';
import type { WorkersOptions } from '../settings.js';
import type { Worker } from '../worker.js';
import { runPipeline, type PipelineRun } from './run-pipeline.js';

/** How long the broker waits for what nobody reads at its end, ms. */
const BROKER_DRAIN_MS = 100;
/** How long jobs may take to finish at the end of a test, ms. */
const DRAIN_MS = 1000;

/** Options by name, as the flags of `mlm-broker` spell them. */
export type TestBrokerOptions = Readonly<Partial<Record<OptionName, unknown>>>;

export interface TestBroker {
  /** `tcp://127.0.0.1:PORT`, a port that was free. */
  readonly endpoint: string;
  /** Connects a client. @throws {MlmError} as `connect` */
  connect(options?: ConnectOptions): Promise<MlmClient>;
  /** Starts workers, silent unless they are given a log. @throws {MlmError} as `startWorkers` */
  start(workers: readonly Worker[], options?: WorkersOptions): Promise<WorkerGroup>;
  /**
   * Runs a pipeline with the workers that were started, to its end.
   *
   * @param file the path of the pipeline
   * @param inputs JSON values, and files as `{ name, content }`
   * @param signal ends the waiting: a step whose service nobody offers waits for ever
   * @throws {PipelineError} where the pipeline is not right; {InputError}; {MlmError} ABORTED
   *   where the signal fires first
   */
  runPipeline(file: string, inputs?: Inputs, signal?: AbortSignal): Promise<PipelineRun>;
  /** Stops the workers, closes the clients, then stops the broker. Safe to call again. */
  close(): Promise<void>;
}

/**
 * Starts a broker in this process, on a free port of the loopback address. It keeps nothing.
 *
 * ```ts
 * const broker = await startTestBroker();
 * after(() => broker.close());
 * ```
 *
 * @param options for a broker that is to be otherwise: `{ data: folder }` keeps its messages
 * @throws {OptionError} naming an option with a value it cannot have
 */
export async function startTestBroker(options: TestBrokerOptions = {}): Promise<TestBroker> {
  const broker = await startBroker({
    bind: ['tcp://127.0.0.1:*'],
    'drain-timeout': BROKER_DRAIN_MS,
    ...options,
  });
  const [endpoint = ''] = broker.endpoints;
  const groups: WorkerGroup[] = [];
  const clients: MlmClient[] = [];
  let runs: Promise<MlmClient> | undefined;
  let closed: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    await Promise.all(groups.map((group) => group.stop()));
    await Promise.all(clients.map((client) => client.close()));
    await broker.stop();
  };
  const connectHere = async (given?: ConnectOptions): Promise<MlmClient> => {
    const client = await connect(endpoint, given);
    clients.push(client);
    return client;
  };
  const start = async (
    workers: readonly Worker[],
    given?: WorkersOptions,
  ): Promise<WorkerGroup> => {
    const defaults = { endpoint, drainTimeoutMs: DRAIN_MS, log: silentLog };
    const group = await startWorkers(workers, { ...defaults, ...given });
    groups.push(group);
    return group;
  };
  /** An orchestrator, and a client for runs. */
  const startRuns = async (): Promise<MlmClient> => {
    await start([pipelineWorker()]);
    return connectHere();
  };
  return {
    endpoint,
    connect: connectHere,
    start,
    runPipeline: async (file, inputs = {}, signal) =>
      runPipeline(await (runs ??= startRuns()), file, inputs, signal),
    close: () => (closed ??= close()),
  };
}
