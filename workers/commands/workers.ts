// The services of a configuration as workers of the runtime: commands, commands
// that stay, models of servers. It owns what they share, and ends it; it offers
// nothing itself.
import type { Job } from '../job.js';
import type { WorkerLog } from '../log.js';
import { defineWorker, type Worker } from '../worker.js';
import type { ServiceConfig } from './config/load.js';
import type { CommandContext } from './context.js';
import { JobFolders } from './job-folder.js';
import { askModel } from './openai/ask.js';
import { ModelServer } from './openai/server.js';
import { PersistentPool } from './persistent-pool.js';
import { WarmLabels } from './warm-labels.js';
import { runCommand } from './run-command.js';

/** Does one request. */
type Run = (context: CommandContext) => Promise<unknown>;

export class CommandWorkers {
  /** To be given to `startWorkers`. */
  readonly workers: readonly Worker[];
  readonly #log: WorkerLog;
  readonly #running = new Set<Promise<unknown>>();
  readonly #pools: PersistentPool[] = [];
  readonly #servers = new Map<string, ModelServer>();
  #folders: JobFolders | undefined;

  /**
   * Starts the commands that stay.
   *
   * @throws {MlmError} INVALID_ARGUMENT naming what a worker cannot be; then nothing was started
   */
  constructor(services: readonly ServiceConfig[], log: WorkerLog) {
    this.#log = log;
    const runs: Run[] = [];
    const defined = services.map((service, at) => {
      const run: Run = (context) => (runs[at] as Run)(context);
      return { service, worker: this.#workerOf(service, run) };
    });
    for (const { service, worker } of defined) {
      runs.push(this.#runOf(service, new WarmLabels(worker, log)));
    }
    this.workers = defined.map(({ worker }) => worker);
  }

  /**
   * Ends what is left, and removes all temporary folders. To be called when the workers have
   * ended: commands that still run then are about to be killed.
   *
   * @returns resolves when no process of theirs is left
   */
  async close(): Promise<void> {
    await Promise.all(this.#pools.map((pool) => pool.close()));
    await Promise.allSettled([...this.#running]);
    await this.#folders?.close();
  }

  #workerOf(service: ServiceConfig, run: Run): Worker {
    return defineWorker({
      service: service.service,
      pattern: service.pattern,
      capacity: service.capacity,
      labels: service.labels,
      cache: service.cache,
      handle: (job: Job) => this.#keep(run(job)),
    });
  }

  #runOf(service: ServiceConfig, warm: WarmLabels): Run {
    if (service.kind === 'openai') {
      const server = this.#serverAt(service.model.url);
      return (context) => askModel(service.model, server, context);
    }
    const folders = (this.#folders ??= new JobFolders());
    const { command, persistent, capacity } = service;
    if (!persistent) return (context) => runCommand(command, folders, context);
    const pool = new PersistentPool(command, capacity, folders, this.#log, (labels) =>
      warm.update(labels),
    );
    this.#pools.push(pool);
    return (context) => pool.run(context);
  }

  /** Models of one server share what is known of it. */
  #serverAt(url: string): ModelServer {
    const known = this.#servers.get(url) ?? new ModelServer(url);
    this.#servers.set(url, known);
    return known;
  }

  /** The runtime may leave an attempt behind; it is waited for in the end. */
  async #keep(result: Promise<unknown>): Promise<unknown> {
    this.#running.add(result);
    try {
      return await result;
    } finally {
      this.#running.delete(result);
    }
  }
}
