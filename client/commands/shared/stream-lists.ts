// Reads a stream in lists of messages, up to an end where there is one, and
// moves its cursor. Where there is an end, everything is read and the pattern
// applied here: only then is it seen that the end was reached, though the last
// messages before it do not match.
import { compilePattern } from '../../../protocol/index.js';
import { MlmError, type StreamMessage, type StreamReader } from '../../index.js';
import type { StreamEnd } from './stream-end.js';

export interface ListOptions {
  readonly reader: StreamReader;
  readonly end: StreamEnd | undefined;
  /** The subjects that are wanted. Where there is an end, the reader brings others, too. */
  readonly pattern: string;
  /** True where the reader has a cursor, which is moved as lists are dealt with. */
  readonly hasCursor: boolean;
  /** Ends the reading, after the list that was given out last. */
  readonly stop: AbortSignal;
}

export class StreamLists {
  readonly #options: ListOptions;
  readonly #isWanted: (message: StreamMessage) => boolean;
  #waiting = false;

  constructor(options: ListOptions) {
    this.#options = options;
    this.#isWanted = filterOf(options);
    if (options.end !== undefined) options.end.changed = () => this.look();
  }

  /**
   * Ends the wait for the next message where there is no reason to wait any more;
   * but not before what has just come is in hand: an ended reader confirms nothing.
   */
  look(): void {
    setImmediate(() => {
      if (this.#waiting && this.#isOver()) void this.#options.reader.return();
    });
  }

  /** Everything up to a message is dealt with. */
  confirm(message: StreamMessage): void {
    if (!this.#options.hasCursor) return;
    try {
      message.confirm();
    } catch (error) {
      // The reading was ended with messages in hand: they will come again.
      if (!(error instanceof MlmError) || error.code !== 'CLOSED') throw error;
    }
  }

  /**
   * The messages, in lists that are not empty. Asking for the next list says that
   * this one is dealt with.
   *
   * @throws {MlmError | CommandError} where reading fails, or its end will never come
   */
  async *[Symbol.asyncIterator](): AsyncGenerator<StreamMessage[], undefined> {
    const { reader, end, stop } = this.#options;
    const onStop = (): void => this.look();
    stop.addEventListener('abort', onStop);
    const batches = reader.batches();
    try {
      await this.#wait(reader.ready);
      while (!this.#isOver()) {
        const { value: batch, done } = await this.#wait(batches.next());
        if (done === true) break;
        const upTo = end === undefined ? batch : batch.filter((message) => !end.isPast(message));
        const list = upTo.filter(this.#isWanted);
        if (list.length > 0) yield list;
        const last = upTo.at(-1);
        if (last !== undefined) this.confirm(last);
        if (upTo.length < batch.length) break;
      }
      end?.throwFailure();
    } finally {
      stop.removeEventListener('abort', onStop);
      await reader.cancel();
    }
  }

  async #wait<T>(what: Promise<T>): Promise<T> {
    this.#waiting = true;
    this.look();
    try {
      return await what;
    } finally {
      this.#waiting = false;
    }
  }

  #isOver(): boolean {
    const { reader, end, stop } = this.#options;
    return stop.aborted || end?.isReached(reader.position) === true;
  }
}

/** The reader itself applies the pattern where there is no end. */
function filterOf({ end, pattern }: ListOptions): (message: StreamMessage) => boolean {
  if (end === undefined || pattern === '') return () => true;
  const compiled = compilePattern(pattern);
  return ({ subject }) => compiled.matches(subject);
}
