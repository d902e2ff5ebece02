// Commands that stay, as many as may work at the same time: a request gets one
// that is free, or waits for it. How one of them is fed and kept alive stands in
// persistent-process.ts.
import { requestLine, resultAs } from './answers.js';
import type { Labels } from '../../client/index.js';
import type { CommandSpec } from './command.js';
import type { CommandContext } from './context.js';
import { reasonOf } from './failure.js';
import { writeInputFiles } from './job-input.js';
import type { JobFolder, JobFolders } from './job-folder.js';
import { collectFiles } from './outputs.js';
import { PersistentProcess } from './persistent-process.js';
import { RequestBody } from './request-body.js';
import { Teller } from './telling.js';
import type { WorkerLog } from '../log.js';

export class PersistentPool {
  readonly #spec: CommandSpec;
  readonly #folders: JobFolders;
  readonly #processes: readonly PersistentProcess[];
  readonly #free: PersistentProcess[];
  readonly #waiting: ((process: PersistentProcess) => void)[] = [];

  /**
   * Starts the commands at once, so that they have loaded what they need when they are asked.
   *
   * @param onLabels told what each of them has at hand, when that has changed
   */
  constructor(
    spec: CommandSpec,
    capacity: number,
    folders: JobFolders,
    log: WorkerLog,
    onLabels: (labels: readonly Labels[]) => void,
  ) {
    this.#spec = spec;
    this.#folders = folders;
    const changed = (): void => onLabels(this.#processes.map(({ labels }) => labels));
    this.#processes = Array.from(
      { length: capacity },
      () => new PersistentProcess(spec, folders, log, changed),
    );
    this.#free = [...this.#processes];
  }

  /**
   * Has one of the commands do a request.
   *
   * @returns the reply's body
   * @throws {JobError} of the class that the failure has; where the signal fires, its reason
   */
  async run(context: CommandContext): Promise<unknown> {
    context.signal.throwIfAborted();
    const process = await this.#take(context.signal);
    let folder: JobFolder | undefined;
    try {
      folder = await this.#folders.make();
      return await this.#ask(process, context, folder.files);
    } finally {
      this.#giveBack(process);
      const problem = await folder?.remove();
      if (problem !== undefined) {
        context.log.warn('a temporary folder was left', { reason: problem.message });
      }
    }
  }

  /** Ends the commands. @returns resolves when they have */
  async close(): Promise<void> {
    await Promise.all(this.#processes.map((process) => process.close()));
  }

  async #ask(process: PersistentProcess, context: CommandContext, folder: string) {
    const { input, output, outputBytesMax } = this.#spec;
    const body = new RequestBody(context.body);
    const hasFiles = input.files.length > 0;
    await writeInputFiles(folder, input, body);
    const failed = new AbortController();
    const teller = new Teller(context, (error) => failed.abort(error));
    const line = (id: number): string => requestLine(id, context.subject, body, folder, hasFiles);
    const signal = AbortSignal.any([context.signal, failed.signal]);
    const result = await process
      .ask(line, signal, (report) => teller.report(report))
      .finally(() => teller.end());
    if (output.files === undefined) return resultAs(output.stdout, result);
    return collectFiles(folder, output.files, outputBytesMax);
  }

  #take(signal: AbortSignal): Promise<PersistentProcess> {
    const ready = this.#free.findIndex(({ isReady }) => isReady);
    const [process] = this.#free.splice(Math.max(ready, 0), 1);
    if (process !== undefined) return Promise.resolve(process);
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(onFree), 1);
        reject(reasonOf(signal));
      };
      const onFree = (free: PersistentProcess): void => {
        signal.removeEventListener('abort', onAbort);
        resolve(free);
      };
      this.#waiting.push(onFree);
      signal.addEventListener('abort', onAbort, { once: true });
    });
  }

  #giveBack(process: PersistentProcess): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#free.push(process);
    else next(process);
  }
}
