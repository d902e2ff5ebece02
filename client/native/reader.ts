// One reader of a stream in native sessions: what the broker brought waits here
// as octets and becomes messages one by one, as the loop asks for them; as they
// are taken, the broker may send more. In a new session it goes on with the first
// message that it has not given out, so what waits may be thrown away.
import { BlockReader, ProtocolError, type NativeCommand } from '../../protocol/index.js';
import { MlmError } from '../errors.js';
import { Fifo } from '../fifo.js';
import { checkFrom } from '../from.js';
import { StreamMessage, type CursorMover } from '../message.js';
import { checkPattern, checkText } from '../options.js';
import type { Room } from '../room.js';
import type { Gap, ReadOptions, StreamReader } from '../stream.js';
import { Arrivals } from './arrivals.js';
import { Reading, type ReaderPlace, type ReadingOwner } from './reading.js';
import type { Member, Speaker } from './session.js';

type Result = IteratorResult<StreamMessage, undefined>;

interface Waiter {
  readonly resolve: (result: Result) => void;
  readonly reject: (error: MlmError) => void;
}

/** Messages in one list of `batches`, at most. */
const BATCH_MESSAGES = 4096;
const DONE: Result = { value: undefined, done: true };

export class NativeReader implements StreamReader, Member, Speaker, CursorMover, ReadingOwner {
  readonly ready: Promise<void>;
  readonly #stream: string;
  readonly #options: ReadOptions;
  readonly #room: Room;
  readonly #place: ReaderPlace;
  readonly #reading: Reading;
  readonly #confirmsItself: boolean;
  readonly #arrivals = new Arrivals();
  readonly #waiters = new Fifo<Waiter>();
  readonly #onAbort = (): void => this.finish();
  /** True while it reads no further, because too much waits here. */
  #paused = false;
  /** True where its next sequence is the one that it is told. */
  #beginsAnew = false;
  /** The first sequence that may be given out; 0 while the broker has not said. */
  #next = 0;
  /** When the last message that was given out was accepted. */
  #lastTimeMs = 0;
  /** Up to where the messages are dealt with, and up to where the broker was told. */
  #confirmed = 0;
  #said = 0;
  #lost = 0;
  #ended = false;
  #finished = false;
  #error: MlmError | undefined;
  #cancelled: Promise<void> | undefined;
  #isReady: () => void = () => undefined;
  #isRefused: (error: MlmError) => void = () => undefined;

  /** @throws {MlmError} INVALID_ARGUMENT */
  constructor(stream: string, options: ReadOptions, room: Room, place: ReaderPlace) {
    const { cursor, confirm = 'auto' } = options;
    checkPattern(options.pattern ?? '');
    if (options.from !== undefined) checkFrom(options.from);
    if (cursor !== undefined) checkText('cursor', cursor);
    this.#stream = stream;
    this.#options = options;
    this.#room = room;
    this.#place = place;
    this.#reading = new Reading(stream, options, room, place, this);
    this.#confirmsItself = cursor !== undefined && confirm === 'auto';
    this.ready = new Promise((resolve, reject) => {
      this.#isReady = resolve;
      this.#isRefused = reject;
    });
    this.ready.catch(() => undefined);
  }

  get position(): number | undefined {
    return this.#next === 0 ? undefined : this.#next;
  }

  get waiting(): number {
    return this.#arrivals.messages;
  }

