// Child processes for tests: start one, wait until it says that it is ready,
// read what it prints, end it. Every child ends with its test, whatever the
// test does; nothing here knows what the child is, and none is ever found by
// its name: only children started here are signalled.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

/**
 * How long tests wait for what happens in processes and brokers: a child that becomes ready,
 * prints a line or ends after SIGTERM. It is for what never comes, on a machine that is busy.
 */
export const PATIENCE_MS = 60_000;

/** Output kept for each of stdout and stderr; what is older is dropped. */
const OUTPUT_CHARACTERS_MAX = 1_000_000;
const READY_FILE_LOOK_MS = 20;
const SIGNAL_AGAIN_MS = 100;

/**
 * Without what the library of ZeroMQ writes on standard error where a process stands still for half
 * a second while it exits: no program can keep it from that, and it says nothing of the program.
 */
export function withoutZeroMq(output: string): string {
  return output.replace(/\(node:\d+\) WARNING: Waiting for queued ZeroMQ messages .*\n/g, '');
}

export interface StartOptions {
  cwd?: string;
  /** Added to the environment of the test run; `undefined` takes a variable away. */
  env?: Record<string, string | undefined>;
  /** Ready once a line of stdout matches. */
  readyLine?: RegExp;
  /** Ready once this file exists and holds JSON; `readReadyFile` gives its value. */
  readyFile?: string;
  /** Milliseconds; `PATIENCE_MS` unless told. */
  readyTimeoutMs?: number;
}

/** How a child ended: its exit status, or the signal that ended it. */
export interface Exit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

/** One child process that a test started. */
export class Child {
  /** Everything the child has printed so far, up to the last million characters. */
  stdout = '';
  stderr = '';
  /** Resolves when the child has ended and its output is complete; never rejects. */
  readonly ended: Promise<Exit>;
  readonly pid: number;
  readonly #process: ChildProcess;
  readonly #title: string;
  /** Each is asked again whenever something was printed or the child ended. */
  readonly #waiters = new Set<() => void>();
  readonly #lines: string[] = [];
  #listener: ((line: string) => void) | undefined;
  #exit: Exit | undefined;

