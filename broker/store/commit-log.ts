// The commit log: a commit that is small is appended to it in one write, and is
// durable with that, long before a database would have written its pages. It is
// two files in turn: while one is written, the database takes over what is in the
// other, which is then written again from its beginning. What is in a commit is
// not its business.
//
//   record:  u32 magic | u32 octets of payload | u64 number | u32 crc | payload
//
// Numbers rise by one. The crc is of the number and the payload. What follows the
// last record of a file is nothing, or older records, with lower numbers.
import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  openSync,
  readFileSync,
  writev,
} from 'node:fs';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { crc32 } from 'node:zlib';
import { readUInt64, writeUInt64 } from '../../protocol/records.js';

const writeAt = promisify(writev);

const MAGIC = 0x4d4c4d43;
const HEADER_BYTES = 20;
/** How much a file may hold. */
const FILE_BYTES = 8 * 1024 * 1024;
/** A file grows by so much, for what is written over later costs less than what makes it grow. */
const GROWTH_BYTES = 256 * 1024;
/** Whether this platform has writes that are durable when they have succeeded. */
export const HAS_DURABLE_WRITES = 'O_DSYNC' in constants;
const FLAGS = constants.O_RDWR | constants.O_CREAT | constants.O_DSYNC;

/** A commit that was found in the log. */
export interface LoggedCommit {
  readonly number: number;
  readonly payload: Buffer;
}

interface File {
  readonly path: string;
  readonly descriptor: number;
  /** Where the next record goes. */
  end: number;
  /** Octets that the file has. */
  size: number;
  /** The number of its last record; 0 where it holds none that is needed. */
  last: number;
}

/**
 * Reads what a log holds, as far as it is whole.
 *
 * @param paths its two files, which need not be there
 * @param after the number of the last commit that the database has
 * @returns the commits that follow, in order
 * @throws {Error} where commits are missing between those of the database and those of the log
 */
export function readCommitLog(paths: readonly string[], after: number): LoggedCommit[] {
  const runs = paths.map((path) => readRun(path)).filter((run) => run.length > 0);
  runs.sort(([a], [b]) => (a?.number ?? 0) - (b?.number ?? 0));
  const commits: LoggedCommit[] = [];
  let last = after;
  for (const commit of runs.flat()) {
    if (commit.number <= last) continue;
    if (commit.number !== last + 1) {
      throw new Error(
        `the commit log goes on with commit ${commit.number}, and the database ends with ${last}`,
      );
    }
    commits.push(commit);
    last = commit.number;
  }
  return commits;
}

/** The records of a file that follow one another from its beginning. */
function readRun(path: string): LoggedCommit[] {
  const bytes = contentOf(path);
  const run: LoggedCommit[] = [];
  for (let at = 0; ;) {
    const commit = recordAt(bytes, at);
    const previous = run.at(-1);
    if (commit === undefined || (previous && commit.number !== previous.number + 1)) return run;
    run.push(commit);
    at += HEADER_BYTES + commit.payload.length;
  }
}

function contentOf(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return Buffer.alloc(0);
    throw error;
  }
}

function recordAt(bytes: Buffer, at: number): LoggedCommit | undefined {
  if (at + HEADER_BYTES > bytes.length || bytes.readUInt32BE(at) !== MAGIC) return undefined;
  const end = at + HEADER_BYTES + bytes.readUInt32BE(at + 4);
  if (end > bytes.length) return undefined;
  const payload = bytes.subarray(at + HEADER_BYTES, end);
  if (bytes.readUInt32BE(at + 16) !== checksum(bytes.subarray(at + 8, at + 16), payload)) {
    return undefined;
  }
  return { number: readUInt64(bytes, at + 8), payload };
}

function checksum(number: Buffer, payload: Buffer): number {
  return crc32(payload, crc32(number));
}

export class CommitLog {
  readonly #files: readonly File[];
  readonly #fileBytes: number;
  #active: File;
  /** The file to which a record is being written. */
  #writing: File | undefined;
  #last: number;
  /** The number of a record that may be there though its write failed; 0 for none. */
  #unsure = 0;