  get lost(): number {
    return this.#lost;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** Begins to read, now or when a session is open. */
  start(): void {
    this.#options.signal?.addEventListener('abort', this.#onAbort);
    this.#room.native.join(this);
    if (this.#room.native.isOpen) this.sessionOpened();
  }

  next(): Promise<Result> {
    if (this.#confirmsItself && this.#next > this.#confirmed + 1) this.#confirmTaken();
    try {
      const message = this.#take();
      if (message !== undefined) return Promise.resolve({ value: message, done: false });
    } catch (cause) {
      if (!(cause instanceof ProtocolError)) throw cause;
      return Promise.reject(new MlmError('DISCONNECTED', cause.message, { cause }));
    }
    if (this.#error !== undefined) {
      const error = this.#error;
      this.#error = undefined;
      return Promise.reject(error);
    }
    if (this.#ended) return Promise.resolve(DONE);
    return new Promise((resolve, reject) => this.#waiters.push({ resolve, reject }));
  }

  async *batches(): AsyncGenerator<StreamMessage[], undefined> {
    try {
      for (;;) {
        const first = await this.next();
        if (first.done === true) return undefined;
        const batch = [first.value];
        while (batch.length < BATCH_MESSAGES) {
          const message = this.#take();
          if (message === undefined) break;
          batch.push(message);
        }
        yield batch;
      }
    } finally {
      this.finish();
    }
  }

  return(): Promise<Result> {
    this.finish();
    return Promise.resolve(DONE);
  }

  cancel(): Promise<void> {
    this.finish();
    return this.#cancelled ?? Promise.resolve();
  }

  /** The reader wants no more: what waits is thrown away. */
  finish(): void {
    if (this.#finished) return;
    this.#finished = true;
    this.#error = undefined;
    this.#arrivals.clear();
    // What was confirmed is said before the handle is gone.
    this.#confirmAtBroker();
    this.#cancelled = this.#reading.close();
    this.end(undefined);
  }

  /** There will be no more: what waits may still be taken, then the error is thrown. */
  end(error: MlmError | undefined): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#paused = false;
    this.#place.ended();
    this.#error = this.#finished ? undefined : error;
    this.#room.native.leave(this);
    this.#options.signal?.removeEventListener('abort', this.#onAbort);
    if (error === undefined) this.#isReady();
    else this.#isRefused(error);
    for (const waiter of this.#waiters.drain()) {
      if (this.#error === undefined) waiter.resolve(DONE);
      else waiter.reject(this.#error);
      this.#error = undefined;
    }
  }

  confirmUpTo(sequence: number): void {
    if (this.#options.cursor === undefined) {
      throw new MlmError('UNSUPPORTED', 'only a reader with a cursor confirms messages');
    }
    if (this.#finished) {
      throw new MlmError('CLOSED', 'the reader has ended: it confirms nothing any more');
    }
    if (sequence <= this.#confirmed) return;
    this.#confirmed = sequence;
    this.#room.native.speakSoon(this);
  }

  // What the session does with it.

  sessionOpened(): void {
    if (this.#next === 0) this.#reading.open();
    else this.#reading.goOn({ next: this.#next, lastTimeMs: this.#lastTimeMs });
  }

  sessionLost(): void {
    this.#reading.lost();
    this.#said = 0;
    this.#paused = this.#beginsAnew = false;
    this.#arrivals.clear();
  }

  readingOpened(from: number): void {
    if (this.#next === 0 || this.#beginsAnew) this.#next = from;
    this.#beginsAnew = false;
    if (this.#confirmed === 0) this.#confirmed = this.#said = this.#next - 1;
    this.#isReady();
    this.#room.native.speakSoon(this);
  }

  sequencesBeginAnew(): void {
    this.#beginsAnew = true;
    this.#confirmed = 0;
  }

  refused(error: MlmError): void {
    void this.#reading.close();
    this.end(error);
  }

  speak(): void {
    if (this.#reading.handle === 0) return;
    this.#confirmAtBroker();
    this.#reading.grant();
  }

  #confirmAtBroker(): void {
    if (this.#confirmed <= this.#said || this.#reading.handle === 0) return;
    this.#said = this.#confirmed;
    this.#reading.confirm(this.#confirmed);
  }

  /** @throws {ProtocolError} where the sections are none */
  deliver(delivery: NativeCommand<'STREAM DELIVER' | 'GAP'>): void {
    if (this.#ended) return;
    if (delivery.name === 'GAP') {
      const { first, last, reason } = delivery;
      this.#arrivals.pushGap({ stream: this.#stream, first, last, reason });
    } else {
      const { sections } = delivery;
      this.#reading.came(this.#arrivals.push(sections), sections.length);
    }
    while (this.#waiters.length > 0) {
      const message = this.#take();
      if (message === undefined) break;
      this.#waiters.shift()?.resolve({ value: message, done: false });
    }
    if (this.#arrivals.bytes > this.#room.options.bufferBytesMax) this.#pause();
  }

  /** What was granted for small messages may be too much for large ones: reads on when there is room. */
  #pause(): void {
    this.#paused = true;
    this.#confirmAtBroker();
    void this.#reading.close();
  }

  #goOn(): void {
    this.#paused = false;
    const { lastSequence } = this.#arrivals;
    const next = Math.max(this.#next, lastSequence + 1);
    this.#reading.goOn({ next, lastTimeMs: this.#lastTimeMs });
  }

  #confirmTaken(): void {
    this.#confirmed = this.#next - 1;
    this.#room.native.speakSoon(this);
  }

  /** The next message that waits here. */
  #take(): StreamMessage | undefined {
    for (;;) {
      const item = this.#arrivals.next();
      if (this.#paused && this.#isHalfEmpty) this.#goOn();
      if (item === undefined) return undefined;
      if (!(item instanceof BlockReader)) {
        this.#comeToGap(item);
        continue;
      }
      if (this.#reading.wantsMore) this.#room.native.speakSoon(this);
      const { sequence } = item;
      if (sequence < this.#next) continue;
      this.#next = sequence + 1;
      this.#lastTimeMs = item.timeMs;
      return this.#messageAt(item);
    }
  }

  get #isHalfEmpty(): boolean {
    return this.#arrivals.bytes * 2 <= this.#room.options.bufferBytesMax;
  }

  #messageAt(block: BlockReader): StreamMessage {
    const at = {
      bytes: this.#arrivals.octets,
      start: block.contentStart,
      end: block.contentEnd,
    };
    const { sender, subject, sequence, timeMs } = block;
    return new StreamMessage(this.#stream, sender, subject, at, sequence, timeMs, this);
  }

  #comeToGap(gap: Gap): void {
    this.#lost += gap.last - gap.first + 1;
    this.#next = Math.max(this.#next, gap.last + 1);
    this.#options.onGap?.(gap);
    this.#room.events.emit('gap', gap);
  }
}
