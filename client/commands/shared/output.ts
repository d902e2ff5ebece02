// Standard output of a command: it waits for a slow reader instead of piling
// up, and learns that the reader has gone (`| head -1`), which is an end and no
// failure. It knows nothing of messages.
import { CommandError } from './failure.js';

export class Output {
  /** Fires when nobody reads any more, or writing has failed. */
  readonly closed: AbortSignal;
  readonly #stream: NodeJS.WriteStream;
  readonly #closing = new AbortController();
  #failure: CommandError | undefined;

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream;
    this.closed = this.#closing.signal;
    stream.on('error', (error: Error) => this.#fail(error));
  }

  get isTerminal(): boolean {
    return this.#stream.isTTY;
  }

  /** Lines that the terminal has; Infinity where it does not tell. */
  get rows(): number {
    return this.#stream.rows > 0 ? this.#stream.rows : Infinity;
  }

  /** @returns resolves when the output has been taken, or nobody reads any more: see `closed` */
  write(chunk: string | Uint8Array): Promise<void> {
    if (this.closed.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      this.#stream.write(chunk, (error?: Error | null) => {
        if (error) this.#fail(error);
        resolve();
      });
    });
  }

  /** Writes a line. */
  line(text: string): Promise<void> {
    return this.write(`${text}\n`);
  }

  /** @throws {CommandError} where writing failed for another reason than a reader that has gone */
  check(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  #fail(error: Error): void {
    if (!('code' in error) || error.code !== 'EPIPE') {
      this.#failure ??= new CommandError(`cannot write the output: ${error.message}`);
    }
    this.#closing.abort();
  }
}
