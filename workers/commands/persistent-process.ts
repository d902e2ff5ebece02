// One command that stays: started, fed one request at a time as a JSON line,
// started again after a while where it dies. Which of several gets a request is
// not decided here.
import { setTimeout as pause } from 'node:timers/promises';
import type { Labels } from '../../client/index.js';
import { checkLabels } from '../../client/labels.js';
import { answerOf, type Answer } from './answers.js';
import type { CommandSpec } from './command.js';
import { failureOfExit, said } from './exits.js';
import { failure, messageOf, reasonOf, timeOver } from './failure.js';
import type { JobFolder, JobFolders } from './job-folder.js';
import { LineCutter, Tail } from './lines.js';
import type { Report } from './reports.js';
import { startGroup, type Exit, type ProcessGroup } from './process-group.js';
import { fillAll } from './template.js';
import type { WorkerLog } from '../log.js';

const TAIL_BYTES = 8 * 1024;
const NOISE_CHARACTERS_MAX = 1000;
/** Before the first new start, and at most, ms. */
const RESTART_MS = 100;
const RESTART_MS_MAX = 30_000;

/** How a request ended. */
type Outcome = { readonly result: unknown } | { readonly error: Error };

/** The request that runs. */
interface Running {
  readonly id: number;
  readonly onReport: (report: Report) => void;
  readonly settle: (outcome: Outcome) => void;
  bytes: number;
}

export class PersistentProcess {
  readonly #spec: CommandSpec;
  readonly #folders: JobFolders;
  readonly #log: WorkerLog;
  readonly #onLabels: () => void;
  readonly #closing = new AbortController();
  #tail = new Tail(TAIL_BYTES);
  #lastId = 0;
  #running: Running | undefined;
  /** Ends in a row without an answer in between. */
  #deaths = 0;
  #isReady = false;
  /** What the process itself says that it has at hand. */
  #said: Labels = {};
  /** The process that takes requests, or is on its way. */
  #ready: Promise<ProcessGroup>;
  #group: ProcessGroup | undefined;
  /** Resolves when that process has ended, and the next one is on its way. */
  #life: Promise<void> = Promise.resolve();

  /** @param onLabels told when its labels have changed */
  constructor(spec: CommandSpec, folders: JobFolders, log: WorkerLog, onLabels: () => void) {
    this.#spec = spec;
    this.#folders = folders;
    this.#log = log;
    this.#onLabels = onLabels;
    this.#ready = this.#start();
  }

  /** Whether it would begin with a request at once. */
  get isReady(): boolean {
    return this.#isReady && this.#group?.isStopping === false;
  }

  /** What it has at hand now: nothing while it is not ready. */
  get labels(): Labels {
    return this.#isReady ? { ...this.#spec.readyLabels, ...this.#said } : {};
  }

  /**
   * Asks the command. One request at a time.
   *
   * @param line makes the request's line of its id
   * @returns its result
   * @throws {JobError} of the class that the failure has; where the signal fires, its reason
   */
  async ask(
    line: (id: number) => string,
    signal: AbortSignal,
    onReport: (report: Report) => void,
  ): Promise<unknown> {
    const group = await unlessAborted(this.#ready, signal);
    const life = this.#life;
    const id = ++this.#lastId;
    const text = line(id);
    this.#tail = new Tail(TAIL_BYTES);
    const asked = new Promise<Outcome>((settle) => {
      this.#running = { id, onReport, settle, bytes: 0 };
    });
    group.stdin.write(text);
    const onAbort = (): void => this.#giveUp(reasonOf(signal));
    signal.addEventListener('abort', onAbort);
    const unlimit = this.#limitTime();
    const outcome = await asked;
    unlimit();
    signal.removeEventListener('abort', onAbort);
    // What works no more for anybody has ended before the next one is asked.
    if (group.isStopping) await life;
    if ('error' in outcome) throw outcome.error;
    return outcome.result;
  }

  /** @returns takes the limit away */
  #limitTime(): () => void {
    const { timeLimitMs, program } = this.#spec;
    if (timeLimitMs === undefined) return () => undefined;
    const message = `"${program}" did not answer within its time limit of ${timeLimitMs} ms`;
    const timer = setTimeout(() => this.#giveUp(timeOver(message)), timeLimitMs);
    return () => clearTimeout(timer);
  }

  /** The request that runs is over; the process cannot be told, only ended. */
  #giveUp(error: Error): void {
    this.#settle({ error });
    this.#group?.stop();
  }

  /** Ends the command. @returns resolves when it has */
  async close(): Promise<void> {
    this.#closing.abort();
    this.#group?.stop();
    await this.#ready.catch(() => undefined);
    this.#group?.stop();
    await this.#life;
  }

