// How a reader of a stream stands with the broker: under which handle it reads in
// this session, what it may be sent, and where it goes on in the next one. The
// messages themselves, and what their reader makes of them, are not its business.
import type { MlmError } from '../errors.js';
import type { From } from '../from.js';
import { checkCount } from '../options.js';
import type { Room } from '../room.js';
import type { ReadOptions } from '../stream.js';
import { handleIn, numberIn } from './call-answer.js';
import { CreditWindow } from './window.js';

/** The reader, as its reading sees it. */
export interface ReadingOwner {
  /** Messages that wait for it. */
  readonly waiting: number;
  /** The broker reads for it, from this sequence on. */
  readingOpened(from: number): void;
  /** Sequences that it was to come to are given anew: it goes on where it is told next. */
  sequencesBeginAnew(): void;
  refused(error: MlmError): void;
}

/** Who brings deliveries to readers, by their handles. */
export interface ReaderPlace {
  opened(handle: number): void;
  closed(handle: number): void;
  /** The reader has ended. */
  ended(): void;
}

/** Where a reader was when it stopped. */
export interface Position {
  /** The next sequence. */
  readonly next: number;
  /** When the last message was accepted; 0 where there was none. */
  readonly lastTimeMs: number;
}

const WINDOW_MESSAGES = 100_000;

export class Reading {
  readonly #stream: string;
  readonly #options: ReadOptions;
  readonly #room: Room;
  readonly #place: ReaderPlace;
  readonly #owner: ReadingOwner;
  readonly #windowMessages: number;
  readonly #window: CreditWindow;
  /** What is left of the messages that wait, or may come, when more is granted. */
  #grantAt = 0;
  #handle = 0;
  /** Tells the stream from another one of the same name that was there before. */
  #life = 0;
  /** The first sequence of those that are not compacted. */
  #whole = 0;
  /** Rises whenever the broker is asked anew: an answer to an older question means nothing. */
  #question = 0;

  /** @throws {MlmError} INVALID_ARGUMENT */
  constructor(
    stream: string,
    options: ReadOptions,
    room: Room,
    place: ReaderPlace,
    owner: ReadingOwner,
  ) {
    const { credit, bufferMessagesMax } = options;
    this.#stream = stream;
    this.#options = options;
    this.#room = room;
    this.#place = place;
    this.#owner = owner;
    this.#windowMessages = checkCount(
      'credit',
      credit ?? bufferMessagesMax ?? room.options.windowMessages ?? WINDOW_MESSAGES,
    );
    this.#window = new CreditWindow(room.options.bufferBytesMax);
  }

  /** The handle in this session; 0 where the broker does not read for it. */
  get handle(): number {
    return this.#handle;
  }

  /** Begins to read. */
  open(): void {
    const { from = 'new' } = this.#options;
    this.#ask(onWire(from), (value) => this.#opened(value));
  }

  /**
   * Goes on where it stopped. A broker that keeps streams in memory forgets them
   * when it ends: where the stream is another one than that which was read, all
   * of it is read that is younger than the last message. Where it is the same, but
   * ends earlier (what was on its way when the broker was killed is gone, and its
   * sequences are given again), reading goes on at that end.
   */
  goOn({ next, lastTimeMs }: Position): void {
    // What was not compacted before is not compacted now.
    const from = next < this.#whole ? { compact: true, sequence: next } : { sequence: next };
    const life = this.#life;
    this.#ask(from, (value) => {
      const end = numberIn(value, 'lastSequence') + 1;
      const isSame = numberIn(value, 'life') === life;
      if (isSame && end >= next) {
        this.#opened(value);
        return;
      }
      void this.#cancel(handleIn(value));
      this.#owner.sequencesBeginAnew();
      const younger = lastTimeMs === 0 ? 'earliest' : { timeMs: lastTimeMs + 1 };
      if (isSame) this.#ask({ sequence: end }, (answer) => this.#opened(answer));
      else if (next < this.#whole) this.open();
      else this.#ask(younger, (answer) => this.#opened(answer));
    });
  }

  /** Messages have come: there may be room for more. */
  came(count: number, bytes: number): void {
    this.#window.came(count, bytes);
  }

  /** True where the broker is to be told that there is room for more. */
  get wantsMore(): boolean {
    return this.#owner.waiting + this.#window.outstanding <= this.#grantAt;
  }

  /** Says how far a cursor has come. */
  confirm(sequence: number): void {
    this.#room.native.say({ name: 'CONFIRM CURSOR', handle: this.#handle, sequence });
  }

  /** Grants more, where there is room. */
  grant(): void {
    const amount = this.#window.refill(this.#windowMessages, this.#owner.waiting);
    if (amount > 0) this.#room.native.say({ name: 'CREDIT', handle: this.#handle, amount });
    this.#grantAt = this.#window.sizeFor(this.#windowMessages) / 2;
  }

  /** The session is lost. */
  lost(): void {
    this.#question++;
    this.#handle = 0;
    this.#window.outstanding = 0;
  }

  /** Reads no more, for now or for good. @returns resolves when the broker delivers no more for it */
  close(): Promise<void> {
    this.#question++;
    const handle = this.#handle;
    this.#place.closed(handle);
    this.#handle = 0;
    this.#window.outstanding = 0;
    return handle === 0 ? Promise.resolve() : this.#cancel(handle);
  }

  #ask(from: unknown, opened: (value: unknown) => void): void {
    const { pattern = '', cursor, own = false } = this.#options;
    this.#window.outstanding = 0;
    const credit = this.#window.refill(this.#windowMessages, this.#owner.waiting);
    this.#grantAt = credit / 2;
    const given = { stream: this.#stream, pattern, from, own, credit };
    const question = ++this.#question;
    this.#room.native.call('read', cursor === undefined ? given : { ...given, cursor }, {
      done: (value) => {
        if (question === this.#question) opened(value);
        else void this.#cancel(handleIn(value));
      },
      refused: (error) => {
        if (question === this.#question) this.#owner.refused(error);
      },
      dropped: () => undefined,
    });
  }

  #opened(value: unknown): void {
    this.#handle = handleIn(value);
    this.#life = numberIn(value, 'life');
    this.#whole = numberIn(value, 'whole');
    this.#place.opened(this.#handle);
    this.#owner.readingOpened(numberIn(value, 'from'));
  }

  #cancel(handle: number): Promise<void> {
    const { native } = this.#room;
    if (!native.isOpen) return Promise.resolve();
    return new Promise((resolve) => {
      native.call(
        'cancel',
        { handle },
        { done: () => resolve(), refused: () => resolve(), dropped: resolve },
      );
    });
  }
}

function onWire(from: From): unknown {
  return from === 'compact' ? { compact: true } : from;
}
