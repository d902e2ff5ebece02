// The processes of a demonstration: started together, watched while it runs,
// and none left when it ends, however it ends. What they do is not known here.
import { spawn, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';

/** How long a process may take to end after SIGTERM, ms; longer than a worker may drain. */
const STOP_MS = 10_000;

type Shown = (line: string) => string | undefined;

export interface StartOptions {
  /** Added to what all of them get. */
  readonly env?: Readonly<Record<string, string>>;
  /** Whether it ends by itself when its work is done; otherwise its end is a failure. */
  readonly ends?: boolean;
  /** Whether what it prints is not shown; its complaints always are. */
  readonly quiet?: boolean;
  /** What is shown of a line that it prints, if anything is. Default: the line. */
  readonly shown?: Shown;
}

function same(line: string): string {
  return line;
}

/** One process. */
export interface Part {
  readonly name: string;
  readonly pid: number | undefined;
  /** Resolves when it has ended and all its lines were shown. */
  readonly ended: Promise<void>;
  /** Ends it at once, by SIGKILL; nobody minds. */
  kill(): void;
}

interface Entry extends Part {
  readonly child: ChildProcess;
}

export class Processes {
  /** Rejects when a process ends that should not, or with a failure; never resolves. */
  readonly failed: Promise<never>;
  readonly #print: (name: string, line: string) => void;
  readonly #entries: Entry[] = [];
  #fail: (error: Error) => void = () => undefined;
  #stopping = false;

  /** @param print shows a line of a process */
  constructor(print: (name: string, line: string) => void) {
    this.#print = print;
    this.failed = new Promise((_, reject) => {
      this.#fail = reject;
    });
    // Whoever does not wait for it does not want to know.
    this.failed.catch(() => undefined);
    // The last resort, where this process ends without `stop`.
    process.on('exit', () => this.kill());
  }

  /** Runs a script of this project. Variables of the user's own broker do not reach it. */
  start(name: string, script: string, args: readonly string[], options: StartOptions = {}): Part {
    const { env = {}, ends = false, quiet = false, shown = same } = options;
    let isMeant = false;
    const child = spawn(process.execPath, [script, ...args], {
      env: { ...environment(), ...env },
      stdio: ['ignore', quiet ? 'ignore' : 'pipe', 'pipe'],
    });
    this.#show(name, child.stdout, shown);
    this.#show(name, child.stderr, same);
    const ended = new Promise<void>((resolve) => {
      child.once('error', (error) => {
        this.#fail(new Error(`${name} cannot be started: ${error.message}`));
        resolve();
      });
      child.once('close', (code, signal) => {
        if (!this.#stopping && !isMeant && !(ends && code === 0))
          this.#fail(endOf(name, code, signal));
        resolve();
      });
    });
    const kill = (): void => {
      isMeant = true;
      child.kill('SIGKILL');
    };
    const entry = { name, pid: child.pid, ended, kill, child };
    this.#entries.push(entry);
    return entry;
  }

  /** Ends them all, the first one last: the others need it. @returns resolves when none is left */
  async stop(): Promise<void> {
    this.#stopping = true;
    const [first, ...others] = this.#entries;
    await Promise.all(others.map(end));
    if (first !== undefined) await end(first);
  }

  /** Ends them all at once. */
  kill(): void {
    this.#stopping = true;
    for (const { child } of this.#entries) child.kill('SIGKILL');
  }

  #show(name: string, output: Readable | null, shown: Shown): void {
    if (output === null) return;
    createInterface({ input: output }).on('line', (line) => {
      const text = shown(line);
      if (text !== undefined) this.#print(name, text);
    });
  }
}

async function end({ child, ended }: Entry): Promise<void> {
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
  await ended;
  clearTimeout(timer);
}

function endOf(name: string, code: number | null, signal: NodeJS.Signals | null): Error {
  const how = signal === null ? `with status ${String(code)}` : `by ${signal}`;
  return new Error(`${name} has ended ${how}`);
}

function environment(): NodeJS.ProcessEnv {
  const entries = Object.entries(process.env).filter(([name]) => !name.startsWith('MLM_'));
  return Object.fromEntries(entries);
}
