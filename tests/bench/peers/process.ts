// A broker's process: started, waited for, ended, and what the kernel says
// about it (memory and CPU, from /proc). Nothing about protocols.
import { spawn, type ChildProcess } from 'node:child_process';
import { openSync, readFileSync, closeSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const START_MS = 60_000;
const PROBE_MS = 5;
const STOP_MS = 10_000;
const LOG_SHOWN = 1500;
const TICKS_PER_SECOND = 100; // USER_HZ, the same on every Linux that Node runs on

export class BrokerProcess {
  readonly #child: ChildProcess;
  readonly #log: string;
  readonly #exited: Promise<void>;
  #gone = false;

  /** @param folder where it runs; `NAME.log` in it takes what it prints */
  constructor(
    command: string,
    args: readonly string[],
    env: NodeJS.ProcessEnv,
    folder: string,
    name: string,
  ) {
    this.#log = join(folder, `${name}.log`);
    const out = openSync(this.#log, 'w');
    const variables = { ...process.env, ...env };
    this.#child = spawn(command, args, {
      cwd: folder,
      env: variables,
      stdio: ['ignore', out, out],
    });
    closeSync(out);
    this.#exited = new Promise((resolve) => {
      const gone = () => {
        this.#gone = true;
        resolve();
      };
      this.#child.once('exit', gone).once('error', gone);
    });
  }

  get pid(): number {
    return this.#child.pid!;
  }

  /** Polls until `probe` gives something. @throws Error where the process ends or takes too long */
  async until<T>(probe: () => T | undefined | Promise<T | undefined>): Promise<T> {
    const untilMs = performance.now() + START_MS;
    while (performance.now() < untilMs && !this.#gone) {
      const found = await probe();
      if (found !== undefined) return found;
      await sleep(PROBE_MS);
    }
    await this.stop();
    throw new Error(`the broker did not start: ${this.#lastLines()}`);
  }

  /** The end of what it printed, where it has ended; undefined while it runs. */
  lastWords(): string | undefined {
    return this.#gone ? this.#lastLines() : undefined;
  }

  async stop(): Promise<void> {
    this.#child.kill('SIGTERM');
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), STOP_MS);
    await this.#exited;
    clearTimeout(timer);
  }

  #lastLines(): string {
    return readFileSync(this.#log, 'utf8').slice(-LOG_SHOWN).trim();
  }
}

/** Resident size of a process in MB (10^6 octets): now, and the most it ever was. */
export function memoryOf(pid: number): { nowMB: number; peakMB: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const read = (name: string) =>
    (Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]) * 1024) / 1e6;
  return { nowMB: read('VmRSS'), peakMB: read('VmHWM') };
}

/** Resident size, and what of it is no page of a file, in MB (10^6 octets). */
export function residentOf(pid: number): { residentMB: number; ownMB: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const read = (name: string) =>
    (Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]) * 1024) / 1e6;
  return { residentMB: read('VmRSS'), ownMB: read('RssAnon') };
}

/** CPU time a process has used, in ms. */
export function cpuMsOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return ((Number(fields[11]) + Number(fields[12])) * 1000) / TICKS_PER_SECOND;
}
