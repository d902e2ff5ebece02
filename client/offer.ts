// One offer of a service: how many of its requests run, which ones wait, and
// its end. It knows no commands and no broker; replies leave through a function
// that it is given.
import { contentBytes } from '../protocol/index.js';
import { encodeBody } from './body.js';
import { MlmError, notOnV1 } from './errors.js';
import { checkLabels, type Labels } from './labels.js';
import { emitAll, isAsyncIterable } from './partials.js';
import type { DeliveryQueue } from './queue.js';
import type { ServiceRequest } from './service-request.js';
import type { SubjectFilter } from './subject-filter.js';

/**
 * Handles one request. What it returns is the reply's body; what it throws, an error reply. Where
 * it returns an async iterable (as an async generator does), each item is emitted as a part of the
 * result, and the reply is what the generator returns in the end, else the list of all items.
 */
export type Handler = (request: ServiceRequest) => unknown;

/** What became of a request. */
export type Outcome =
  | { readonly kind: 'done'; readonly content: Buffer[] }
  | { readonly kind: 'failed'; readonly thrown: unknown }
  /** It was not begun: the offer was stopped, or has too many already. */
  | { readonly kind: 'stopped' | 'overloaded' };

/** What of an offer may change while it stands. */
export interface OfferChanges {
  /** How many requests may be handled at the same time; 0 pauses the offer. */
  readonly capacity?: number | undefined;
  /** What the worker says of itself from now on. */
  readonly labels?: Labels | undefined;
}

/** What an offer needs of the room it stands in. */
export interface OfferParts {
  readonly service: string;
  readonly pattern: string;
  readonly filter: SubjectFilter;
  readonly capacity: number;
  readonly labels: Labels;
  readonly handler: Handler;
  readonly queue: DeliveryQueue<ServiceRequest>;
  finish(request: ServiceRequest, outcome: Outcome): void;
  /** Takes the offer back from the broker. @returns resolves when nothing more comes for it */
  withdraw(offer: Offer): Promise<void>;
  /** Tells the broker that capacity or labels are others now; undefined where there is no way to. */
  readonly changed: ((offer: Offer) => Promise<void>) | undefined;
}

export class Offer {
  readonly #parts: OfferParts;
  readonly #idle: (() => void)[] = [];
  #capacity: number;
  #labels: Labels;
  #running = 0;
  #stopped: Promise<void> | undefined;

  /** @internal */
  constructor(parts: OfferParts) {
    this.#parts = parts;
    this.#capacity = parts.capacity;
    this.#labels = parts.labels;
  }

  get service(): string {
    return this.#parts.service;
  }

  get pattern(): string {
    return this.#parts.pattern;
  }

  /** How many requests may be handled at the same time; 0 while it is paused. */
  get capacity(): number {
    return this.#capacity;
  }

  /** What the worker says of itself. */
  get labels(): Labels {
    return this.#labels;
  }

  /** How many handlers run now. */
  get running(): number {
    return this.#running;
  }

  /** How many requests were received and wait for a handler to be free. */
  get waiting(): number {
    return this.#parts.queue.length;
  }

  /**
   * Changes the offer while it stands: what runs goes on. With a capacity of 0 it is paused: no
   * more requests come, they wait or go to other workers, until it is raised again. Labels that
   * tell what a worker has at hand now (a model that is loaded) are changed so, too.
   *
   * @returns resolves when the broker knows
   * @throws {MlmError} INVALID_ARGUMENT; UNSUPPORTED on MLM/1; REFUSED; CLOSED after `stop`, or
   *   where the client is
   */
  async update({ capacity = this.#capacity, labels = this.#labels }: OfferChanges): Promise<void> {
    if (!Number.isSafeInteger(capacity) || capacity < 0) {
      const message = `capacity is ${String(capacity)}; it must be a whole number of 0 or more`;
      throw new MlmError('INVALID_ARGUMENT', message);
    }
    checkLabels(labels);
    if (this.#parts.changed === undefined) throw notOnV1('a change of an offer');
    if (this.#stopped !== undefined) throw new MlmError('CLOSED', 'the offer has stopped');
    this.#capacity = capacity;
    this.#labels = labels;
    if (capacity === 0) this.giveBack();
    else this.#runMore();
    await this.#parts.changed(this);
  }

  /**
   * Stops offering, and waits for the handlers that run. In a native session the
   * broker gives what was not begun to other workers. MLM/1 cannot take back an
   * offer: the client closes its session and opens a new one without it, so
   * that the broker gives further requests to other workers. (Mail waits with
   * the broker meanwhile. Stream messages sent in these few milliseconds are
   * missed: a client that must not miss any should not be the one that stops an
   * offer.) Requests that were received and not begun are answered with an error
   * of code `STOPPED`. Replies are still sent; close the client after this.
   *
   * @returns resolves when every running handler has returned
   */
  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #stop(): Promise<void> {
    const withdrawn = this.#parts.withdraw(this);
    this.refuseWaiting();
    await withdrawn;
    if (this.#running > 0) await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  /** @internal Whether a request is for this offer, rather than another one of the service. */
  matches(subject: string): boolean {
    return this.#parts.filter.matches(subject);
  }

  /** @internal @returns false where it had to refuse the request */
  take(request: ServiceRequest): boolean {
    if (this.#running < this.#capacity) {
      void this.#run(request);
      return true;
    }
    const kind = this.#capacity === 0 ? 'stopped' : 'overloaded';
    if (kind === 'overloaded' && this.#parts.queue.push(request, contentBytes(request.content))) {
      return true;
    }
    this.#parts.finish(request, { kind });
    return false;
  }

  /** @internal Answers what was not begun; more may come. */
  giveBack(): void {
    const { queue } = this.#parts;
    for (let request = queue.take(); request !== undefined; request = queue.take()) {
      this.#parts.finish(request, { kind: 'stopped' });
    }
  }

  /** @internal Answers what was not begun, and begins nothing more. */
  refuseWaiting(): void {
    for (const request of this.#parts.queue.clear()) {
      this.#parts.finish(request, { kind: 'stopped' });
    }
  }

  #runMore(): void {
    while (this.#running < this.#capacity) {
      const request = this.#parts.queue.take();
      if (request === undefined) return;
      void this.#run(request);
    }
  }

  async #run(first: ServiceRequest): Promise<void> {
    this.#running++;
    for (let next: ServiceRequest | undefined = first; next !== undefined;) {
      const request: ServiceRequest = next;
      // What waited until nobody wanted it any more is not begun.
      const outcome = request.isOver ? STOPPED : await this.#outcomeOf(request);
      this.#parts.finish(request, outcome);
      next = this.#running > this.#capacity ? undefined : this.#parts.queue.take();
    }
    this.#running--;
    if (this.#running === 0) for (const resolve of this.#idle.splice(0)) resolve();
  }

  async #outcomeOf(request: ServiceRequest): Promise<Outcome> {
    try {
      const result = await this.#parts.handler(request);
      const body = isAsyncIterable(result) ? await emitAll(request, result) : result;
      return { kind: 'done', content: encodeBody(body) };
    } catch (thrown) {
      return { kind: 'failed', thrown };
    }
  }
}

const STOPPED: Outcome = { kind: 'stopped' };
