// Services: requests shared among the workers that offer to do them. A request
// goes to the worker whose pattern matches its subject and who was served least
// recently; without one it waits. Waiting requests stand in lanes, one for each
// set of patterns that match them, so that a worker finds its next request
// without looking at those it does not do.
import { compilePattern, ProtocolError, STATUS, type Pattern } from '../protocol/index.js';
import { Deque } from './deque.js';
import type { EngineContext } from './engine-context.js';
import { KeptQueue, type Sending } from './kept-queue.js';
import type { Message } from './message.js';
import { refused, type Refusal } from './refusal.js';
import type { Session } from './session.js';
import type { KeptMessage } from './store/store.js';
import { WaitingLine } from './waiting-line.js';

const SUBJECTS_CACHED_MAX = 10_000;

/** A session that offers a service, under one or more patterns. */
export interface Worker {
  readonly session: Session;
  readonly service: Service;
  readonly groups: Set<Group>;
  /** The turn at which it was last given a request. */
  servedAt: number;
}

/** The workers that offer a service under one pattern. */
interface Group {
  readonly pattern: Pattern;
  /** Who could take a request, the least recently served first. */
  readonly ready: Set<Worker>;
  /** The lanes of requests that the pattern matches and that wait. */
  readonly lanes: Set<Lane>;
  workers: number;
}

/** The waiting requests that the same patterns match. */
interface Lane {
  readonly groups: readonly Group[];
  readonly line: WaitingLine;
}

export class Service extends KeptQueue {
  readonly workers = new Map<Session, Worker>();
  readonly #groups = new Map<string, Group>();
  readonly #onIdle: (service: Service) => void;
  #lanes = new Map<string, Lane>();
  #laneOfSubject = new Map<string, Lane>();
  /** Accepted requests that are not durable yet. */
  readonly #gathering = new Deque<Message>();
  #turn = 0;

  constructor(name: string, context: EngineContext, onIdle: (service: Service) => void) {
    super('service', name, context.limits.service, context);
    this.#onIdle = onIdle;
  }

  get idle(): boolean {
    return this.workers.size === 0 && this.messages === 0;
  }

  /** The patterns under which it is offered now. */
  get patterns(): string[] {
    return [...this.#groups.values()]
      .filter((group) => group.workers > 0)
      .map((group) => group.pattern.source);
  }

  /** A session offers the service. The same offer again changes nothing. */
  offer(session: Session, source: string): Refusal | undefined {
    const group = this.#groups.get(source) ?? this.#newGroup(source);
    if ('reason' in group) return group;
    let worker = this.workers.get(session);
    if (worker === undefined) {
      worker = { session, service: this, groups: new Set(), servedAt: ++this.#turn };
      this.workers.set(session, worker);
    }
    if (worker.groups.has(group)) return undefined;
    worker.groups.add(group);
    group.workers++;
    group.ready.add(worker);
    return undefined;
  }

  /** The session's offers end. */
  withdraw(session: Session): void {
    const worker = this.workers.get(session);
    if (worker === undefined) return;
    this.workers.delete(session);
    for (const group of worker.groups) {
      group.ready.delete(worker);
      group.workers--;
    }
    if (this.idle) this.#onIdle(this);
  }

  /** Gives a worker what waits for it, as far as it takes it. */
  serve(worker: Worker): void {
    for (;;) {
      const lane = this.#nextLane(worker);
      if (lane === undefined) {
        this.#setReady(worker);
        return;
      }
      if (!worker.session.takesMore('service')) {
        for (const group of worker.groups) group.ready.delete(worker);
        return;
      }
      this.#give(worker, lane.line.shift() as Message);
      this.#closeIfEmpty(lane);
    }
  }

  protected override deliver(): void {
    let message = this.#gathering.peek();
    while (message !== undefined && message.sequence <= this.durableSequence) {
      this.#gathering.shift();
      if (!message.gone) this.#place(message);
      message = this.#gathering.peek();
    }
  }

  protected override enqueue(message: Message): void {
    this.#gathering.push(message);
  }

  protected override putBack(message: Message): void {
    const lane = this.#laneFor(message.subject);
    const worker = lane.line.length === 0 ? this.#readyWorker(lane) : undefined;
    if (worker !== undefined) {
      this.#give(worker, message);
      return;
    }
    lane.line.putBack(message);
    this.#open(lane);
    if (message.expiresAtMs > 0) {
      this.context.expiry.watch(
        message,
        Math.max(1, message.expiresAtMs - this.context.clock.nowMs()),
      );
    }
    this.#serveReady(lane);
  }

  protected override noteGone(message: Message): void {
    // One that is not durable yet stands in no lane.
    if (message.sequence > this.durableSequence) return;
    const lane = this.#laneFor(message.subject);
    lane.line.noteGone();
    this.#closeIfEmpty(lane);
  }

  protected override release(message: Message): void {
    super.release(message);
    if (this.idle) this.#onIdle(this);
  }

  /** Gives a request to a worker at once, or lets it wait. */
  #place(message: Message): void {
    const lane = this.#laneFor(message.subject);
    const worker = lane.line.length === 0 ? this.#readyWorker(lane) : undefined;
    if (worker !== undefined) {
      this.#give(worker, message);
      return;
    }
    lane.line.push(message);
    this.#open(lane);
  }

  #give(worker: Worker, message: Message): void {
    this.context.expiry.unwatch(message);
    worker.servedAt = ++this.#turn;
    for (const group of worker.groups) {
      // To the end of the line of those who are ready.
      if (group.ready.delete(worker)) group.ready.add(worker);
    }
    worker.session.deliverMessage('service', this.name, message);
  }

