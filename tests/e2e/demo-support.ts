// What the tests of the demonstrations share: one as a process with an environment
// of its own, the processes that it announces, and whether any of it is left.
import { randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { findProgram } from '../../workers/commands/find-program.js';
import { useProcesses, type Child } from '../support/processes.js';
import { hasProc, isAlive, pidsWith } from '../support/pids.js';

/** Many processes begin, on a machine that may be busy. */
export const DEMO_MS = 100_000;
export const TEST_MS = 2 * DEMO_MS;

/** One run of a demonstration. */
export interface Run {
  readonly demo: Child;
  /** Where it runs, and the folder for its temporary files. */
  readonly folder: string;
  readonly temporary: string;
  /** Only its processes have this in their environment. */
  readonly marker: string;
}

export interface Demonstrations {
  /** Starts it. @param env added to its environment */
  start: (args?: readonly string[], env?: Readonly<Record<string, string>>) => Promise<Run>;
  /** A fresh folder, removed after the test. */
  folder: () => string;
}

/** Call it once at the top of a test file. @param name of the file in workers/examples/ */
export function useDemonstration(name: string): Demonstrations {
  const processes = useProcesses();
  const file = resolve('dist/workers/examples', name);
  const start: Demonstrations['start'] = async (args = [], more = {}) => {
    const folder = processes.folder();
    const temporary = join(folder, 'tmp');
    mkdirSync(temporary);
    const marker = `demo-${randomBytes(8).toString('hex')}`;
    // Variables for the user's own broker must not disturb the demonstration.
    const own = { MLM_BIND: 'tcp://127.0.0.1:1', MLM_ADDRESS: 'x', FORCE_COLOR: '1' };
    const env = { TMPDIR: temporary, DEMO_MARKER: marker, ...own, ...more };
    const [program, ...rest] = [...inOwnGroup(), process.execPath, file, ...args];
    const demo = await processes.start(program ?? '', rest, { cwd: folder, env });
    return { demo, folder, temporary, marker };
  };
  return { start, folder: processes.folder };
}

/** Where a signal can reach all of it, as Ctrl-C on a terminal does. */
function inOwnGroup(): string[] {
  const program = findProgram('setsid', process.env['PATH']);
  return hasProc() && program !== undefined ? [program] : [];
}

/** The pid of each part that the demonstration has announced so far. */
export function announced({ stdout }: Child): Map<string, number> {
  const lines = [...stdout.matchAll(/^(\S+) +\| .*\(pid (\d+)\)$/gm)];
  return new Map(lines.map(([, name = '', pid]) => [name, Number(pid)]));
}

/** The pids of all processes that run with this marker; where there is no /proc, nothing is known. */
export function marked(marker: string): number[] {
  return pidsWith(marker, 'environ');
}

/** No process of it, and no temporary file. */
export function expectNothingLeft({ demo, temporary, marker }: Run): void {
  expect([...announced(demo)].filter(([, pid]) => isAlive(pid))).toEqual([]);
  expect(marked(marker)).toEqual([]);
  expect(readdirSync(temporary)).toEqual([]);
}