  /** @returns resolves when it takes requests; rejects where it cannot be started */
  #start(): Promise<ProcessGroup> {
    const ready = this.#launch();
    // Whoever asks is told; where nobody does, the log has it.
    ready.then(
      () => {
        this.#isReady = true;
        this.#onLabels();
      },
      () => undefined,
    );
    return ready;
  }

  async #launch(): Promise<ProcessGroup> {
    const { signal } = this.#closing;
    if (this.#deaths > 0) {
      const ms = Math.min(RESTART_MS * 2 ** (this.#deaths - 1), RESTART_MS_MAX);
      await pause(ms, undefined, { signal }).catch(() => undefined);
    }
    if (signal.aborted) throw failure('not-ready', 'this worker is stopping');
    let folder: JobFolder | undefined;
    let group: ProcessGroup;
    try {
      folder = await this.#folders.make();
      group = await this.#spawn(folder);
    } catch (error) {
      this.#log.error(messageOf(error));
      await folder?.remove();
      this.#deaths++;
      this.#again();
      throw error;
    }
    this.#group = group;
    if (this.#closing.signal.aborted) group.stop();
    const isReady = this.#listen(group);
    this.#life = this.#live(group, folder);
    if (this.#spec.startLimitMs === undefined) return group;
    return this.#untilReady(group, isReady, this.#spec.startLimitMs);
  }

  #spawn(folder: JobFolder): Promise<ProcessGroup> {
    const { program, args, env, memoryBytesMax, graceMs, here } = this.#spec;
    const nothing = { subject: '', body: () => '', field: () => undefined };
    return startGroup({
      program,
      args: fillAll(args, { ...nothing, folder: folder.files, here }),
      folder: this.#spec.folder ?? folder.files,
      env: { TMPDIR: folder.temporary, ...env },
      memoryBytesMax,
      graceMs,
    });
  }

  /** Follows a process to its end, and starts the next one. */
  async #live(group: ProcessGroup, folder: JobFolder): Promise<void> {
    const exit = await group.ended;
    const problem = await folder.remove();
    if (problem !== undefined) {
      this.#log.warn('a temporary folder was left', { reason: problem.message });
    }
    const error = this.#deathOf(exit);
    this.#settle({ error });
    if (this.#closing.signal.aborted) return;
    this.#log.warn('the command has ended and is started again', { reason: error.message });
    // What was ended by us need not be waited for.
    if (!group.wasStopped) this.#deaths++;
    this.#again();
  }

  #again(): void {
    this.#isReady = false;
    this.#said = {};
    this.#onLabels();
    this.#ready = this.#start();
  }

  /** Its end is a failure whatever its status: it should have stayed. */
  #deathOf(exit: Exit): Error {
    const { program, exits } = this.#spec;
    const stderr = this.#tail.toString();
    const error = failureOfExit(program, exit, stderr, exits);
    if (error === undefined) {
      return failure('transient', `"${program}" ended, though it should stay${said(stderr)}`);
    }
    return error.code === 'failed' ? failure('transient', error.message) : error;
  }

  /** Reads what the process says. @returns resolves when it says that it is ready */
  #listen(group: ProcessGroup): Promise<void> {
    const bytesMax = 2 * this.#spec.outputBytesMax;
    let ready: () => void = () => undefined;
    const isReady = new Promise<void>((resolve) => {
      ready = resolve;
    });
    const lines = new LineCutter(bytesMax, (line) => {
      const answer = line.length < bytesMax ? answerOf(line) : undefined;
      const running = this.#running;
      if (running !== undefined) running.bytes += line.length;
      if (running !== undefined && running.bytes >= bytesMax) this.#tooMuch();
      else if (answer?.kind === 'ready') {
        this.#takeLabels(answer.labels);
        ready();
      } else if (answer?.kind === 'labels') this.#takeLabels(answer.labels);
      else if (answer === undefined || answer.id !== running?.id) this.#noise(line);
      else this.#hear(answer, running);
    });
    group.stdout.on('data', (chunk: Buffer) => lines.write(chunk));
    group.stderr.on('data', (chunk: Buffer) => this.#tail.write(chunk));
    return isReady;
  }

  #takeLabels(labels: unknown): void {
    if (labels === undefined) return;
    try {
      this.#said = checkLabels(labels as Labels);
      this.#onLabels();
    } catch (error) {
      this.#log.warn('the command says labels that cannot be', { reason: messageOf(error) });
    }
  }

  #hear(answer: Exclude<Answer, { kind: 'ready' | 'labels' }>, { onReport }: Running): void {
    if (answer.kind === 'progress' || answer.kind === 'event') {
      onReport(answer);
      return;
    }
    this.#deaths = 0;
    this.#settle(answer);
  }

  /** A late answer to a request that is over, or what was meant for people. */
  #noise(line: Buffer): void {
    const text = line.subarray(0, NOISE_CHARACTERS_MAX).toString('utf8');
    this.#log.debug('standard output', { line: text });
  }

  #tooMuch(): void {
    const { outputBytesMax } = this.#spec;
    const message = `the command answers more than the ${outputBytesMax} octets it may`;
    this.#giveUp(failure('failed', message));
  }

  #settle(outcome: Outcome): void {
    const running = this.#running;
    this.#running = undefined;
    running?.settle(outcome);
  }

  async #untilReady(
    group: ProcessGroup,
    isReady: Promise<void>,
    startLimitMs: number,
  ): Promise<ProcessGroup> {
    const { program } = this.#spec;
    const over = new AbortController();
    const late = pause(startLimitMs, 'late', { signal: over.signal }).catch(() => 'late');
    const first = await Promise.race([isReady, group.ended, late]);
    over.abort();
    if (first === undefined) return group;
    if (first !== 'late') throw failure('not-ready', this.#deathOf(first as Exit).message);
    group.stop();
    this.#deaths++;
    const message = `"${program}" did not say {"ready": true} within its ${startLimitMs} ms`;
    throw failure('not-ready', message);
  }
}

/** The result, unless the signal fires first. */
async function unlessAborted<T>(result: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  const over = new AbortController();
  const aborted = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(reasonOf(signal)), { signal: over.signal });
  });
  try {
    return await Promise.race([result, aborted]);
  } finally {
    over.abort();
  }
}
