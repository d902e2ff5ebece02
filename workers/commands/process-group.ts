// One command as a process group of its own: started without a shell, and ended
// with all that it has started, also where that has left the group (stragglers.ts).
// What it reads, prints and means is not known here. Every group is killed when
// this process ends, however it does.
import { spawn, type ChildProcessByStdio } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import { failure, messageOf, systemCodeOf, type FailureClass } from './failure.js';
import { findProgram } from './find-program.js';
import { killMarked, killMarkedNow, markIn, newMark } from './stragglers.js';

type Child = ChildProcessByStdio<Writable, Readable, Readable>;

/** How a command ended: its exit status, or the signal that ended it. */
export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface GroupOptions {
  /** The program, as a name or an absolute path. */
  readonly program: string;
  readonly args: readonly string[];
  readonly folder: string;
  readonly env: Readonly<Record<string, string>>;
  /** The most address space that each of its processes may take, octets. Linux only. */
  readonly memoryBytesMax?: number | undefined;
  /** How long it may take to end once it was asked to, ms. */
  readonly graceMs: number;
}

/** How long outputs may stay open, and silent, when the command itself has ended, ms. */
const SILENCE_MS = 2000;

/** The groups of this process, for its end. */
const groups = new Set<ProcessGroup>();

export class ProcessGroup {
  readonly pid: number;
  readonly stdin: Writable;
  readonly stdout: Readable;
  readonly stderr: Readable;
  /** Resolves when the whole group has ended and its outputs were read; never rejects. */
  readonly ended: Promise<Exit>;
  /** What tells those that have left the group. */
  readonly mark: string | undefined;
  readonly #child: Child;
  readonly #graceMs: number;
  #over = false;
  #grace: NodeJS.Timeout | undefined;

  /** @internal See `startGroup`. */
  constructor(child: Child, pid: number, graceMs: number, mark: string | undefined) {
    this.#child = child;
    this.pid = pid;
    this.mark = mark;
    this.stdin = child.stdin;
    this.stdout = child.stdout;
    this.stderr = child.stderr;
    this.#graceMs = graceMs;
    // A command need not read what it is given, nor live that long.
    child.stdin.on('error', () => undefined);
    this.ended = this.#end();
    if (groups.size === 0) process.on('exit', killAll);
    groups.add(this);
  }

  /** Whether it was asked to end. */
  get wasStopped(): boolean {
    return this.#grace !== undefined;
  }

  /** Whether it was asked to end, or has ended. */
  get isStopping(): boolean {
    return this.#over || this.wasStopped;
  }

  /** Asks the group to end, and kills it where it does not in time. Safe to call again. */
  stop(): void {
    if (this.isStopping) return;
    this.signal('SIGTERM');
    this.#grace = setTimeout(() => this.signal('SIGKILL'), this.#graceMs);
  }

  /** Sends a signal to every process of the group. */
  signal(signal: NodeJS.Signals): void {
    try {
      process.kill(-this.pid, signal);
    } catch {
      // Nobody is left.
    }
  }

  async #end(): Promise<Exit> {
    const closed = new AbortController();
    this.#child.once('close', () => closed.abort());
    const exit = await new Promise<Exit>((resolve) => {
      this.#child.once('exit', (code, signal) => resolve({ code, signal }));
    });
    this.#over = true;
    clearTimeout(this.#grace);
    // What the command has left behind has nobody to work for.
    this.signal('SIGKILL');
    await killMarked(this.mark);
    await this.#untilSilent(closed.signal);
    groups.delete(this);
    if (groups.size === 0) process.off('exit', killAll);
    return exit;
  }

  /** Waits for the outputs to end; gives up those that a process outside the group holds open. */
  async #untilSilent(closed: AbortSignal): Promise<void> {
    const outputs = [this.stdout, this.stderr];
    let chunks = 0;
    const onData = (): void => {
      chunks++;
    };
    for (const output of outputs) output.on('data', onData);
    for (let heard = -1; heard !== chunks && !outputs.every(isOver);) {
      heard = chunks;
      await pause(SILENCE_MS, undefined, { signal: closed }).catch(() => undefined);
      // What has come meanwhile is read before this goes on.
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
    for (const output of outputs) output.off('data', onData).destroy();
  }
}

function isOver(output: Readable): boolean {
  return output.readableEnded || output.destroyed;
}

function killAll(): void {
  for (const group of groups) group.signal('SIGKILL');
  killMarkedNow([...groups].flatMap(({ mark }) => mark ?? []));
}

/**
 * Starts a command.
 *
 * @returns resolves when it runs
 * @throws {JobError} `not-ready` where there is no such program, or it cannot be run;
 *   `bad-input` where its arguments are too long; `transient` where the system is short of something
 */
export async function startGroup(options: GroupOptions): Promise<ProcessGroup> {
  const { program, folder: cwd, graceMs } = options;
  const env = { ...options.env, ...newMark() };
  const path = findProgram(program, env['PATH']);
  if (path === undefined) throw failure('not-ready', noProgram(program, env['PATH']));
  const [first = path, ...args] = [...launcherOf(options), path, ...options.args];
  try {
    const child = spawn(first, args, { cwd, env, detached: true, stdio: 'pipe' });
    const pid = await startedPid(child);
    return new ProcessGroup(child, pid, graceMs, markIn(env));
  } catch (cause) {
    const name = CLASS_OF_CODE[systemCodeOf(cause)] ?? 'failed';
    throw failure(name, `"${program}" cannot be started: ${messageOf(cause)}`, cause);
  }
}

/** @returns the pid at once where it was started; else rejects with what was wrong */
function startedPid(child: Child): number | Promise<never> {
  if (child.pid !== undefined) return child.pid;
  return new Promise((_, reject) => child.once('error', reject));
}

export function noProgram(program: string, path: string | undefined): string {
  if (program.includes('/')) return `there is no program ${program} that can be run`;
  return path === undefined
    ? `there is no program "${program}": PATH is not set`
    : `there is no program "${program}" in the folders of PATH`;
}

const CLASS_OF_CODE: Readonly<Record<string, FailureClass>> = {
  ENOENT: 'not-ready',
  EACCES: 'not-ready',
  ENOEXEC: 'not-ready',
  E2BIG: 'bad-input',
  EAGAIN: 'transient',
  ENOMEM: 'transient',
  EMFILE: 'transient',
  ENFILE: 'transient',
};

/**
 * Programs of util-linux that become the command: one ends it with this process, even where
 * this one is killed, and one bounds its memory.
 */
function launcherOf({ memoryBytesMax }: GroupOptions): string[] {
  if (process.platform !== 'linux') return [];
  const launcher: string[] = [];
  const { PATH: path } = process.env;
  const setpriv = findProgram('setpriv', path);
  if (setpriv !== undefined) launcher.push(setpriv, '--pdeathsig', 'KILL', '--');
  if (memoryBytesMax === undefined) return launcher;
  const prlimit = findProgram('prlimit', path);
  if (prlimit === undefined) {
    throw failure('not-ready', 'a memory limit needs the program prlimit (package util-linux)');
  }
  return [...launcher, prlimit, `--as=${memoryBytesMax}`, '--'];
}

/** Why this machine cannot bound the memory of a command; undefined where it can. */
export function memoryLimitProblem(): string | undefined {
  if (process.platform !== 'linux') {
    return `a memory limit can be kept on Linux only, and this is ${process.platform}`;
  }
  const { PATH: path } = process.env;
  if (findProgram('prlimit', path) !== undefined) return undefined;
  return 'a memory limit needs the program prlimit (package util-linux)';
}
