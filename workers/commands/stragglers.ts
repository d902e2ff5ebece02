// Processes that have left the group of their command, by a session of their own.
// On Linux they are found by a mark in the environment, which every process hands
// on to those that it starts, also when its parent has ended before it (unlike the
// chain of parents, which then ends at process 1). One that clears its environment
// is not found. It knows no commands.
import { randomUUID } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';

/** The variable whose value is the mark. */
const MARK_NAME = 'MLM_COMMAND';
/** Files of /proc that are open at the same time. */
const READ_AT_ONCE = 32;
/** What is killed takes a moment to end, and may have started another one just before. */
const LOOK_AGAIN_MS = 5;
const LOOKS_MAX = 100;

const PROC = '/proc';
const NOTHING = Buffer.alloc(0);
const canLook = process.platform === 'linux';

/** A mark for one command and all that it starts, as a variable of its environment. */
export function newMark(): Readonly<Record<string, string>> {
  return canLook ? { [MARK_NAME]: `${process.pid}-${randomUUID()}` } : {};
}

/** The mark in an environment. */
export function markIn(env: Readonly<Record<string, string>>): string | undefined {
  return env[MARK_NAME];
}

/**
 * Kills every process that has the mark.
 *
 * @param proc where the system tells of its processes
 * @returns resolves when none is left, or after a hundred looks; never rejects
 */
export async function killMarked(mark: string | undefined, proc = PROC): Promise<void> {
  if (mark === undefined) return;
  for (let looks = 0; looks < LOOKS_MAX; looks++) {
    const found = await pidsWith(mark, proc);
    if (found.length === 0) return;
    for (const pid of found) kill(pid);
    await pause(LOOK_AGAIN_MS);
  }
}

/** Kills, before it returns, every process that has one of the marks. Never throws. */
export function killMarkedNow(marks: readonly string[], proc = PROC): void {
  if (!canLook || marks.length === 0) return;
  for (const pid of pidsIn(unlessUnreadable(() => readdirSync(proc), []))) {
    const environment = unlessUnreadable(() => readFileSync(`${proc}/${pid}/environ`), NOTHING);
    if (marks.some((mark) => hasMark(environment, mark))) kill(pid);
  }
}

async function pidsWith(mark: string, proc: string): Promise<number[]> {
  // A process that may open nothing more, say, cannot look: then none is found.
  const pids = pidsIn(await readdir(proc).catch(() => []));
  const found: number[] = [];
  for (let at = 0; at < pids.length; at += READ_AT_ONCE) {
    const some = pids.slice(at, at + READ_AT_ONCE);
    const marked = await Promise.all(
      some.map((pid) =>
        // Those of other people cannot be read, and those that have ended are not there.
        readFile(`${proc}/${pid}/environ`).then(
          (environment) => hasMark(environment, mark),
          () => false,
        ),
      ),
    );
    found.push(...some.filter((_, index) => marked[index]));
  }
  return found;
}

function unlessUnreadable<T>(read: () => T, otherwise: T): T {
  try {
    return read();
  } catch {
    return otherwise;
  }
}

function pidsIn(names: readonly string[]): number[] {
  return names.filter((name) => /^\d+$/.test(name)).map(Number);
}

function hasMark(environment: Buffer, mark: string): boolean {
  return environment.includes(`${MARK_NAME}=${mark}\0`);
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended just now.
  }
}
