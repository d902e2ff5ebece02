// One reader of a stream in native sessions: what the broker brought waits here
// as octets and becomes messages one by one, as the loop asks for them; as they
// are taken, the broker may send more. In a new session it goes on with the first
// message that it has not given out, so what waits may be thrown away.
import {
  BlockReader,
  countSections,
  ProtocolError,
  type NativeCommand,
} from '../../protocol/index.js';
import { MlmError } from '../errors.js';
import { Fifo } from '../fifo.js';
import { StreamMessage, type CursorMover } from '../message.js';
import { checkCount, checkPattern, checkText } from '../options.js';
import type { Room } from '../room.js';
import type { From, Gap, ReadOptions, StreamReader } from '../stream.js';
import { handleIn, numberIn, type Member, type Speaker } from './session.js';
import { CreditWindow } from './window.js';

/** Who keeps the readers by their handles. */
export interface ReaderPlace {
  opened(handle: number): void;
  ended(handle: number): void;
}

type Result = IteratorResult<StreamMessage, undefined>;

interface Waiter {
  readonly resolve: (result: Result) => void;
  readonly reject: (error: MlmError) => void;
}

/** Messages that came together, or the word that some will not come. */
type Item = Buffer | Gap;

const WINDOW_MESSAGES = 10_000;
/** Messages in one list of `batches`, at most. */
const BATCH_MESSAGES = 4096;
const DONE: Result = { value: undefined, done: true };

export class NativeReader implements StreamReader, Member, Speaker, CursorMover {
  readonly ready: Promise<void>;
  readonly #stream: string;
  readonly #options: ReadOptions;
  readonly #room: Room;
  readonly #place: ReaderPlace;
  readonly #windowMessages: number;
  readonly #window: CreditWindow;
  readonly #confirmsItself: boolean;
  readonly #items = new Fifo<Item>();
  readonly #waiters = new Fifo<Waiter>();
  readonly #onAbort = (): void => this.finish();
  #current: BlockReader | undefined;
  #currentBytes: Buffer = Buffer.alloc(0);
  /** Messages that wait here. */
  #waiting = 0;
  /** What is left of them at which more is granted. */
  #grantAt = 0;
  /** The first sequence that may be given out; 0 while the broker has not said. */
  #next = 0;
  /** When the last message that was given out was accepted. */
  #lastTimeMs = 0;
  /** Up to where the messages are dealt with, and up to where the broker was told. */
  #confirmed = 0;
  #said = 0;
  #handle = 0;
  #lost = 0;
  #ended = false;
  #finished = false;
  #error: MlmError | undefined;
  #cancelled: Promise<void> | undefined;
  #isReady: () => void = () => undefined;
  #isRefused: (error: MlmError) => void = () => undefined;

