// The worker's side of services in native sessions: offers them, brings each
// request to its offer, says what became of it. A request is held until that is
// said; when the session is lost or the broker takes a request back, its handler
// is told by its signal. How long the broker believes in a handler without a word
// (the lease) is extended here, for all requests of an offer together.
import { STATUS, type NativeCommand } from '../../protocol/index.js';
import type { CacheOptions } from '../cache.js';
import { aborted, closedError, MlmError } from '../errors.js';
import { Offer, type Handler, type Outcome } from '../offer.js';
import { DeliveryQueue } from '../queue.js';
import type { Room } from '../room.js';
import type { ServiceVerbs } from '../rooms.js';
import { checkOffer, type OfferOptions } from '../services.js';
import { ServiceRequest } from '../service-request.js';
import { failureOf } from '../worker-error.js';
import { HeldRequest } from './held-request.js';
import { Lease } from './lease.js';
import type { Member } from './session.js';

const UNBOUNDED = { messagesMax: Infinity, bytesMax: Infinity };

/** How the broker is told what became of an attempt; docs/protocol.md, "Deliveries". */
const STATUS_OF = {
  failed: STATUS.FAILED,
  transient: STATUS.FAILED,
  'out-of-memory': STATUS.FAILED,
  'bad-input': STATUS.BAD_INPUT,
  'not-ready': STATUS.NOT_READY,
} as const;

/** An offer, and what waits for the broker's word about it. */
interface Offered {
  readonly offer: Offer;
  readonly leaseMs: number;
  readonly cache: CacheOptions | undefined;
  readonly lease: Lease;
  accepted: boolean;
  readonly ready: (error?: MlmError) => void;
}

/** A request that is held, and the offer that it was brought to. */
interface Held {
  readonly held: HeldRequest;
  readonly lease: Lease | undefined;
}

export class NativeServices implements ServiceVerbs, Member {
  readonly #room: Room;
  readonly #offered = new Map<string, Offered[]>();
  /** What is held for each request whose handler has not ended. */
  readonly #held = new Map<ServiceRequest, Held>();
  /** The same by the number of the delivery, in this session. */
  readonly #deliveries = new Map<number, HeldRequest>();

  constructor(room: Room) {
    this.#room = room;
    room.native.join(this);
  }

  /** @throws {MlmError} through its promise; see MlmClient.offer */
  async offer(service: string, options: OfferOptions, handler: Handler): Promise<Offer> {
    const checked = checkOffer(service, options);
    const { pattern, filter, capacity, labels, leaseMs, extend, cache, signal } = checked;
    const { connection, clock, intake } = this.#room;
    if (connection.over !== undefined) throw connection.over;
    const others = this.#offered.get(service) ?? [];
    if (others.some(({ offer }) => offer.pattern === pattern)) {
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
      queue: new DeliveryQueue(UNBOUNDED, intake, true),
      finish: (request, outcome) => this.#finish(request, outcome),
      withdraw: (stopped) => this.#withdraw(stopped),
      changed: (changed) => this.#changed(changed),
    });
    const lease = new Lease(clock, extend === 'auto', {
      leaseMs: () => Math.min(leaseMs, this.#leaseMs(service)),
      // What waits for a handler here could be with a worker that has time.
      turn: () => offer.giveBack(),
    });
    await this.#declare({ offer, leaseMs, cache, lease }, signal);
    return offer;
  }

