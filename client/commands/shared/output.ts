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
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') {
        this.#failure = new CommandError(`cannot write the output: ${error.message}`);
      }
      this.#closing.abort();
    });
  }

  get isTerminal(): boolean {
    return this.#stream.isTTY;
  }

  get stream(): NodeJS.WriteStream {
    return this.#stream;
  }

  /** @returns resolves when there is room for more, or nobody reads any more */
  async write(chunk: string | Uint8Array): Promise<void> {
    if (this.closed.aborted || this.#stream.write(chunk)) return;
    await new Promise<void>((resolve) => {
      const done = (): void => {
        this.#stream.off('drain', done);
        this.closed.removeEventListener('abort', done);
        resolve();
      };
      this.#stream.on('drain', done);
      this.closed.addEventListener('abort', done);
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
}