  /**
   * @param paths its two files; made where there are none. What they hold is not needed any more
   * @param last the number of the last commit that the database has
   * @param fileBytes how much a file may hold
   * @throws {Error} where they cannot be written to
   */
  constructor(paths: readonly [string, string], last: number, fileBytes = FILE_BYTES) {
    const [first, second] = paths;
    this.#active = openFile(first);
    try {
      this.#files = [this.#active, openFile(second)];
      flushFolder(dirname(first));
    } catch (error) {
      closeSync(this.#active.descriptor);
      throw error;
    }
    this.#last = last;
    this.#fileBytes = fileBytes;
  }

  /** The number of the last commit, or of one that failed and may be there. */
  get last(): number {
    return this.#last;
  }

  /** True where it is time for the database to take over what is here. */
  get isHalfFull(): boolean {
    return this.#active.end > this.#fileBytes / 2 || this.#files.every(({ last }) => last > 0);
  }

  /** Whether there is room for a payload. */
  hasRoomFor(bytes: number): boolean {
    if (this.#unsure > 0) return false;
    const needed = HEADER_BYTES + bytes;
    return (
      this.#active.end + needed <= this.#fileBytes ||
      (needed <= this.#fileBytes && this.#files.some(({ last }) => last === 0))
    );
  }

  /**
   * Makes a commit durable, for which there is room. One at a time.
   *
   * @throws {Error} where the disk did not take it: then it is not there, and has no
   *   number; or it may be there, and there is no room until the database goes up to it
   */
  async append(payload: Buffer): Promise<void> {
    const length = HEADER_BYTES + payload.length;
    if (this.#active.end + length > this.#fileBytes) {
      const free = this.#files.find(({ last }) => last === 0);
      if (free === undefined) throw new RangeError('the commit log is full');
      this.#active = free;
    }
    const file = this.#active;
    const number = this.#last + 1;
    const header = Buffer.allocUnsafe(HEADER_BYTES);
    header.writeUInt32BE(MAGIC, 0);
    header.writeUInt32BE(payload.length, 4);
    writeUInt64(header, number, 8);
    header.writeUInt32BE(checksum(header.subarray(8, 16), payload), 16);
    this.#writing = file;
    try {
      await this.#write(file, [header, payload], length);
    } catch (error) {
      if (!(await wipe(file))) this.#last = this.#unsure = number;
      throw error;
    } finally {
      this.#writing = undefined;
    }
    file.end += length;
    file.last = number;
    this.#last = number;
  }

  async #write(file: File, buffers: readonly Buffer[], length: number): Promise<void> {
    const end = file.end + length;
    if (end <= file.size) {
      await writeAll(file, buffers, length);
      return;
    }
    const size = Math.min(Math.ceil(end / GROWTH_BYTES) * GROWTH_BYTES, this.#fileBytes);
    try {
      await writeAll(file, [...buffers, Buffer.alloc(size - end)], size - file.end);
    } catch {
      // There may be room for this one alone.
      await writeAll(file, buffers, length);
    }
  }

  /** The database has all commits up to this one. */
  applied(number: number): void {
    if (number >= this.#unsure) this.#unsure = 0;
    for (const file of this.#files) {
      // What is being written now goes behind what was there when it began.
      if (file.last > number || file === this.#writing) continue;
      file.last = 0;
      file.end = 0;
    }
  }

  close(): void {
    for (const { descriptor } of this.#files) closeSync(descriptor);
  }
}

function openFile(path: string): File {
  const descriptor = openSync(path, FLAGS, 0o600);
  // Room that it has needs not be made again. What stands there has lower numbers.
  const { size } = fstatSync(descriptor);
  return { path, descriptor, end: 0, size, last: 0 };
}

/** A file that was just made is there after a power failure, too. */
function flushFolder(path: string): void {
  const descriptor = openSync(path, constants.O_RDONLY);
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

async function writeAll(file: File, buffers: readonly Buffer[], length: number): Promise<void> {
  let position = file.end;
  let left = [...buffers];
  for (const end = position + length; position < end;) {
    const { bytesWritten } = await writeAt(file.descriptor, left, position);
    if (bytesWritten === 0) throw new Error(`nothing can be written to ${file.path}`);
    position += bytesWritten;
    left = position < end ? rest(left, bytesWritten) : [];
  }
  file.size = Math.max(file.size, position);
}

/** What is left of buffers of which so much was written. */
function rest(buffers: readonly Buffer[], written: number): Buffer[] {
  const whole = Buffer.concat(buffers);
  return [whole.subarray(written)];
}

/** What was written in part must not be taken for a commit later. @returns false where it may be */
async function wipe(file: File): Promise<boolean> {
  try {
    const { bytesWritten } = await writeAt(file.descriptor, [Buffer.alloc(HEADER_BYTES)], file.end);
    return bytesWritten > 0;
  } catch {
    return false;
  }
}
