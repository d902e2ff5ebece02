// The streams that a client writes to, and the handles under which the session
// that is open now knows them. Only so many are open at a time, and what is not
// in use is forgotten: one may write to any number of streams, one after another.
// It sends nothing itself.
import type { MlmError } from '../errors.js';
import { handleIn, type CallAnswer } from './call-answer.js';
import { StreamWriter } from './stream-writer.js';

/** Handles that are open at a time; what a broker allows a session is 10,000 unless told otherwise. */
const OPEN_MAX = 1000;
/** Writers that may be there before those that are not in use are looked for. */
const WRITERS_MIN = 2 * OPEN_MAX;

/** What it needs of the session. */
interface WritersHooks {
  isOpen(): boolean;
  call(method: string, given: Record<string, unknown>, answer: CallAnswer): void;
  /** A handle has come: what waits for it may leave. */
  opened(): void;
  refused(writer: StreamWriter, error: MlmError): void;
}

export class StreamWriters {
  readonly #hooks: WritersHooks;
  readonly #byStream = new Map<string, StreamWriter>();
  /** Those with a handle, or for which one was asked; what was used last comes last. */
  readonly #open = new Set<StreamWriter>();
  #sweepAt = WRITERS_MIN;

  constructor(hooks: WritersHooks) {
    this.#hooks = hooks;
  }

  /** What gathers for a stream. @param sender the client's own address */
  for(stream: string, sender: string): StreamWriter {
    let writer = this.#byStream.get(stream);
    if (writer === undefined) {
      if (this.#byStream.size >= this.#sweepAt) this.#sweep();
      writer = new StreamWriter(stream, sender);
      this.#byStream.set(stream, writer);
      // Something will be sent soon: by then the handle may be there.
      if (this.#hooks.isOpen() && this.#open.size < OPEN_MAX) this.#ask(writer);
    }
    return writer;
  }

  /** True where a writer has its handle; else it is asked for. */
  isReady(writer: StreamWriter): boolean {
    if (writer.handle !== 0) {
      this.#use(writer);
      return true;
    }
    if (!writer.asked && (this.#open.size < OPEN_MAX || this.#closeOne())) this.#ask(writer);
    return false;
  }

  /** The session is lost: a new one knows nothing of the handles. */
  lost(): void {
    for (const writer of this.#open) writer.forgetHandle();
    this.#open.clear();
  }

  #use(writer: StreamWriter): void {
    // Where there is room for all, the order does not matter.
    if (this.#open.size * 2 < OPEN_MAX) return;
    this.#open.delete(writer);
    this.#open.add(writer);
  }

  #ask(writer: StreamWriter): void {
    writer.asked = true;
    this.#open.add(writer);
    this.#hooks.call(
      'write',
      { stream: writer.stream },
      {
        done: (value) => {
          writer.handle = handleIn(value);
          this.#hooks.opened();
        },
        refused: (error) => {
          this.#open.delete(writer);
          writer.forgetHandle();
          this.#hooks.refused(writer, error);
        },
        dropped: () => undefined,
      },
    );
  }

  /** Closes the one that was not used for the longest time. @returns false where none can be */
  #closeOne(): boolean {
    for (const writer of this.#open) {
      if (writer.handle === 0) continue;
      const ignore = (): void => undefined;
      const { handle } = writer;
      this.#open.delete(writer);
      writer.forgetHandle();
      this.#hooks.call('unwrite', { handle }, { done: ignore, refused: ignore, dropped: ignore });
      return true;
    }
    return false;
  }

  /** Forgets those that are not in use. */
  #sweep(): void {
    for (const [stream, writer] of this.#byStream) {
      if (writer.inUse) continue;
      this.#byStream.delete(stream);
      writer.retire();
    }
    this.#sweepAt = Math.max(WRITERS_MIN, 2 * this.#byStream.size);
  }
}
