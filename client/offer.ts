// One offer of a service: how many of its requests run, which ones wait, and
// its end. It knows no commands and no broker; replies leave through a function
// that it is given.
import { encodeBody } from './body.js';
import type { ServiceRequest } from './message.js';
import type { DeliveryQueue } from './queue.js';
import type { SubjectFilter } from './subject-filter.js';
import { bytesOf } from './value.js';

/** Handles one request. What it returns is the reply's body; what it throws, an error reply. */
export type Handler = (request: ServiceRequest) => unknown;

/** What became of a request. */
export type Outcome =
  | { readonly kind: 'done'; readonly content: Buffer[] }
  | { readonly kind: 'failed'; readonly thrown: unknown }
  /** It was not begun: the offer was stopped, or has too many already. */
  | { readonly kind: 'stopped' | 'overloaded' };

/** What an offer needs of the room it stands in. */
export interface OfferParts {
  readonly service: string;
  readonly pattern: string;
  readonly filter: SubjectFilter;
  readonly concurrency: number;
  readonly handler: Handler;
  readonly queue: DeliveryQueue<ServiceRequest>;
  finish(request: ServiceRequest, outcome: Outcome): void;
  /** Takes the offer back from the broker. @returns resolves when nothing more comes for it */
  withdraw(offer: Offer): Promise<void>;
}

export class Offer {
  readonly #parts: OfferParts;
  readonly #idle: (() => void)[] = [];
  #running = 0;
  #stopped: Promise<void> | undefined;

  /** @internal */
  constructor(parts: OfferParts) {
    this.#parts = parts;
  }

  get service(): string {
    return this.#parts.service;
  }

  get pattern(): string {
    return this.#parts.pattern;
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
    if (this.#running < this.#parts.concurrency) {
      void this.#run(request);
      return true;
    }
    if (this.#parts.queue.push(request, bytesOf(request.content))) return true;
    this.#parts.finish(request, { kind: 'overloaded' });
    return false;
  }

  /** @internal Answers what was not begun, and begins nothing more. */
  refuseWaiting(): void {
    for (const request of this.#parts.queue.clear()) {
      this.#parts.finish(request, { kind: 'stopped' });
    }
  }

  async #run(first: ServiceRequest): Promise<void> {
    this.#running++;
    for (let next: ServiceRequest | undefined = first; next !== undefined;) {
      const request: ServiceRequest = next;
      // What waited while its session was lost is done by somebody else.
      if (!request.signal.aborted) this.#parts.finish(request, await this.#outcomeOf(request));
      next = this.#parts.queue.take();
    }
    this.#running--;
    if (this.#running === 0) for (const resolve of this.#idle.splice(0)) resolve();
  }

  async #outcomeOf(request: ServiceRequest): Promise<Outcome> {
    try {
      return { kind: 'done', content: encodeBody(await this.#parts.handler(request)) };
    } catch (thrown) {
      return { kind: 'failed', thrown };
    }
  }
}
