// The worker's side of services: offers one, brings each request to its offer,
// sends the replies as mail to the requester with the request's subject and
// tracker. How a session makes the broker forget an offer is the connection's
// business.
import type { Command } from '../protocol/index.js';
import { checkCache, type CacheOptions } from './cache.js';
import type { Declaration } from './declarations.js';
import { aborted, closedError, MlmError, notOnV1 } from './errors.js';
import { checkLabels, type Labels } from './labels.js';
import { Offer, type Handler, type Outcome } from './offer.js';
import { checkCount, checkMs, checkPattern, checkSignal, checkText } from './options.js';
import { DeliveryQueue } from './queue.js';
import { boundsOf, type Room } from './room.js';
import type { ServiceVerbs } from './rooms.js';
import { ServiceRequest, type RequestContext } from './service-request.js';
import { SubjectFilter } from './subject-filter.js';
import { encodeThrown, encodeWorkerError } from './worker-error.js';

export interface OfferOptions {
  /** Subjects to take: a regular expression, searched, not anchored. Without it all. */
  readonly pattern?: string | undefined;
  /**
   * How many requests may be handled at the same time. Default 1. In native sessions the broker
   * sends no more than that; on MLM/1 what is more waits here.
   */
  readonly capacity?: number | undefined;
  /** The same by its older name. */
  readonly concurrency?: number | undefined;
  /**
   * What this worker says of itself; requests may need or prefer it. MLM/1 has no word for it, and
   * leaves it out. The offers of one service by one client are one worker: their capacities add
   * up, their labels are put together, and the shortest lease counts.
   */
  readonly labels?: Labels | undefined;
  /**
   * How long the broker believes that a request is worked on without a word, ms; then it takes it
   * back and gives it to another worker. Default 30000. Native sessions only.
   */
  readonly leaseMs?: number | undefined;
  /**
   * Who says that word: `auto` (the default) the SDK, as long as the handler runs; `manual` only
   * the handler, by `request.extend()`, so that one that hangs loses its request.
   */
  readonly extend?: 'auto' | 'manual' | undefined;
  /**
   * Has the broker keep what the handler returns, and answer the same request with it, without
   * asking again: same subject, same body, same needs, for any requester. Identical requests that
   * come while one is worked on wait for its outcome. Only for handlers that, for one version,
   * make of one request what is as good the next time. Failures are not kept. Native sessions
   * only; MLM/1 leaves it out.
   */
  readonly cache?: CacheOptions | undefined;
  /** Stops the offer, as `stop` does. */
  readonly signal?: AbortSignal | undefined;
}

const LEASE_MS = 30_000;
const LEASE_MS_MIN = 100;

/** The options of an offer with their defaults in place. */
export interface CheckedOffer {
  readonly pattern: string;
  readonly filter: SubjectFilter;
  readonly capacity: number;
  readonly labels: Labels;
  readonly leaseMs: number;
  readonly extend: 'auto' | 'manual';
  readonly cache: CacheOptions | undefined;
  readonly signal: AbortSignal | undefined;
}

/** @throws {MlmError} INVALID_ARGUMENT naming the option, ABORTED */
export function checkOffer(service: string, options: OfferOptions): CheckedOffer {
  const { pattern = '', labels = {}, leaseMs = LEASE_MS, extend = 'auto', signal } = options;
  checkText('service', service);
  const filter = new SubjectFilter(checkPattern(pattern));
  if (checkMs('leaseMs', leaseMs) < LEASE_MS_MIN) {
    throw new MlmError('INVALID_ARGUMENT', `leaseMs is ${leaseMs}; ${LEASE_MS_MIN} is the least`);
  }
  if (!['auto', 'manual'].includes(extend)) {
    throw new MlmError('INVALID_ARGUMENT', `extend is "${extend}"; it must be "auto" or "manual"`);
  }
  checkSignal('the offer', signal);
  const capacity = capacityOf(options);
  const cache = checkCache(options.cache);
  checkLabels(labels);
  return { pattern, filter, capacity, labels, leaseMs, extend, cache, signal };
}

export class Services implements ServiceVerbs {
  readonly #room: Room;
  readonly #offers = new Map<string, Offer[]>();
  readonly #declarations = new Map<Offer, Declaration>();
  /** Fires when the client closes; every request carries its signal. */
  readonly #over = new AbortController();
  readonly #context = v1Context(this.#over.signal);

  constructor(room: Room) {
    this.#room = room;
  }

