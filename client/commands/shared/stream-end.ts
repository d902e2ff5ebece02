// Where the reading of a stream ends by itself. A place given as a time, or as
// "now", becomes a sequence as soon as the broker can tell it; then reading has
// ended once the reader can give out nothing up to there any more: the messages
// came, or a gap did, or the reader began beyond. It prints nothing.
import { MlmError, type MlmClient, type StreamMessage } from '../../index.js';
import { CommandError } from './failure.js';
import type { Until } from './place.js';

const TIMER_MS_MAX = 2 ** 31 - 1;

export class StreamEnd {
  readonly #client: MlmClient;
  readonly #stream: string;
  /** The last moment to read; later messages are past the end, whatever their sequence. */
  readonly #timeMs: number = Infinity;
  /** The last sequence to read; undefined until it can be told. */
  #sequence: number | undefined;
  /** True where the stream had all messages up to there already. */
  #wasThere = false;
  #failure: unknown;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;
  readonly #onConnected = (): void => void this.#check().catch(this.#fail);
  readonly #fail = (error: unknown): void => {
    this.#failure ??= error;
    this.changed();
  };

  /** Called when the end may be reached though no message came. */
  changed: () => void = () => undefined;

  private constructor(client: MlmClient, stream: string, until: Until) {
    this.#client = client;
    this.#stream = stream;
    if (until === 'now') return;
    if ('timeMs' in until) this.#timeMs = until.timeMs;
    else this.#sequence = until.sequence;
  }

  /**
   * The end of a reading, before it begins.
   *
   * @throws {MlmError} REFUSED where `now` is asked of a stream that does not exist
   */
  static async find(client: MlmClient, stream: string, until: Until): Promise<StreamEnd> {
    const end = new StreamEnd(client, stream, until);
    if (until === 'now') end.#isAt(await lastOf(client, stream));
    else if ('timeMs' in until) await end.#awaitTime();
    else await end.#lookForSequence();
    client.on('connected', end.#onConnected);
    return end;
  }

  /** The last sequence to read, where it is known. */
  get sequence(): number | undefined {
    return this.#sequence;
  }

  isPast({ sequence = 0, timeMs = 0 }: StreamMessage): boolean {
    return timeMs > this.#timeMs || sequence > (this.#sequence ?? Infinity);
  }

  /** True where a reader at this position gives out nothing more up to the end, or the end will never come. */
  isReached(position = 0): boolean {
    return this.#failure !== undefined || position > (this.#sequence ?? Infinity);
  }

  /** @throws {MlmError | CommandError} where the end will never come */
  throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure as Error;
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#client.off('connected', this.#onConnected);
  }

  /** The last sequences of a stream can be of messages that were refused: they never come. */
  async #lookForSequence(): Promise<void> {
    const sequence = this.#sequence ?? 0;
    const { lastSequence } = await this.#client.streamInfo(this.#stream).catch(noStream);
    if (sequence > lastSequence) return;
    this.#isAt(Math.min(sequence, await lastOf(this.#client, this.#stream)));
  }

  #isAt(sequence: number): void {
    this.#sequence = sequence;
    this.#wasThere = true;
    this.changed();
  }

  /** What the stream held at a time is known once the time is over. */
  async #awaitTime(): Promise<void> {
    const restMs = this.#timeMs - Date.now();
    if (restMs < 0) {
      this.#isAt((await firstAt(this.#client, this.#stream, this.#timeMs + 1)) - 1);
      return;
    }
    const look = (): void => void this.#awaitTime().catch(this.#fail);
    if (!this.#closed) this.#timer = setTimeout(look, Math.min(restMs + 1, TIMER_MS_MAX));
  }

  /** A broker that keeps streams in memory forgets them when it ends: then the end never comes. */
  async #check(): Promise<void> {
    if (!this.#wasThere) return;
    const { lastSequence } = await this.#client.streamInfo(this.#stream).catch(noStream);
    const sequence = this.#sequence ?? 0;
    if (lastSequence >= sequence) return;
    throw new CommandError(
      `the broker lost the stream "${this.#stream}" when it ended: it goes to ${lastSequence} now, not to ${sequence}`,
    );
  }
}

function noStream(error: unknown): { readonly lastSequence: number } {
  if (error instanceof MlmError && error.code === 'REFUSED') return { lastSequence: 0 };
  throw error;
}

/** The sequence of the last message that a stream has, or had. @throws {MlmError} REFUSED where there is none */
export async function lastOf(client: MlmClient, stream: string): Promise<number> {
  await client.streamInfo(stream);
  return (await firstAt(client, stream, Number.MAX_SAFE_INTEGER)) - 1;
}

/** The sequence of the first message accepted at a time or later, or the one that the next will get. */
export async function firstAt(client: MlmClient, stream: string, timeMs: number): Promise<number> {
  const reader = client.stream(stream).read({ from: { timeMs }, own: true, credit: 1 });
  await reader.ready;
  const { position = 0 } = reader;
  await reader.cancel();
  return position;
}
