// Reads a recording from a file, message by message, without holding more of it
// than one line. Whatever is wrong is an error that names the file and the line.
import { open, type FileHandle } from 'node:fs/promises';
import { CommandError } from './failure.js';
import {
  readHeader,
  readLine,
  RecordingError,
  type RecordedMessage,
  type RecordingHeader,
} from './recording.js';
import { count } from './units.js';

const CHUNK_BYTES = 1024 * 1024;
/** A string of JavaScript cannot be longer. */
const LINE_BYTES_MAX = 2 ** 29 - 25;
const END_OF_LINE = 0x0a;

/** What a line holds, and where it is in the file. */
export interface RecordedLine {
  readonly line: number;
  readonly message: RecordedMessage;
  /** Octets of the file up to the end of this line. */
  readonly bytes: number;
}

interface TextLine {
  readonly line: number;
  readonly text: string;
  readonly bytes: number;
}

export class RecordingFile {
  readonly path: string;
  readonly #file: FileHandle;
  readonly #lines: AsyncGenerator<TextLine, undefined>;
  #isWhole = false;

  private constructor(path: string, file: FileHandle) {
    this.path = path;
    this.#file = file;
    this.#lines = this.#textLines();
  }

  /** @throws {CommandError} where it cannot be read */
  static async open(path: string): Promise<RecordingFile> {
    try {
      return new RecordingFile(path, await open(path, 'r'));
    } catch (cause) {
      throw cannotRead(path, cause);
    }
  }

  /** True where the last line was there: no messages are missing at the end. */
  get isWhole(): boolean {
    return this.#isWhole;
  }

  /** Octets of the file; 0 where it has no length, as a pipe. */
  async size(): Promise<number> {
    return (await this.#file.stat()).size;
  }

  /** Call it once, before anything else is read. @throws {CommandError} */
  async header(): Promise<RecordingHeader> {
    const { value, done } = await this.#lines.next();
    if (done === true) throw new CommandError(`${this.path} is empty: it is not a recording`);
    return this.#at(value.line, () => readHeader(value.text));
  }

  /** The messages, in order. @throws {CommandError} at the first line that is wrong */
  async *messages(): AsyncGenerator<RecordedLine, undefined> {
    let messages = 0;
    for await (const { line, text, bytes } of this.#lines) {
      if (this.#isWhole) throw this.#wrong(line, 'something stands after the end');
      const message = this.#at(line, () => readLine(text));
      if (message.kind === 'end') {
        if (message.messages !== messages) {
          const found = `${count(messages, 'message')} before it`;
          throw this.#wrong(line, `it tells of ${message.messages}, but there are ${found}`);
        }
        this.#isWhole = true;
        continue;
      }
      messages++;
      yield { line, message, bytes };
    }
    return undefined;
  }

  close(): Promise<void> {
    return this.#file.close();
  }

  async *#textLines(): AsyncGenerator<TextLine, undefined> {
    let line = 1;
    let bytes = 0;
    let parts: Buffer[] = [];
    let length = 0;
    const take = (): TextLine => {
      const text = Buffer.concat(parts, length).toString('utf8');
      bytes += length + 1;
      parts = [];
      length = 0;
      return { line: line++, text, bytes };
    };
    for await (const chunk of this.#chunks()) {
      let start = 0;
      for (;;) {
        const end = chunk.indexOf(END_OF_LINE, start);
        const part = chunk.subarray(start, end < 0 ? chunk.length : end);
        length += part.length;
        if (length > LINE_BYTES_MAX) throw this.#wrong(line, 'it is too long');
        parts.push(part);
        if (end < 0) break;
        start = end + 1;
        yield take();
      }
    }
    if (length > 0) throw this.#wrong(line, 'it is cut off');
    return undefined;
  }

  async *#chunks(): AsyncGenerator<Buffer, undefined> {
    for (;;) {
      const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
      const { bytesRead } = await this.#file
        .read(chunk, 0, CHUNK_BYTES, null)
        .catch((cause: unknown) => {
          throw cannotRead(this.path, cause);
        });
      if (bytesRead === 0) return undefined;
      yield chunk.subarray(0, bytesRead);
    }
  }

  #at<T>(line: number, read: () => T): T {
    try {
      return read();
    } catch (cause) {
      if (cause instanceof RecordingError) throw this.#wrong(line, cause.message, cause);
      throw cause;
    }
  }

  #wrong(line: number, what: string, cause?: unknown): CommandError {
    const advice = line === 1 ? '; it is not a recording' : '';
    return new CommandError(`${this.path}, line ${line}: ${what}${advice}`, undefined, cause);
  }
}

function cannotRead(path: string, cause: unknown): CommandError {
  const { code, message } = cause as NodeJS.ErrnoException;
  switch (code) {
    case 'ENOENT':
      return new CommandError(`there is no file ${path}`, undefined, cause);
    case 'EISDIR':
      return new CommandError(`cannot read ${path}: it is a directory`, undefined, cause);
    default:
      return new CommandError(`cannot read ${path}: ${message}`, undefined, cause);
  }
}