  /** The worker that was served least recently, of those who match and can take a request. */
  #readyWorker(lane: Lane): Worker | undefined {
    let best: Worker | undefined;
    for (const group of lane.groups) {
      for (const worker of group.ready) {
        if (!worker.session.takesMore('service')) {
          for (const other of worker.groups) other.ready.delete(worker);
          continue;
        }
        if (best === undefined || worker.servedAt < best.servedAt) best = worker;
        break;
      }
    }
    return best;
  }

  #serveReady(lane: Lane): void {
    for (let worker = this.#readyWorker(lane); worker !== undefined && lane.line.length > 0;) {
      this.#give(worker, lane.line.shift() as Message);
      this.#closeIfEmpty(lane);
      worker = this.#readyWorker(lane);
    }
  }

  #setReady(worker: Worker): void {
    for (const group of worker.groups) group.ready.add(worker);
  }

  /** The lane whose first request has waited longest, of those that the worker does. */
  #nextLane(worker: Worker): Lane | undefined {
    let best: Lane | undefined;
    let bestSequence = Infinity;
    for (const group of worker.groups) {
      for (const lane of group.lanes) {
        const sequence = lane.line.peek()?.sequence ?? Infinity;
        if (sequence < bestSequence) [best, bestSequence] = [lane, sequence];
      }
    }
    return best;
  }

  #laneFor(subject: string): Lane {
    let lane = this.#laneOfSubject.get(subject);
    if (lane !== undefined) return lane;
    const groups: Group[] = [];
    let key = '';
    for (const [source, group] of this.#groups) {
      if (!group.pattern.matches(subject)) continue;
      groups.push(group);
      key += `${source.length}:${source}`;
    }
    lane = this.#lanes.get(key);
    if (lane === undefined) this.#lanes.set(key, (lane = { groups, line: new WaitingLine() }));
    if (this.#laneOfSubject.size >= SUBJECTS_CACHED_MAX) this.#laneOfSubject.clear();
    this.#laneOfSubject.set(subject, lane);
    return lane;
  }

  #open(lane: Lane): void {
    for (const group of lane.groups) group.lanes.add(lane);
  }

  #closeIfEmpty(lane: Lane): void {
    if (lane.line.length > 0) return;
    for (const group of lane.groups) group.lanes.delete(lane);
  }

  #newGroup(source: string): Group | Refusal {
    this.#dropUnusedGroups();
    const { patternsMax } = this.context.limits;
    if (this.#groups.size >= patternsMax) {
      return refused(`service ${this.name} is offered under ${patternsMax} patterns already`);
    }
    let pattern: Pattern;
    try {
      pattern = compilePattern(source);
    } catch (error) {
      if (error instanceof ProtocolError) return refused(error.message);
      throw error;
    }
    const group: Group = { pattern, ready: new Set(), lanes: new Set(), workers: 0 };
    this.#groups.set(source, group);
    this.#arrangeLanes();
    return group;
  }

  #dropUnusedGroups(): void {
    if (this.#groups.size < this.context.limits.patternsMax) return;
    for (const [source, group] of this.#groups)
      if (group.workers === 0) this.#groups.delete(source);
  }

  /** Sorts what waits into lanes anew: the patterns have changed. */
  #arrangeLanes(): void {
    const waiting: Message[] = [];
    for (const lane of this.#lanes.values())
      for (const message of lane.line.drain()) waiting.push(message);
    waiting.sort((a, b) => a.sequence - b.sequence);
    for (const group of this.#groups.values()) group.lanes.clear();
    this.#lanes = new Map();
    this.#laneOfSubject = new Map();
    for (const message of waiting) {
      const lane = this.#laneFor(message.subject);
      lane.line.push(message);
      this.#open(lane);
    }
  }
}

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
  recover(name: string, messages: readonly KeptMessage[]): void {
    const service = new Service(name, this.#context, (idle) => {
      this.#services.delete(idle.name);
    });
    this.#services.set(name, service);
    service.recover(messages);
  }

  /** SERVICE SEND. */
  send(origin: Session, name: string, sending: Sending): void {
    const service = this.#require(name);
    if ('reason' in service) {
      this.#context.counters.refused++;
      this.#context.confirmations.tell(
        origin.origin,
        sending.tracker,
        STATUS.FAILED,
        service.reason,
      );
      return;
    }
    this.#context.counters.serviceRequests++;
    service.send(origin, sending);
  }

  /** SERVICE OFFER. What waits is delivered by `serve`, once the offer was answered. */
  offer(session: Session, name: string, pattern: string): Refusal | undefined {
    const { subscriptionsMax } = this.#context.limits;
    if (session.offers.size >= subscriptionsMax) {
      return refused(`a session offers ${subscriptionsMax} services at most`);
    }
    const service = this.#require(name);
    if ('reason' in service) return service;
    const refusal = service.offer(session, pattern);
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

  /** The session has room again. */
  resume(session: Session): void {
    for (const worker of session.offers.values()) worker.service.serve(worker);
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
    const service = new Service(name, this.#context, (idle) => {
      this.#services.delete(idle.name);
    });
    this.#services.set(name, service);
    return service;
  }
}