  deliver(delivery: NativeCommand<'SERVICE DELIVER'>): void {
    const { address, sender, subject, tracker, content, attempt, timeMs } = delivery;
    const held = new HeldRequest(this.#room, delivery);
    const frames = [...content];
    const request = new ServiceRequest(
      address,
      sender,
      subject,
      tracker,
      frames,
      held,
      attempt,
      timeMs,
    );
    const offers = this.#offered.get(address);
    // The broker has matched the subject already; its engine may see more in a pattern.
    const chosen = offers?.find(({ offer }) => offer.matches(subject)) ?? offers?.[0];
    this.#held.set(request, { held, lease: chosen?.lease });
    this.#deliveries.set(held.delivery, held);
    chosen?.lease.add(held);
    if (chosen === undefined) this.#finish(request, { kind: 'stopped' });
    else chosen.offer.take(request);
  }

  /** The broker has taken a request back. */
  revoked({ delivery, epoch, statusCode, statusReason }: NativeCommand<'REVOKED'>): void {
    const held = this.#deliveries.get(delivery);
    if (held?.epoch === epoch) held.revoke(revocation(statusCode, statusReason));
  }

  sessionOpened(): void {
    for (const service of this.#offered.keys()) this.#offerAll(service);
  }

  sessionLost(): void {
    const message = 'the session is lost: the request is given to another worker';
    this.#endRequests(new MlmError('DISCONNECTED', message));
    this.#deliveries.clear();
  }

  stopAll(): void {
    for (const offers of this.#offered.values()) {
      for (const { offer } of offers) offer.refuseWaiting();
    }
    this.#endRequests(closedError());
  }

  /** The client is over: offers that wait for the broker's word get none. */
  end(error: MlmError): void {
    for (const offers of this.#offered.values()) {
      for (const { ready, lease } of offers) {
        lease.stop();
        ready(error);
      }
    }
  }

  #endRequests(error: MlmError): void {
    for (const { held } of this.#held.values()) held.end(error);
  }

  async #declare(
    declared: Pick<Offered, 'offer' | 'leaseMs' | 'cache' | 'lease'>,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const { offer } = declared;
    const { service } = offer;
    const onAbort = (): void => {
      if (signal !== undefined) settle(aborted('the offer', signal));
      void offer.stop();
    };
    let settle: (error?: MlmError) => void = () => undefined;
    const ready = new Promise<void>((resolve, reject) => {
      settle = (error) => (error === undefined ? resolve() : reject(error));
    });
    signal?.addEventListener('abort', onAbort, { once: true });
    const told = (error?: MlmError): void => settle(error);
    const offered: Offered = { ...declared, accepted: false, ready: told };
    this.#offered.set(service, [...(this.#offered.get(service) ?? []), offered]);
    if (this.#room.native.isOpen) this.#offerAll(service);
    try {
      await ready;
    } catch (error) {
      signal?.removeEventListener('abort', onAbort);
      this.#remove(offer);
      throw error;
    }
  }

  /** To the broker, the offers of a service are one worker with several patterns. */
  #offerAll(service: string, told?: () => void): void {
    const offers = this.#offered.get(service) ?? [];
    const capacity = offers.reduce((sum, { offer }) => sum + offer.capacity, 0);
    const labels = Object.assign({}, ...offers.map(({ offer }) => offer.labels)) as object;
    const leaseMs = this.#leaseMs(service);
    for (const offered of offers) {
      const { cache } = offered;
      const { pattern } = offered.offer;
      this.#room.native.call(
        'offer',
        { service, pattern, capacity, labels, leaseMs, ...(cache !== undefined && { cache }) },
        {
          done: () => {
            offered.accepted = true;
            offered.ready();
            told?.();
          },
          refused: (error) => {
            this.#onRefused(offered, error);
            told?.();
          },
          // The next session begins with all offers as they are then.
          dropped: () => told?.(),
        },
      );
    }
  }

  #leaseMs(service: string): number {
    const leases = (this.#offered.get(service) ?? []).map(({ leaseMs }) => leaseMs);
    return Math.min(...leases);
  }

  /** @returns resolves when the broker knows, or will know with the next session */
  #changed(offer: Offer): Promise<void> {
    const { connection, native } = this.#room;
    if (connection.over !== undefined) return Promise.reject(connection.over);
    if (!native.isOpen) return Promise.resolve();
    return new Promise((resolve) => this.#offerAll(offer.service, resolve));
  }

  /** Refused at first, the promise of `offer` tells; refused in a later session, an event. */
  #onRefused(offered: Offered, error: MlmError): void {
    this.#remove(offered.offer);
    offered.offer.refuseWaiting();
    if (offered.accepted) this.#room.events.report(error);
    else offered.ready(error);
  }

  /** @returns false where it was removed before */
  #remove(offer: Offer): boolean {
    const offers = this.#offered.get(offer.service) ?? [];
    const left = offers.filter((other) => other.offer !== offer);
    if (left.length > 0) this.#offered.set(offer.service, left);
    else this.#offered.delete(offer.service);
    return left.length < offers.length;
  }

  /** The broker knows one withdrawal for all offers of a service: the others are made again. */
  #withdraw(offer: Offer): Promise<void> {
    const { native } = this.#room;
    const { service } = offer;
    if (!this.#remove(offer) || !native.isOpen) return Promise.resolve();
    return new Promise((resolve) => {
      const done = (): void => resolve();
      native.call('withdraw', { service }, { done, refused: done, dropped: done });
      this.#offerAll(service);
    });
  }

  #finish(request: ServiceRequest, outcome: Outcome): void {
    const { held, lease } = this.#held.get(request) as Held;
    this.#held.delete(request);
    if (this.#deliveries.get(held.delivery) === held) this.#deliveries.delete(held.delivery);
    lease?.remove(held);
    switch (outcome.kind) {
      case 'done':
        this.#reply(held, outcome.content);
        break;
      case 'failed': {
        const failure = failureOf(outcome.thrown);
        held.settle(STATUS_OF[failure.class], failure.reason);
        break;
      }
      case 'stopped':
      case 'overloaded':
        held.settle(STATUS.NOT_READY, 'this worker has stopped');
    }
  }

  /** What the broker does not take would fail again. */
  #reply(held: HeldRequest, content: Buffer[]): void {
    const tooLarge = held.whyTooLarge(content);
    if (tooLarge === undefined) held.reply(content);
    else held.settle(STATUS.BAD_INPUT, `bad-input: ${tooLarge}`);
  }
}

/** Why the broker has taken a request back, as the reason of the handler's signal. */
export function revocation(status: number, reason: string): MlmError {
  const why = reason === '' ? '' : `: ${reason}`;
  if (status === STATUS.CANCELLED) {
    return new MlmError('CANCELLED', `the request was cancelled${why}`, { status });
  }
  if (status === STATUS.EXPIRED) {
    return new MlmError('EXPIRED', `the deadline of the request is over${why}`, { status });
  }
  return new MlmError('REVOKED', `the broker has taken the request back${why}`, { status });
}
