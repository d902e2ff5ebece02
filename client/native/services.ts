// The worker's side of services in native sessions. A request is held until it
// is confirmed; its reply and its confirm travel in one batch, so that both are
// durable together. When the session is lost, the broker gives what it held to
// other workers, and the handlers that run here are told by their signals.
import { STATUS, type NativeCommand } from '../../protocol/index.js';
import { aborted, closedError, MlmError } from '../errors.js';
import { ServiceRequest } from '../message.js';
import { Offer, type Handler, type Outcome } from '../offer.js';
import { checkPattern, checkSignal, checkText } from '../options.js';
import { DeliveryQueue } from '../queue.js';
import type { Room } from '../room.js';
import type { ServiceVerbs } from '../rooms.js';
import { capacityOf, type OfferOptions } from '../services.js';
import { SubjectFilter } from '../subject-filter.js';
import { bytesOf } from '../value.js';
import { encodeThrown, failureOf } from '../worker-error.js';
import type { HeldDelivery } from './held.js';
import type { Member } from './session.js';

const UNBOUNDED = { messagesMax: Infinity, bytesMax: Infinity };
/** How the broker is told what became of an attempt; docs/protocol.md, "Deliveries". */
const STATUS_OF = { failed: 300, 'bad-input': 400, 'not-ready': 503 } as const;

/** An offer, and what waits for the broker's word about it. */
interface Offered {
  readonly offer: Offer;
  readonly capacity: number;
  accepted: boolean;
  readonly ready: (error?: MlmError) => void;
}

export class NativeServices implements ServiceVerbs, Member {
  readonly #room: Room;
  readonly #offered = new Map<string, Offered[]>();
  /** The delivery that is to be confirmed for a request. */
  readonly #held = new WeakMap<ServiceRequest, HeldDelivery>();
  /** Fires when the session is lost, or the client closes. */
  #session = new AbortController();

  constructor(room: Room) {
    this.#room = room;
    room.native.join(this);
  }

  /** @throws {MlmError} through its promise; see MlmClient.offer */
  async offer(service: string, options: OfferOptions, handler: Handler): Promise<Offer> {
    const { pattern = '', signal } = options;
    checkText('service', service);
    const capacity = capacityOf(options);
    const filter = new SubjectFilter(checkPattern(pattern));
    checkSignal('the offer', signal);
    const { connection, intake } = this.#room;
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
      concurrency: capacity,
      handler,
      queue: new DeliveryQueue(UNBOUNDED, intake, true),
      finish: (request, outcome) => this.#finish(request, outcome),
      withdraw: (stopped) => this.#withdraw(stopped),
    });
    await this.#declare(offer, capacity, signal);
    return offer;
  }

  deliver(delivery: NativeCommand<'SERVICE DELIVER'>, held: HeldDelivery): void {
    const { address, sender, subject, tracker, content, attempt, timeMs } = delivery;
    const { signal } = this.#session;
    const frames = [...content];
    const request = new ServiceRequest(
      address,
      sender,
      subject,
      tracker,
      frames,
      signal,
      attempt,
      timeMs,
    );
    this.#held.set(request, held);
    const offers = this.#offered.get(address);
    // The broker has matched the subject already; its engine may see more in a pattern.
    const chosen = offers?.find(({ offer }) => offer.matches(subject)) ?? offers?.[0];
    if (chosen === undefined) this.#finish(request, { kind: 'stopped' });
    else chosen.offer.take(request);
  }

  sessionOpened(): void {
    this.#session = new AbortController();
    for (const service of this.#offered.keys()) this.#offerAll(service);
  }

  sessionLost(): void {
    const message = 'the session is lost: the request is given to another worker';
    this.#session.abort(new MlmError('DISCONNECTED', message));
  }

  stopAll(): void {
    for (const offers of this.#offered.values()) {
      for (const { offer } of offers) offer.refuseWaiting();
    }
    this.#session.abort(closedError());
  }

  /** The client is over: offers that wait for the broker's word get none. */
  end(error: MlmError): void {
    for (const offers of this.#offered.values()) for (const { ready } of offers) ready(error);
  }

  async #declare(offer: Offer, capacity: number, signal: AbortSignal | undefined): Promise<void> {
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
    const offered: Offered = { offer, capacity, accepted: false, ready: (error) => settle(error) };
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

  /** Tells the broker of every offer of a service. Its capacity is that of all of them together. */
  #offerAll(service: string): void {
    const offers = this.#offered.get(service) ?? [];
    const capacity = offers.reduce((sum, offered) => sum + offered.capacity, 0);
    for (const offered of offers) {
      const { pattern } = offered.offer;
      this.#room.native.call(
        'offer',
        { service, pattern, capacity },
        {
          done: () => {
            offered.accepted = true;
            offered.ready();
          },
          refused: (error) => this.#onRefused(offered, error),
          dropped: () => undefined,
        },
      );
    }
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
    const held = this.#held.get(request) as HeldDelivery;
    switch (outcome.kind) {
      case 'done':
        this.#reply(request, outcome.content, held.settling(STATUS.SUCCESS));
        break;
      case 'failed':
        this.#fail(request, held, outcome.thrown);
        break;
      case 'stopped':
      case 'overloaded':
        held.settle(STATUS_OF['not-ready'], 'this worker has stopped');
    }
  }

  #fail(request: ServiceRequest, held: HeldDelivery, thrown: unknown): void {
    const failure = failureOf(thrown);
    const status = STATUS_OF[failure.class];
    const confirm = held.settling(status, failure.reason);
    // What is final is said to the requester in full; the rest only if it becomes so.
    if (failure.class === 'bad-input') this.#reply(request, encodeThrown(thrown), confirm);
    else if (confirm !== undefined) this.#room.native.say(confirm);
  }

  /** Sends a reply and the confirm behind it; nothing where the request is not ours any more. */
  #reply(
    { sender, subject, tracker }: ServiceRequest,
    content: Buffer[],
    confirm: NativeCommand<'CONFIRM DELIVERY'> | undefined,
  ): void {
    const { events, native } = this.#room;
    if (confirm === undefined) return;
    if (sender === '') {
      native.say(confirm);
      return;
    }
    const command: NativeCommand<'MAILBOX SEND'> = {
      name: 'MAILBOX SEND',
      address: sender,
      subject,
      tracker,
      timeout: 0,
      content,
    };
    const failed = (error: MlmError): void => {
      if (error.code === 'REFUSED') events.report(error);
    };
    const waiter = { index: 0, accepted: () => undefined, failed };
    native.outbox.add(command, bytesOf(content), waiter, confirm);
    native.wake();
  }
}