  /** @throws {MlmError} INVALID_ARGUMENT */
  constructor(stream: string, options: ReadOptions, room: Room, place: ReaderPlace) {
    const { credit, bufferMessagesMax, cursor, confirm = 'auto' } = options;
    checkPattern(options.pattern ?? '');
    if (cursor !== undefined) checkText('cursor', cursor);
    this.#stream = stream;
    this.#options = options;
    this.#room = room;
    this.#place = place;
    this.#windowMessages = checkCount(
      'credit',
      credit ?? bufferMessagesMax ?? room.options.windowMessages ?? WINDOW_MESSAGES,
    );
    this.#window = new CreditWindow(room.options.bufferBytesMax);
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
    this.#throwAway();
    this.#cancelled = this.#cancel();
    this.end(undefined);
  }

  /** There will be no more: what waits may still be taken, then the error is thrown. */
  end(error: MlmError | undefined): void {
    if (this.#ended) return;
    this.#ended = true;
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
    if (this.#next === 0) this.#open(this.#options.from ?? 'new');
    else this.#reopen();
  }

  sessionLost(): void {
    this.#handle = 0;
    this.#said = 0;
    this.#window.outstanding = 0;
    this.#throwAway();
  }

  speak(): void {
    if (this.#handle === 0) return;
    const { native } = this.#room;
    if (this.#confirmed > this.#said) {
      this.#said = this.#confirmed;
      native.say({ name: 'CONFIRM CURSOR', handle: this.#handle, sequence: this.#confirmed });
    }
    const amount = this.#window.refill(this.#windowMessages, this.#waiting);
    if (amount > 0) native.say({ name: 'CREDIT', handle: this.#handle, amount });
    this.#grantAt = this.#window.sizeFor(this.#windowMessages) / 2;
  }

  /** @throws {ProtocolError} where the sections are none */
  deliver(delivery: NativeCommand<'STREAM DELIVER' | 'GAP'>): void {
    if (this.#ended) return;
    if (delivery.name === 'GAP') {
      const { first, last, reason } = delivery;
      this.#items.push({ stream: this.#stream, first, last, reason });
    } else {
      const count = countSections(delivery.sections);
      this.#window.came(count, delivery.sections.length);
      this.#waiting += count;
      this.#items.push(delivery.sections);
    }
    while (this.#waiters.length > 0) {
      const message = this.#take();
      if (message === undefined) return;
      this.#waiters.shift()?.resolve({ value: message, done: false });
    }
  }

  #open(from: From, skipTo = 0): void {
    const { pattern = '', cursor, own = false } = this.#options;
    const credit = this.#window.refill(this.#windowMessages, 0);
    this.#grantAt = credit / 2;
    const given = { stream: this.#stream, pattern, from, own, credit };
    this.#room.native.call('read', cursor === undefined ? given : { ...given, cursor }, {
      done: (value) => {
        const handle = handleIn(value);
        if (this.#ended) {
          void this.#cancelHandle(handle);
          return;
        }
        this.#handle = handle;
        this.#place.opened(handle);
        this.#next = Math.max(skipTo, numberIn(value, 'from'));
        if (this.#confirmed === 0) this.#confirmed = this.#said = this.#next - 1;
        this.#isReady();
        this.#room.native.speakSoon(this);
      },
      refused: (error) => this.#refused(error),
      dropped: () => undefined,
    });
  }

  /**
   * Goes on where it stopped. A broker that keeps streams in memory forgets them
   * when it ends: where the stream is shorter than what was read of it, it is a
   * new one, and everything in it that is younger than the last message is read.
   */
  #reopen(): void {
    const { native } = this.#room;
    const position = this.#next;
    const goOn = (lastSequence: number): void => {
      if (this.#ended) return;
      if (lastSequence + 1 >= position) this.#open({ sequence: position }, position);
      else {
        this.#confirmed = 0;
        this.#open(this.#lastTimeMs === 0 ? 'earliest' : { timeMs: this.#lastTimeMs + 1 });
      }
    };
    native.call(
      'stream.info',
      { stream: this.#stream },
      {
        done: (value) => goOn(numberIn(value, 'lastSequence')),
        refused: () => goOn(0),
        dropped: () => undefined,
      },
    );
  }

  #refused(error: MlmError): void {
    this.#place.ended(this.#handle);
    this.end(error);
  }

  #cancel(): Promise<void> {
    const handle = this.#handle;
    this.#place.ended(handle);
    if (handle === 0) return Promise.resolve();
    // What was confirmed is said before the handle is gone.
    this.#window.outstanding = Infinity;
    this.speak();
    this.#handle = 0;
    return this.#cancelHandle(handle);
  }

  #cancelHandle(handle: number): Promise<void> {
    const { native } = this.#room;
    if (!native.isOpen) return Promise.resolve();
    return new Promise((resolve) => {
      native.call(
        'cancel',
        { handle },
        { done: resolve, refused: () => resolve(), dropped: resolve },
      );
    });
  }

  #confirmTaken(): void {
    this.#confirmed = this.#next - 1;
    this.#room.native.speakSoon(this);
  }

  #throwAway(): void {
    this.#items.drain();
    this.#current = undefined;
    this.#waiting = 0;
  }

  /** The next message that waits here. */
  #take(): StreamMessage | undefined {
    for (;;) {
      const block = this.#current;
      if (block !== undefined && step(block)) {
        this.#waiting--;
        if (this.#waiting + this.#window.outstanding <= this.#grantAt) {
          this.#room.native.speakSoon(this);
        }
        const { sequence } = block;
        if (sequence < this.#next) continue;
        this.#next = sequence + 1;
        this.#lastTimeMs = block.timeMs;
        return this.#messageAt(block);
      }
      const item = this.#items.shift();
      this.#current = undefined;
      if (item === undefined) return undefined;
      if (Buffer.isBuffer(item)) {
        this.#currentBytes = item;
        this.#current = new BlockReader(item);
      } else this.#comeToGap(item);
    }
  }

  #messageAt(block: BlockReader): StreamMessage {
    const at = {
      bytes: this.#currentBytes,
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

/** Steps to the next message. @throws {ProtocolError} where the block is none */
function step(block: BlockReader): boolean {
  try {
    return block.next();
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    throw new ProtocolError('truncated', 'sections', 'a message ends inside a field');
  }
}
