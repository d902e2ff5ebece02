// Writes a recording of a stream into a file. What it leaves behind is a sound
// recording whatever happens: where the disk is full, the line that did not fit
// is taken away again. The format is not its business.
import { contentBytes } from '../../../protocol/index.js';
import { open, type FileHandle } from 'node:fs/promises';
import type { StreamMessage } from '../../index.js';
import { CommandError } from './failure.js';
import {
  BODY_BYTES_MAX,
  endLine,
  headerLine,
  messageLine,
  type RecordingHeader,
} from './recording.js';
import { count, size } from './units.js';

/** Octets, about, that are gathered before they are written. */
const CHUNK_BYTES = 1024 * 1024;

export class Recorder {
  readonly #path: string;
  readonly #file: FileHandle;
  #messages = 0;
  /** Octets of whole lines. */
  #bytes = 0;
  #failed = false;

  private constructor(path: string, file: FileHandle) {
    this.#path = path;
    this.#file = file;
  }

  /** @throws {CommandError} where the file is there already, unless `force`, or cannot be made */
  static async create(path: string, force: boolean, header: RecordingHeader): Promise<Recorder> {
    let file: FileHandle;
    try {
      file = await open(path, force ? 'w' : 'wx');
    } catch (cause) {
      throw new CommandError(cannotCreate(path, cause as NodeJS.ErrnoException), undefined, cause);
    }
    const recorder = new Recorder(path, file);
    try {
      await recorder.#write([headerLine(header)], 0);
    } catch (error) {
      await file.close();
      throw error;
    }
    return recorder;
  }

  /** Messages that were recorded. */
  get messages(): number {
    return this.#messages;
  }

  /** @throws {CommandError} where they cannot be written: what is in the file stays */
  async add(messages: readonly StreamMessage[]): Promise<void> {
    let lines: string[] = [];
    let bytes = 0;
    for (const [at, message] of messages.entries()) {
      this.#checkSize(message);
      const line = messageLine(message);
      lines.push(line);
      bytes += line.length;
      if (bytes < CHUNK_BYTES && at < messages.length - 1) continue;
      await this.#write(lines, lines.length);
      lines = [];
      bytes = 0;
    }
  }

  /** Writes the end, has all of it on the disk, and closes the file. @throws {CommandError} */
  async end(): Promise<void> {
    try {
      if (this.#failed) return;
      await this.#write([endLine(this.#messages)], 0);
      await this.#file.sync().catch((error: unknown) => {
        // A pipe or a device has nothing to sync.
        if ((error as NodeJS.ErrnoException).code !== 'EINVAL') throw this.#cannotWrite(error);
      });
    } finally {
      await this.#file.close();
    }
  }

  async #write(lines: readonly string[], messages: number): Promise<void> {
    const bytes = Buffer.from(lines.join(''));
    try {
      await this.#file.writeFile(bytes);
    } catch (cause) {
      this.#failed = true;
      await this.#file.truncate(this.#bytes).catch(() => undefined);
      throw this.#cannotWrite(cause);
    }
    this.#bytes += bytes.length;
    this.#messages += messages;
  }

  #checkSize({ sequence, content }: StreamMessage): void {
    if (contentBytes(content) <= BODY_BYTES_MAX) return;
    throw new CommandError(
      `message ${sequence ?? 0} is larger than ${size(BODY_BYTES_MAX)}: too large for a recording`,
    );
  }

  #cannotWrite(cause: unknown): CommandError {
    const { code, message } = cause as NodeJS.ErrnoException;
    const why = code === 'ENOSPC' || code === 'EDQUOT' ? 'there is no room left' : message;
    const rest = `${count(this.#messages, 'message')} are in it`;
    return new CommandError(`cannot write ${this.#path}: ${why}; ${rest}`, undefined, cause);
  }
}

function cannotCreate(path: string, { code, message }: NodeJS.ErrnoException): string {
  switch (code) {
    case 'EEXIST':
      return `${path} is there already: --force overwrites it`;
    case 'ENOENT':
      return `cannot create ${path}: its folder does not exist`;
    case 'EISDIR':
      return `cannot create ${path}: it is a directory`;
    default:
      return `cannot create ${path}: ${message}`;
  }
}
