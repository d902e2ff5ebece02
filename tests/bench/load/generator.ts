// Makes the load generator ready (the C one where there is a compiler and
// libzmq's header, else the Node one) and runs its roles as processes. It knows
// how to start, release and end them, not what they measure.
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { toArguments, type Role, type RoleOptions, type RoleResult } from './options.js';

/** One process of a measurement: its role and the options of that role. */
export interface Part {
  readonly role: Role;
  readonly options: RoleOptions;
}

const SOURCE = fileURLToPath(new URL('../../../../tests/bench/load/load.c', import.meta.url));
const NODE_LOAD = fileURLToPath(new URL('./load.js', import.meta.url));
const EXIT_MS = 15_000;

export class Generator {
  /** What the header of the report says: which generator, and why not the C one. */
  readonly description: string;
  readonly #command: readonly string[];

  private constructor(description: string, command: readonly string[]) {
    this.description = description;
    this.#command = command;
  }

  /**
   * Compiles load.c into `folder`; falls back on Node where that fails.
   *
   * @param kind `c` or `node` insists on one; `auto` takes what there is
   * @throws Error where `c` was insisted on and could not be compiled
   */
  static prepare(folder: string, kind: 'auto' | 'c' | 'node'): Generator {
    const node = (why: string) =>
      new Generator(`load.ts on zeromq.js (${why})`, [process.execPath, NODE_LOAD]);
    if (kind === 'node') return node('as asked');
    const binary = join(folder, 'load');
    const result = spawnSync('cc', ['-std=c11', '-O2', '-o', binary, SOURCE, '-lzmq'], {
      encoding: 'utf8',
    });
    if (result.status === 0) return new Generator('load.c on libzmq', [binary]);
    const why = result.error === undefined ? firstLine(result.stderr) : 'no C compiler';
    if (kind === 'c') throw new Error(`load.c cannot be compiled: ${why}`);
    return node(`no C generator: ${why}`);
  }

  /** Starts a role; it sets itself up and waits for `go`. */
  start(part: Part): LoadProcess {
    const [program, ...first] = this.#command;
    const words = [...first, part.role, ...toArguments(part.options)];
    return new LoadProcess(part, spawn(program!, words, { stdio: ['pipe', 'pipe', 'pipe'] }));
  }

  /**
   * Plays all parts together: all set up, then released in the order given,
   * then all done and ended.
   *
   * @returns the parts' results in the order given
   * @throws Error where a part fails; the others are ended then
   */
  async play(parts: readonly Part[]): Promise<RoleResult[]> {
    const started: LoadProcess[] = [];
    try {
      for (const part of parts) {
        const load = this.start(part);
        started.push(load);
        await load.ready();
      }
      for (const load of started) load.go();
      return await Promise.all(started.map((load) => load.done()));
    } finally {
      await Promise.all(started.map((load) => load.end()));
    }
  }
}

type Event = { event: 'ready' } | ({ event: 'done' } & RoleResult);

export class LoadProcess {
  readonly #part: { readonly role: string };
  readonly #child: ChildProcess;
  readonly #lines: Interface;
  readonly #events: AsyncIterator<string, undefined>;
  readonly #exited: Promise<void>;
  #errors = '';

  constructor(part: { readonly role: string }, child: ChildProcess) {
    this.#part = part;
    this.#child = child;
    this.#lines = createInterface({ input: child.stdout! });
    this.#events = this.#lines[Symbol.asyncIterator]() as AsyncIterator<string, undefined>;
    child.stderr!.setEncoding('utf8').on('data', (text: string) => (this.#errors += text));
    child.stdin!.on('error', () => undefined); // it may be gone already; `#next` tells
    this.#exited = new Promise((resolve) => {
      child.once('close', () => resolve());
      child.once('error', (error) => {
        this.#errors += error.message;
        resolve();
      });
    });
  }

  /** Resolves when the role is set up. @throws Error with what the role said, where it failed */
  async ready(): Promise<void> {
    await this.#next('ready');
  }

  /** Lets the role begin; one that has done its work and waits, end. */
  go(): void {
    this.#child.stdin!.write('go\n');
  }

  /** @throws Error with what the role said, where it failed */
  async done(): Promise<RoleResult> {
    return (await this.#next('done')) as RoleResult & { event: 'done' };
  }

  /** Lets the process end by itself; one that does not is killed. */
  async end(): Promise<void> {
    this.#child.stdin!.end();
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), EXIT_MS);
    await this.#exited;
    clearTimeout(timer);
    this.#lines.close();
  }

  async #next(wanted: Event['event']): Promise<Event> {
    const { value } = await this.#events.next();
    if (value === undefined) {
      await this.#exited;
      const why = firstLine(this.#errors) || 'it ended without a word';
      throw new Error(`load role ${this.#part.role} failed: ${why}`);
    }
    const event = JSON.parse(value) as Event;
    if (event.event !== wanted) throw new Error(`load role ${this.#part.role} said ${value}`);
    return event;
  }
}

function firstLine(text: string): string {
  return text.trim().split('\n')[0] ?? '';
}
