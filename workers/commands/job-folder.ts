// The temporary folders of jobs: one for each, private, removed when its job
// ends. Those that a crashed worker left are removed when the next one starts on
// the same machine. What is in them is not known here.
import { lstatSync, mkdtempSync, readdirSync, rmSync, type Dirent } from 'node:fs';
import { chmod, mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemCodeOf } from './failure.js';

const PREFIX = 'mlm-work';
/** How much older than this process a folder must be to be somebody else's, ms. */
const OLDER_MS = 1000;

/** The folder of one job. */
export interface JobFolder {
  /** Where its files are, and its command runs. */
  readonly files: string;
  /** For files that the command itself calls temporary. */
  readonly temporary: string;
  /** Removes all of it; never throws. @returns what went wrong, if anything did */
  remove(): Promise<Error | undefined>;
}

/** The folders of one process, below one of its own. */
export class JobFolders {
  readonly root: string;
  readonly #atExit = (): void => this.#removeNow();

  /** @param parent where it makes its folder. Default: the system's folder for temporary files */
  constructor(parent = tmpdir()) {
    removeLeftovers(parent);
    this.root = mkdtempSync(join(parent, `${PREFIX}-${hostName()}-${process.pid}-`));
    process.on('exit', this.#atExit);
  }

  /** Makes a folder. */
  async make(): Promise<JobFolder> {
    const folder = await mkdtemp(join(this.root, 'job-'));
    const [files, temporary] = [join(folder, 'files'), join(folder, 'tmp')];
    await Promise.all([mkdir(files), mkdir(temporary)]);
    return { files, temporary, remove: () => removeFolder(folder) };
  }

  /** Removes them all. Nothing must be running in them. */
  async close(): Promise<void> {
    process.off('exit', this.#atExit);
    await removeFolder(this.root);
  }

  #removeNow(): void {
    try {
      rmSync(this.root, { recursive: true, force: true });
    } catch {
      // The next worker of this machine removes what is left.
    }
  }
}

/** Containers have names of their own, and pids that others have too. */
function hostName(): string {
  return hostname()
    .replaceAll(/[^\w.-]/g, '_')
    .slice(0, 64);
}

/** Removes the folders of processes that are no more. */
function removeLeftovers(parent: string): void {
  const start = `${PREFIX}-${hostName()}-`;
  for (const entry of entriesOf(parent)) {
    if (!entry.isDirectory() || !entry.name.startsWith(start)) continue;
    const [, pid] = /^(\d+)-\w+$/.exec(entry.name.slice(start.length)) ?? [];
    const path = join(parent, entry.name);
    if (pid === undefined || !isAbandoned(path, Number(pid))) continue;
    try {
      rmSync(path, { recursive: true, force: true });
    } catch {
      // Another worker was faster, or it is somebody else's.
    }
  }
}

function entriesOf(folder: string): Dirent[] {
  try {
    return readdirSync(folder, { withFileTypes: true });
  } catch {
    return [];
  }
}

/** Whether the process that made a folder is gone; in containers the next one has the same pid. */
function isAbandoned(path: string, pid: number): boolean {
  try {
    const { uid, birthtimeMs } = lstatSync(path);
    if (process.getuid !== undefined && uid !== process.getuid()) return false;
    if (pid !== process.pid) return !isAlive(pid);
    return birthtimeMs < Date.now() - process.uptime() * 1000 - OLDER_MS;
  } catch {
    return false;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return systemCodeOf(error) !== 'ESRCH';
  }
}

async function removeFolder(folder: string): Promise<Error | undefined> {
  try {
    await rm(folder, { recursive: true, force: true, maxRetries: 3 });
    return undefined;
  } catch {
    return removeProtected(folder);
  }
}

/** Removes a folder with folders in it that a command has closed to us. */
async function removeProtected(folder: string): Promise<Error | undefined> {
  try {
    await openAll(folder);
    await rm(folder, { recursive: true, force: true, maxRetries: 3 });
    return undefined;
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

async function openAll(folder: string): Promise<void> {
  await chmod(folder, 0o700);
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    if (entry.isDirectory()) await openAll(join(folder, entry.name));
  }
}
