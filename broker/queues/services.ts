// The services of the broker by name, and what sessions do with them. How one
// service shares its requests stands in service.ts.
import type { EngineContext } from '../engine-context.js';
import type { Kept, Sending } from './kept-queue.js';
import { refused, type Refusal } from '../refusal.js';
import type { RequestName } from './request-table.js';
import { PLAIN_TERMS, Service, type OfferTerms } from './service.js';
import type { Session } from '../sessions/session.js';
import type { Place } from '../store/storage.js';
import type { KeptMessage } from '../store/store.js';

export class Services {
  readonly #context: EngineContext;
  readonly #services = new Map<string, Service>();

  constructor(context: EngineContext) {
    this.#context = context;
  }

  get size(): number {
    return this.#services.size;
  }

  [Symbol.iterator](): IterableIterator<Service> {
    return this.#services.values();
  }

  /** Takes over what an earlier run of the broker kept for a service. */
  recover(place: Place, name: string, messages: Iterable<KeptMessage>): void {
    const service = this.#services.get(name) ?? this.#create(name, place);
    service.recover(messages);
  }

  /**
   * Sends a request.
   *
   * @param sender whose request it is, where that is not the session's own
   * @returns what keeps it, or why nothing does
   */
  send(origin: Session, name: string, sending: Sending, sender = origin.address): Kept | string {
    const service = this.#require(name);
    if ('reason' in service) {
      this.#context.counters.refused++;
      return service.reason;
    }
    const result = service.send(origin, sending, sender);
    if (typeof result !== 'string') this.#context.counters.serviceRequests++;
    else if (service.idle) this.#services.delete(name);
    return result;
  }

  /**
   * A session offers a service. What waits is delivered by `serve`, once the
   * offer was answered.
   *
   * @param terms what the session says of itself
   */
  offer(
    session: Session,
    name: string,
    pattern: string,
    terms: OfferTerms = PLAIN_TERMS,
  ): Refusal | undefined {
    const { subscriptionsMax } = this.#context.limits;
    if (session.offers.size >= subscriptionsMax) {
      return refused(`a session offers ${subscriptionsMax} services at most`);
    }
    const service = this.#require(name);
    if ('reason' in service) return service;
    const refusal = service.offer(session, pattern, terms);
    this.#context.presence.changed(session);
    const worker = service.workers.get(session);
    if (worker !== undefined) session.offers.set(name, worker);
    else if (service.idle) this.#services.delete(name);
    return refusal;
  }

  /** Gives a session what waits for the service it has just offered. */
  serve(session: Session, name: string): void {
    const worker = session.offers.get(name);
    worker?.service.serve(worker);
  }

  /** A session offers a service no more. What it holds it may still confirm. */
  withdraw(session: Session, name: string): void {
    session.offers.get(name)?.service.withdraw(session);
    session.offers.delete(name);
    this.#context.presence.changed(session);
  }

  /**
   * Gives up a request that somebody does not want any more.
   *
   * @param by who wants that
   * @returns where it was, or why it cannot be cancelled
   */
  cancel(
    name: string,
    request: RequestName,
    by: string,
  ): { readonly was: 'waiting' | 'running' } | string {
    const service = this.#services.get(name);
    return service?.cancel(request, by) ?? `service ${name} keeps no requests`;
  }

  /** The session has room again. */
  resume(session: Session): void {
    for (const [name, worker] of session.offers) {
      if (worker.service.serve(worker) || session.takesMore('service')) continue;
      // It takes no more: its other services have the first turn next time.
      session.offers.delete(name);
      session.offers.set(name, worker);
      return;
    }
  }

  /** The session ends: nothing more goes to it. */
  detach(session: Session): void {
    for (const worker of session.offers.values()) worker.service.withdraw(session);
    session.offers.clear();
  }

  #require(name: string): Service | Refusal {
    const existing = this.#services.get(name);
    if (existing !== undefined) return existing;
    const { servicesMax } = this.#context.limits;
    if (name.startsWith('$')) return refused(`"${name}" is not a name for a service`);
    if (this.#services.size >= servicesMax)
      return refused(`there are ${servicesMax} services already`);
    return this.#create(name);
  }

  #create(name: string, place?: Place): Service {
    const forget = (idle: Service): void => void this.#services.delete(idle.name);
    const service = new Service(name, this.#context, forget, place);
    this.#services.set(name, service);
    return service;
  }
}
