// What was received and not yet taken, between the socket and `for await`. A
// queue is bounded twice: at its bound it closes the intake, and at four times
// that, which is reached only while answers keep the intake open, it takes no
// more. It never blocks and never throws at who pushes.
import { Fifo } from './fifo.js';
import type { Intake } from './intake.js';

const HARD_BOUND = 4;

/** The bounds of a queue: messages, and octets of bodies. */
export interface QueueBounds {
  readonly messagesMax: number;
  readonly bytesMax: number;
}

interface Item<T> {
  readonly value: T;
  readonly bytes: number;
}

interface Waiter<T> {
  readonly iterator: QueueIterator<T>;
  readonly resolve: (result: IteratorResult<T, undefined>) => void;
  readonly reject: (error: Error) => void;
}

export class DeliveryQueue<T> {
  readonly #bounds: QueueBounds;
  readonly #intake: Intake;
  readonly #items = new Fifo<Item<T>>();
  readonly #waiters = new Fifo<Waiter<T>>();
  #bytes = 0;
  #patient: boolean;
  #full = false;
  #ended = false;
  #error: Error | undefined;

  /**
   * @param patient false while nobody reads the queue: it then takes no more
   *   than its bounds, and leaves the intake alone
   */
  constructor(bounds: QueueBounds, intake: Intake, patient: boolean) {
    this.#bounds = bounds;
    this.#intake = intake;
    this.#patient = patient;
  }

  get length(): number {
    return this.#items.length;
  }

  /** True once nothing more comes in; what is queued can still be taken. */
  get ended(): boolean {
    return this.#ended;
  }

  set patient(patient: boolean) {
    this.#patient = patient;
    this.#balance();
  }

  /** @returns false where there is no room, or the queue has ended: the message is dropped */
  push(value: T, bytes: number): boolean {
    if (this.#ended) return false;
    const waiter = this.#waiters.shift();
    if (waiter !== undefined) {
      waiter.resolve({ value, done: false });
      return true;
    }
    const factor = this.#patient ? HARD_BOUND : 1;
    if (this.#reaches(factor)) return false;
    this.#items.push({ value, bytes });
    this.#bytes += bytes;
    if (!this.#full && this.#reaches(1)) this.#balance();
    return true;
  }

  /** The next message, if one is there. */
  take(): T | undefined {
    const item = this.#items.shift();
    if (item === undefined) return undefined;
    this.#bytes -= item.bytes;
    if (this.#full) this.#balance();
    return item.value;
  }

  /** Waits for the next message, in the name of an iterator that may give up. */
  wait(iterator: QueueIterator<T>): Promise<IteratorResult<T, undefined>> {
    if (this.#error !== undefined) {
      const error = this.#error;
      this.#error = undefined;
      return Promise.reject(error);
    }
    if (this.#ended) return Promise.resolve({ value: undefined, done: true });
    return new Promise((resolve, reject) => {
      this.#waiters.push({ iterator, resolve, reject });
    });
  }

  /** An iterator gives up: its pending calls are done. */
  leave(iterator: QueueIterator<T>): void {
    for (const waiter of this.#waiters.drain()) {
      if (waiter.iterator === iterator) waiter.resolve({ value: undefined, done: true });
      else this.#waiters.push(waiter);
    }
  }

  /**
   * Nothing more comes. What is queued can still be taken; after it, one call
   * gets the error, if there is one, and the others are done.
   */
  end(error?: Error): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#error = error;
    this.#balance();
    for (const waiter of this.#waiters.drain()) {
      if (this.#error === undefined) waiter.resolve({ value: undefined, done: true });
      else waiter.reject(this.#error);
      this.#error = undefined;
      waiter.iterator.finish();
    }
  }

  /** Throws away what is queued; more may come. */
  empty(): void {
    this.#items.drain();
    this.#bytes = 0;
    this.#balance();
  }

  /** Nothing more comes and nothing more is wanted. @returns what was queued */
  clear(): T[] {
    this.end();
    this.#error = undefined;
    this.#bytes = 0;
    return this.#items.drain().map((item) => item.value);
  }

  #reaches(factor: number): boolean {
    const { messagesMax, bytesMax } = this.#bounds;
    return this.#items.length >= messagesMax * factor || this.#bytes >= bytesMax * factor;
  }

  /** Opens and closes the intake: closed at the bound, open again at half of it. */
  #balance(): void {
    const wanted = this.#patient && !this.#ended;
    const full = wanted && (this.#full ? this.#reaches(0.5) : this.#reaches(1));
    if (full === this.#full) return;
    this.#full = full;
    if (full) this.#intake.fill();
    else this.#intake.drain();
  }
}

/**
 * One reader of a queue, as `for await` takes it. Breaking out of the loop,
 * `return()` and the signal end it; ended by the signal, the loop just ends.
 */
export class QueueIterator<T> implements AsyncIterableIterator<T, undefined> {
  readonly #queue: DeliveryQueue<T>;
  readonly #onEnd: () => void;
  readonly #signal: AbortSignal | undefined;
  readonly #abort = (): void => this.finish();
  #finished = false;

  /** @param onEnd called once, when the reader wants no more or there is no more */
  constructor(queue: DeliveryQueue<T>, signal: AbortSignal | undefined, onEnd: () => void) {
    this.#queue = queue;
    this.#signal = signal;
    this.#onEnd = onEnd;
    signal?.addEventListener('abort', this.#abort);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<T, undefined>> {
    if (this.#finished) return Promise.resolve({ value: undefined, done: true });
    const value = this.#queue.take();
    if (value !== undefined) return Promise.resolve({ value, done: false });
    const result = this.#queue.wait(this);
    if (this.#queue.ended) this.finish();
    return result;
  }

  return(): Promise<IteratorResult<T, undefined>> {
    this.finish();
    return Promise.resolve({ value: undefined, done: true });
  }

  /** Takes no more. Pending calls are done. */
  finish(): void {
    if (this.#finished) return;
    this.#finished = true;
    this.#signal?.removeEventListener('abort', this.#abort);
    this.#queue.leave(this);
    this.#onEnd();
  }
}