  /** @throws {MlmError} through its promise; see MlmClient.offer */
  async offer(service: string, options: OfferOptions, handler: Handler): Promise<Offer> {
    const { pattern, filter, capacity, labels, signal } = checkOffer(service, options);
    const { connection, intake } = this.#room;
    if (this.#offers.get(service)?.some((other) => other.pattern === pattern) === true) {
      const message = `this client already offers "${service}" with the pattern "${pattern}"`;
      throw new MlmError('INVALID_ARGUMENT', message);
    }
    const offer = new Offer({
      service,
      pattern,
      filter,
      capacity,
      labels,
      handler,
      queue: new DeliveryQueue(boundsOf(this.#room), intake, true),
      finish: (request, outcome) => this.#finish(request, outcome),
      withdraw: (stopped) => this.#withdraw(stopped),
      changed: undefined,
    });
    const declaration = connection.declare(
      { name: 'SERVICE OFFER', address: service, pattern },
      (error) => this.#onRefused(offer, declaration, error),
    );
    this.#add(offer, declaration);
    await this.#untilReady(offer, declaration, signal);
    return offer;
  }

  deliver({ sender, address, subject, tracker, content }: Command<'SERVICE DELIVER'>): void {
    const context = this.#context;
    const request = new ServiceRequest(address, sender, subject, tracker, content, context);
    const offers = this.#offers.get(address);
    // The broker has matched the subject already; its engine may see more in a pattern.
    const offer = offers?.find((candidate) => candidate.matches(subject)) ?? offers?.[0];
    if (offer === undefined) this.#finish(request, { kind: 'stopped' });
    else if (!offer.take(request)) {
      this.#room.events.emit('dropped', { from: 'service', name: address, subject, sender });
    }
  }

  /** The client closes: nothing more is begun, and what waits is answered while that is possible. */
  stopAll(): void {
    for (const offer of this.#declarations.keys()) offer.refuseWaiting();
    this.#over.abort(closedError());
  }

  #add(offer: Offer, declaration: Declaration): void {
    const others = this.#offers.get(offer.service);
    if (others === undefined) this.#offers.set(offer.service, [offer]);
    else others.push(offer);
    this.#declarations.set(offer, declaration);
  }

  /** @returns false where it was removed before */
  #remove(offer: Offer): boolean {
    if (!this.#declarations.delete(offer)) return false;
    const left = this.#offers.get(offer.service)?.filter((other) => other !== offer) ?? [];
    if (left.length > 0) this.#offers.set(offer.service, left);
    else this.#offers.delete(offer.service);
    return true;
  }

  async #untilReady(
    offer: Offer,
    declaration: Declaration,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const onAbort = (): void => {
      if (signal !== undefined) declaration.fail(aborted('the offer', signal));
      void offer.stop();
    };
    signal?.addEventListener('abort', onAbort, { once: true });
    try {
      await declaration.ready;
    } catch (error) {
      signal?.removeEventListener('abort', onAbort);
      this.#remove(offer);
      throw error;
    }
  }

  async #withdraw(offer: Offer): Promise<void> {
    const declaration = this.#declarations.get(offer);
    if (declaration === undefined || !this.#remove(offer)) return;
    this.#room.connection.undeclare(declaration);
    await this.#room.connection.renew();
  }

  /** Refused at first, the promise of `offer` tells; refused in a later session, an event. */
  #onRefused(offer: Offer, declaration: Declaration, error: MlmError): void {
    this.#remove(offer);
    offer.refuseWaiting();
    if (declaration.isAccepted) this.#room.events.report(error);
  }

  #finish({ sender, subject, tracker }: ServiceRequest, outcome: Outcome): void {
    if (sender === '') return;
    const content = replyTo(outcome);
    const { connection, events } = this.#room;
    // The handler's signal told of the close.
    if (connection.over?.code === 'CLOSED') return;
    connection
      .send({ name: 'MAILBOX SEND', address: sender, subject, tracker, timeout: 0, content })
      .catch((error: unknown) => events.report(error as MlmError));
  }
}

/** MLM/1 has no words for what a worker may say of a request; only what would be lost is an error. */
function v1Context(signal: AbortSignal): RequestContext {
  return {
    signal,
    get isOver() {
      return signal.aborted;
    },
    progress: () => undefined,
    emit: () => {
      throw notOnV1('to emit a part of a result');
    },
    emitPart: () => Promise.resolve(),
    extend: () => undefined,
  };
}

/** The reply that says what became of a request. */
function replyTo(outcome: Outcome): Buffer[] {
  switch (outcome.kind) {
    case 'done':
      return outcome.content;
    case 'failed':
      return encodeThrown(outcome.thrown);
    case 'stopped':
      return encodeWorkerError(
        'STOPPED',
        'this worker has stopped: ask again, another may take it',
      );
    case 'overloaded':
      return encodeWorkerError('OVERLOADED', 'too many requests wait here');
  }
}

/** @throws {MlmError} INVALID_ARGUMENT */
function capacityOf({ capacity, concurrency }: OfferOptions): number {
  if (capacity !== undefined) return checkCount('capacity', capacity);
  return checkCount('concurrency', concurrency ?? 1);
}