  constructor(process: ChildProcess, pid: number, title: string) {
    this.#process = process;
    this.pid = pid;
    this.#title = title;
    process.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.stdout = kept(this.stdout, text);
    });
    process.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.stderr = kept(this.stderr, text);
      this.#look();
    });
    if (process.stdout) {
      createInterface({ input: process.stdout }).on('line', (line) => {
        if (this.#listener) this.#listener(line);
        else this.#lines.push(line);
        this.#look();
      });
    }
    // A child that ends while we write to it is seen by its end, not by EPIPE.
    process.stdin?.on('error', () => undefined);
    this.ended = once(process, 'close').then(([code, signal]) => {
      this.#exit = { code: code as number | null, signal: signal as NodeJS.Signals | null };
      this.#look();
      return this.#exit;
    });
  }

  /** How the child ended, or undefined while it runs. */
  get exit(): Exit | undefined {
    return this.#exit;
  }

  /** Writes to the child's stdin. */
  write(text: string): void {
    this.#process.stdin?.write(text);
  }

  /** Closes the child's stdin. */
  endInput(): void {
    this.#process.stdin?.end();
  }

  /** Closes our end of the child's stdout, as a pipe into `head` would. */
  closeOutput(): void {
    this.#process.stdout?.destroy();
  }

  /** Closes our end of the child's stderr. */
  closeErrors(): void {
    this.#process.stderr?.destroy();
  }

  /** Sends a signal; nothing happens where the child has ended. */
  signal(signal: NodeJS.Signals): void {
    if (this.#exit === undefined) this.#process.kill(signal);
  }

  /** From now on every line of stdout, the ones not yet taken first, goes to `listener`. */
  onLine(listener: (line: string) => void): void {
    this.#listener = listener;
    for (const line of this.#lines.splice(0)) listener(line);
  }

  /**
   * The first line of stdout not yet taken that matches; it and those before it are taken.
   *
   * @throws {Error} with all output, where the child ends or time is up before
   */
  async line(pattern = /^/, timeoutMs = PATIENCE_MS): Promise<string> {
    return this.until(`a line ${pattern.source}`, timeoutMs, () => {
      const at = this.#lines.findIndex((line) => pattern.test(line));
      return at < 0 ? undefined : this.#lines.splice(0, at + 1).at(-1);
    });
  }

  /**
   * Waits until stderr holds a match.
   *
   * @throws {Error} with all output, where the child ends or time is up before
   */
  async stderrMatch(pattern: RegExp, timeoutMs = PATIENCE_MS): Promise<string> {
    return this.until(`stderr ${pattern.source}`, timeoutMs, () => pattern.exec(this.stderr)?.[0]);
  }

  /**
   * Waits until `look` gives something; it is asked whenever the child prints or ends.
   *
   * @param lookEveryMs asks at this interval too, for things that are not printed
   * @throws {Error} with all output, where the child ends or time is up before
   */
  async until<T>(
    what: string,
    timeoutMs: number,
    look: () => T | undefined,
    lookEveryMs = 0,
  ): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const finish = (settle: () => void): void => {
        clearTimeout(timer);
        clearInterval(interval);
        this.#waiters.delete(check);
        settle();
      };
      const check = (): void => {
        const found = look();
        if (found !== undefined) finish(() => resolve(found));
        else if (this.#exit) finish(() => reject(this.#failure(`ended without ${what}`)));
      };
      const timer = setTimeout(
        () => finish(() => reject(this.#failure(`no ${what} within ${timeoutMs} ms`))),
        timeoutMs,
      );
      const interval = lookEveryMs > 0 ? setInterval(check, lookEveryMs) : undefined;
      this.#waiters.add(check);
      check();
    });
  }

  /**
   * Waits for the child's own end.
   *
   * @throws {Error} with all output, where it has not ended in time
   */
  async waitForExit(timeoutMs = PATIENCE_MS): Promise<Exit> {
    return this.until('an end', timeoutMs, () => this.#exit);
  }

  /** Signals until the child ends: one that comes at once may count as the first one's twin. */
  async signalAgain(signal: NodeJS.Signals): Promise<Exit> {
    const signals = setInterval(() => this.signal(signal), SIGNAL_AGAIN_MS);
    return this.waitForExit().finally(() => clearInterval(signals));
  }

  /** Ends the child: `signal` first, SIGKILL where that does not help in time. */
  async stop(signal: NodeJS.Signals = 'SIGTERM', timeoutMs = PATIENCE_MS): Promise<Exit> {
    this.signal(signal);
    const timer = setTimeout(() => this.signal('SIGKILL'), timeoutMs);
    const exit = await this.ended;
    clearTimeout(timer);
    return exit;
  }

  #look(): void {
    for (const look of [...this.#waiters]) look();
  }

  #failure(what: string): Error {
    const end = this.#exit ? ` (status ${this.#exit.code}, signal ${this.#exit.signal})` : '';
    const output = `--- stdout\n${this.stdout}\n--- stderr\n${this.stderr}`;
    return new Error(`${this.#title}: ${what}${end}\n${output}`);
  }
}

/** Output so far, and what has come. */
function kept(output: string, text: string): string {
  const all = (output + text).slice(-OUTPUT_CHARACTERS_MAX);
  return text.includes('ZeroMQ') ? withoutZeroMq(all) : all;
}

/** What is here, without what the runner of the tests, or a CI, says about colours. */
function surroundings(): NodeJS.ProcessEnv {
  const own = Object.entries(process.env).filter(([name]) => !/^(NO|FORCE)_COLOR$/.test(name));
  return Object.fromEntries(own);
}

/**
 * Starts a child and waits until it is ready; without a ready line or file, until it runs.
 * Prefer `useProcesses`, which also ends it.
 *
 * @param born told of the child as soon as it runs, before it is ready
 * @throws {Error} where the command cannot be started, or with the child's output where it
 *   ends or time is up before it is ready; such a child has been killed
 */
export async function startChild(
  command: string,
  args: readonly string[],
  options: StartOptions = {},
  born?: (child: Child) => void,
): Promise<Child> {
  const spawned = spawn(command, args, {
    cwd: options.cwd ?? process.cwd(),
    env: { ...surroundings(), ...options.env },
    stdio: 'pipe',
  });
  if (spawned.pid === undefined) {
    const [error] = (await once(spawned, 'error')) as [Error];
    throw error;
  }
  const child = new Child(spawned, spawned.pid, [command, ...args].join(' '));
  born?.(child);
  try {
    await waitUntilReady(child, options);
  } catch (error) {
    await child.stop('SIGKILL');
    throw error;
  }
  return child;
}

async function waitUntilReady(child: Child, options: StartOptions): Promise<void> {
  const { readyLine, readyFile, readyTimeoutMs = PATIENCE_MS } = options;
  if (readyLine) {
    await child.until(`ready line ${readyLine.source}`, readyTimeoutMs, () =>
      child.stdout.split('\n').find((line) => readyLine.test(line)),
    );
  }
  if (readyFile !== undefined) {
    const look = (): unknown => tryReadJson(readyFile);
    await child.until(`ready file ${readyFile}`, readyTimeoutMs, look, READY_FILE_LOOK_MS);
  }
}

function tryReadJson(path: string): unknown {
  if (!existsSync(path)) return undefined;
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    return undefined; // Being written just now.
  }
}

/** What a child wrote into its ready file. */
export function readReadyFile(path: string): unknown {
  return JSON.parse(readFileSync(path, 'utf8'));
}

/** What `useProcesses` gives a test file. */
export interface Processes {
  /** As `startChild`; the child is killed after the test, unless it has ended by then. */
  start: (command: string, args: readonly string[], options?: StartOptions) => Promise<Child>;
  /** A fresh folder, removed after the test. */
  folder: () => string;
}

/**
 * Call it once at the top of a test file or `describe`: after each test, every child that the
 * test started is ended (SIGTERM, then SIGKILL) and every folder it asked for is removed.
 */
export function useProcesses(): Processes {
  const children = new Set<Child>();
  const folders = new Set<string>();
  afterEach(async () => {
    await Promise.all([...children].map((child) => child.stop()));
    children.clear();
    for (const folder of folders) rmSync(folder, { recursive: true, force: true });
    folders.clear();
  });
  return {
    // Noted at birth: a test may be over before its child is ready.
    start: async (command, args, options) =>
      startChild(command, args, options, (child) => children.add(child)),
    folder: () => {
      const folder = mkdtempSync(join(tmpdir(), 'malamute-test-'));
      folders.add(folder);
      return folder;
    },
  };
}
