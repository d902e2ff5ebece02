// Reads what a command prints on standard output as what it was said to be, up
// to a bound, and passes partial results on. Whether the command did well is not
// known here.
import { isUtf8 } from 'node:buffer';
import type { OutputForm } from './command.js';
import { failure, messageOf } from './failure.js';
import { LineCutter } from './lines.js';
import { reportOf, type Report } from './reports.js';

export interface OutputReaderOptions {
  readonly form: OutputForm;
  /** Whether lines that are reports are taken out. */
  readonly withReports: boolean;
  readonly bytesMax: number;
  readonly onReport: (report: Report) => void;
  readonly onPartial: (body: unknown) => void;
  /** The output is of no use: the command need not go on. */
  readonly onFailure: (error: Error) => void;
}

/** Reads one command's output. */
export class OutputReader {
  readonly #options: OutputReaderOptions;
  readonly #lines: LineCutter | undefined;
  readonly #values: unknown[] = [];
  #chunks: Buffer[] = [];
  #bytes = 0;
  #failed: Error | undefined;

  constructor(options: OutputReaderOptions) {
    this.#options = options;
    const { form, withReports, bytesMax } = options;
    if (form === 'lines' || form === 'jsonl' || withReports) {
      this.#lines = new LineCutter(bytesMax, (line) => this.#onLine(line));
    }
  }

  write(chunk: Buffer): void {
    if (this.#failed !== undefined) return;
    if (this.#lines !== undefined) this.#lines.write(chunk);
    else this.#keep(chunk);
  }

  /**
   * The reply's body, once the output is over.
   *
   * @throws {JobError} `failed` where the output is too large, or not what it was said to be
   */
  result(): unknown {
    this.#lines?.end();
    if (this.#failed !== undefined) throw this.#failed;
    switch (this.#options.form) {
      case 'none':
        return undefined;
      case 'binary':
        return Buffer.concat(this.#chunks);
      case 'text':
      case 'lines':
        return textOf(Buffer.concat(this.#chunks), 'standard output');
      case 'json':
        return jsonOf(Buffer.concat(this.#chunks), 'standard output');
      case 'jsonl':
        return this.#values;
    }
  }

  #onLine(line: Buffer): void {
    if (this.#failed !== undefined) return;
    const report = this.#options.withReports ? reportOf(line) : undefined;
    try {
      if (report === undefined) this.#onResultLine(line);
      else if (this.#hasRoom(line.length)) this.#options.onReport(report);
    } catch (error) {
      this.#fail(error as Error);
    }
  }

  #onResultLine(line: Buffer): void {
    switch (this.#options.form) {
      case 'lines':
        if (this.#keep(line)) this.#options.onPartial(textOf(line, 'a line of standard output'));
        this.#keep(NEWLINE);
        break;
      case 'jsonl':
        if (line.length === 0 || !this.#hasRoom(line.length)) return;
        this.#values.push(jsonOf(line, 'a line of standard output'));
        this.#options.onPartial(this.#values.at(-1));
        break;
      default:
        this.#keep(line);
        this.#keep(NEWLINE);
    }
  }

  /** @returns false where there is no room for it */
  #keep(bytes: Buffer): boolean {
    if (this.#options.form === 'none') return true;
    const fits = this.#hasRoom(bytes.length);
    if (fits) this.#chunks.push(bytes);
    return fits;
  }

  #hasRoom(bytes: number): boolean {
    const { bytesMax } = this.#options;
    this.#bytes += bytes;
    if (this.#bytes <= bytesMax) return true;
    this.#fail(failure('failed', `the command prints more than the ${bytesMax} octets it may`));
    return false;
  }

  #fail(error: Error): void {
    this.#failed ??= error;
    this.#chunks = [];
    this.#options.onFailure(this.#failed);
  }
}

const NEWLINE = Buffer.from('\n');

/** @throws {JobError} failed */
function textOf(bytes: Buffer, what: string): Buffer {
  if (!isUtf8(bytes)) throw failure('failed', `${what} is not UTF-8 text`);
  return bytes;
}

/** @throws {JobError} failed */
function jsonOf(bytes: Buffer, what: string): unknown {
  const text = textOf(bytes, what).toString('utf8');
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw failure('failed', `${what} is not JSON: ${messageOf(cause)}`, cause);
  }
}
