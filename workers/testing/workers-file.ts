// The services of a workers.yaml as workers, so that a test can run wrapped commands
// for requests of its own, without a broker. What the file says is read and checked
// as `mlm work` does it.
import { loadConfigFile } from '../commands/config/load.js';
import { ConfigError } from '../commands/config/problems.js';
import { CommandWorkers } from '../commands/workers.js';
import { silentLog, type WorkerLog } from '../log.js';
import type { Worker } from '../worker.js';

export interface WorkersFileOptions {
  /** What variables the commands may be given. Default: those of this process. */
  readonly environment?: NodeJS.ProcessEnv | undefined;
  /** Default: none. */
  readonly log?: WorkerLog | undefined;
}

/** The workers of a file; commands that stay run until it is closed. */
export interface WorkersFile {
  readonly workers: readonly Worker[];
  /** The worker of a service. @throws {Error} where there is no such service, or several of it */
  worker(service: string): Worker;
  /** Ends the commands, and removes their folders. */
  close(): Promise<void>;
}

/**
 * Opens a workers.yaml, and starts those of its commands that stay.
 *
 * @throws {ConfigError} with a line for each thing that is wrong, or that this machine lacks
 */
export function openWorkersFile(path: string, options: WorkersFileOptions = {}): WorkersFile {
  const { environment = process.env, log = silentLog } = options;
  const { services, lacks } = loadConfigFile(path, environment);
  if (lacks.length > 0) throw new ConfigError(lacks);
  const commands = new CommandWorkers(services, log);
  const { workers } = commands;
  return {
    workers,
    worker(service) {
      const [worker, ...others] = workers.filter((each) => each.service === service);
      if (worker !== undefined && others.length === 0) return worker;
      const names = workers.map((each) => each.service).join(', ');
      const count = worker === undefined ? 'no service' : 'more than one';
      throw new Error(`${path} has ${count} "${service}"; there are ${names}`);
    },
    close: () => commands.close(),
  };
}
