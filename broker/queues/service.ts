// One service: requests shared among the workers that offer to do them. A request
// goes to an idle worker whose pattern matches its subject and who has what it
// needs, and of these to the one that was served least recently; without one it
// waits, in a lane. What becomes of it then stands in requests.ts.
import { Deque } from '../deque.js';
import { cacheOf, Caches } from './caches.js';
import type { EngineContext } from '../engine-context.js';
import { Lanes, type Group, type Lane, type Worker } from './lanes.js';
import type { Message } from './message.js';
import type { Refusal } from '../refusal.js';
import type { Session } from '../sessions/session.js';
import type { Place } from '../store/storage.js';
import { RequestQueue } from './requests.js';
import type { CacheTerms } from './sharing.js';
import { readWants, type Labels, type Needs } from './wants.js';

/** What a session says of itself when it offers a service. */
export interface OfferTerms {
  /** Requests that it may hold at a time; Infinity for MLM/1, which cannot confirm. */
  readonly capacity: number;
  readonly labels: Labels;
  /** How long it may work on a request without a word, ms; 0 for as long as its session lives. */
  readonly leaseMs: number;
  /** Under what it keeps results of requests that match the pattern; undefined for not at all. */
  readonly cache?: CacheTerms | undefined;
}

/** The terms of a session that says nothing of itself. */
export const PLAIN_TERMS: OfferTerms = { capacity: Infinity, labels: {}, leaseMs: 0 };

export class Service extends RequestQueue {
  readonly workers = new Map<Session, Worker>();
  readonly #lanes: Lanes;
  readonly #caches = new Caches();
  readonly #onIdle: (service: Service) => void;
  /** Accepted requests that are not durable yet. */
  readonly #gathering = new Deque<Message>();
  /** Requests that came back since the last commit. */
  readonly #returned = new Set<Message>();
  #turn = 0;
  /** True where workers have to wait until those were answered that need none. */
  #paused = false;

  constructor(
    name: string,
    context: EngineContext,
    onIdle: (service: Service) => void,
    place?: Place,
  ) {
    super('service', name, context.limits.service, context, place);
    this.#onIdle = onIdle;
    this.#lanes = new Lanes(context.limits.patternsMax);
  }

  get idle(): boolean {
    return this.workers.size === 0 && this.messages === 0;
  }

  /** Requests that native workers hold. */
  get running(): number {
    let count = 0;
    for (const { held } of this.workers.values()) count += held;
    return count;
  }

  /** The patterns under which it is offered now. */
  get patterns(): string[] {
    return this.#lanes.patterns;
  }

  /**
   * How long the request has been waiting that waits for a worker longest, ms; undefined
   * where none waits. One that waits for its time, or for another one of its key, does not count.
   */
  get oldestMs(): number | undefined {
    let acceptedMs = Infinity;
    // Of each line the first one is the oldest, but for some of those that have a key.
    for (const { acceptedWallMs } of this.#lanes.firsts()) {
      acceptedMs = Math.min(acceptedMs, acceptedWallMs);
    }
    if (acceptedMs === Infinity) return undefined;
    return Math.max(0, this.context.clock.wallMs() - acceptedMs);
  }

  /** A session offers the service. The same offer again changes nothing. */
  offer(session: Session, source: string, given: OfferTerms): Refusal | undefined {
    const { cache, ...terms } = given;
    const group = this.#lanes.group(source);
    if ('reason' in group) return group;
    let worker = this.workers.get(session);
    if (worker === undefined) {
      const servedAt = ++this.#turn;
      const keys = new Set<string>();
      const own = { groups: new Set<Group>(), caches: undefined, servedAt, keys };
      worker = { session, service: this, ...own, ...heldBy(session, this), ...terms };
      this.workers.set(session, worker);
    }
    Object.assign(worker, terms);
    this.#caches.offer(worker, group, cache);
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
    this.keys.withdraw(worker);
    this.#caches.withdraw(worker);
    for (const group of worker.groups) {
      group.ready.delete(worker);
      group.workers--;
    }
    if (this.idle) this.#onIdle(this);
  }

  /** Gives a worker what waits for it. @returns false where it did not take everything */
  serve(worker: Worker): boolean {
    for (;;) {
      const lane = this.#lanes.next(worker);
      if (lane === undefined) {
        this.#setReady(worker);
        return true;
      }
      // One that is to be alone keeps others waiting until its worker has done what it has.
      if (!canTake(worker) || !this.#mayHave(worker, lane.line.peek())) {
        for (const group of worker.groups) group.ready.delete(worker);
        return false;
      }
      if (this.#mustPause()) return false;
      this.#give(worker, lane.line.shift() as Message);
      this.#lanes.closeIfEmpty(lane);
    }
  }

  protected override deliver(): void {
    let message = this.#gathering.peek();
    while (message !== undefined && message.sequence <= this.durableSequence) {
      this.#gathering.shift();
      if (!message.gone) this.dispatch(message);
      message = this.#gathering.peek();
    }
    this.sharing.turn();
    if (this.#returned.size > 0) {
      for (const returned of this.#returned) this.#serveReady(this.#lanes.of(returned));
      this.#returned.clear();
    }
    if (this.#paused) this.#goOn();
  }

  /** What needs no worker is not looked for without end: others have their turn in between. */
  #mustPause(): boolean {
    if (this.sharing.isBusy) this.#paused = true;
    return this.sharing.isBusy;
  }

  #goOn(): void {
    this.#paused = false;
    for (const worker of this.workers.values()) this.serve(worker);
  }

  protected override enqueue(message: Message): void {
    super.enqueue(message);
    const { wants, job } = message;
    const wanted = readWants(wants, job);
    // It was read before when it was accepted; a store may hold anything.
    if (typeof wanted !== 'string') message.wanted = wanted;
    message.needs = message.wanted.needs;
    this.#gathering.push(message);
  }

  protected override free(session: Session): void {
    const worker = this.workers.get(session);
    if (worker === undefined || worker.held === 0) return;
    worker.held--;
    worker.alone = false;
  }

  protected override serveWorker(session: Session): void {
    const worker = this.workers.get(session);
    if (worker === undefined) return;
    worker.servedAt = ++this.#turn;
    this.serve(worker);
  }

  override due(message: Message): void {
    message.notBeforeWallMs = 0;
    if (message.gone) return;
    this.watchWaiting(message);
    if (this.keys.enter(message) && !this.#spare(message)) this.#standInLine(message);
  }

  protected override putBack(message: Message): void {
    this.watchWaiting(message);
    if (this.keys.enter(message)) this.#standInLine(message);
  }

  #standInLine(message: Message): void {
    const lane = this.#lanes.of(message);
    lane.line.putBack(message);
    this.#lanes.open(lane);
    // Others may come back with it: they are given to workers together, the oldest first.
    this.#returned.add(message);
    this.commits.touch(this);
  }

  protected override drop(message: Message): void {
    const { line } = message;
    super.drop(message);
    if (line === undefined) return;
    this.#lanes.closeIfEmpty(this.#lanes.of(message));
    if (this.goesAlone(message)) this.#othersGoOn();
  }

  protected override release(message: Message): void {
    super.release(message);
    if (this.idle) this.#onIdle(this);
  }

  /** Gives a request to a worker at once, or lets it wait. */
  protected override dispatch(message: Message): void {
    if (this.#heldBack(message) || !this.keys.enter(message)) return;
    this.#seek(message);
  }

  /** True for a request whose time has not come yet; it is put back when it comes. */
  #heldBack(message: Message): boolean {
    if (message.notBeforeWallMs === 0) return false;
    const { notBeforeWallMs, acceptedWallMs } = message;
    // A wall clock that was set back does not make anybody wait longer than at first.
    const leftMs = notBeforeWallMs - this.context.clock.wallMs();
    const delayMs = Math.min(leftMs, notBeforeWallMs - acceptedWallMs);
    if (delayMs <= 0) {
      message.notBeforeWallMs = 0;
      return false;
    }
    message.heldBack = this.watchDelay(message, delayMs);
    return true;
  }

  /** Finds a worker for a request whose turn it is. */
  #seek(message: Message): void {
    const { preferred, settleMs } = message.wanted;
    if (preferred !== undefined && settleMs > 0) {
      message.needs = preferred;
      message.settling = this.watchDelay(message, settleMs, true);
    }
    if (this.#spare(message)) return;
    this.#giveOrKeep(message, preferred);
    if (preferred === undefined && message.line !== undefined) this.sharing.wait(message);
  }

  /** True where a request needs no worker now, since one has done the same, or does it. */
  #spare(message: Message): boolean {
    if (this.#caches.none) return false;
    const { subject, wanted } = message;
    const lane = this.#lanes.of({ subject, needs: wanted.needs });
    return this.sharing.spare(message, this.#caches.of(lane));
  }

  /** No preferred worker had time for a request: another one will do. */
  override settle(message: Message): void {
    const { line, wanted } = message;
    const { needs } = wanted;
    if (message.gone || message.needs === needs) return;
    const lane = this.#lanes.of(message);
    message.needs = needs;
    if (line === undefined || this.sharing.isSpared(message)) return;
    line.leave(message);
    this.#lanes.closeIfEmpty(lane);
    this.#giveOrKeep(message, undefined);
  }

  #giveOrKeep(message: Message, preferred: Needs | undefined): void {
    const lane = this.#lanes.of(message);
    const worker = lane.line.length === 0 ? this.#readyWorker(lane, message, preferred) : undefined;
    if (worker !== undefined) {
      this.#give(worker, message);
      return;
    }
    lane.line.push(message);
    this.#lanes.open(lane);
  }

  /** Gives a request to a worker, unless it turns out that it needs none. */
  #give(worker: Worker, message: Message): void {
    if (worker.caches !== undefined || message.share !== undefined) {
      const terms = cacheOf(worker, this.#lanes.of(message));
      if (this.sharing.take(message, terms)) {
        if (this.goesAlone(message)) this.#othersGoOn();
        return;
      }
    }
    const { session, leaseMs, groups } = worker;
    worker.servedAt = ++this.#turn;
    if (worker.capacity !== Infinity) worker.held++;
    if (this.goesAlone(message)) {
      worker.alone = worker.capacity !== Infinity;
      this.#othersGoOn(worker);
    }
    this.keys.given(message, worker);
    for (const group of groups) {
      // To the end of the line of those who are ready.
      if (group.ready.delete(worker)) group.ready.add(worker);
    }
    session.deliverMessage('service', this.name, message);
    if (message.holder !== undefined) message.holder.alone = worker.alone;
    this.#watch(message, leaseMs);
    if (!message.job) return;
    const started = { worker: session.address, attempt: message.attempts };
    this.context.jobs.note(this.name, message, 'started', started);
  }

  /** Whether a worker may have a request, as far as others beside it are concerned. */
  #mayHave({ held }: Worker, message: Message | undefined): boolean {
    return held === 0 || message === undefined || !this.goesAlone(message);
  }

  /** A request is gone that kept workers waiting: they get what they can take beside what they have. */
  #othersGoOn(worker?: Worker): void {
    for (const other of this.workers.values()) if (other !== worker) other.session.continueSoon();
  }

  /** From now on only its deadline counts, and the worker's lease. */
  #watch(message: Message, leaseMs: number): void {
    const { holder } = message;
    if (holder === undefined) {
      this.context.expiry.unwatch(message);
      return;
    }
    this.watchHeld(message);
    holder.leaseMs = leaseMs;
    if (leaseMs > 0) this.context.leases.watch(holder, leaseMs);
  }

  /**
   * Of the workers that match and can take a request: the one that had its key last, else one
   * that it prefers, else an idle one, and of these who was served least recently.
   */
  #readyWorker(lane: Lane, message: Message, preferred?: Needs): Worker | undefined {
    const known = this.keys.workerOf(message);
    if (known !== undefined && does(known, lane) && canTake(known)) {
      if (this.#mayHave(known, message)) return known;
    }
    const first = preferred === undefined ? undefined : this.#bestReady(lane, preferred);
    const worker = first ?? this.#bestReady(lane, lane.needs);
    return worker !== undefined && this.#mayHave(worker, message) ? worker : undefined;
  }

  #bestReady(lane: Lane, needs: Needs | undefined): Worker | undefined {
    let best: Worker | undefined;
    for (const group of lane.groups) {
      const worker = this.#firstReady(group, needs);
      if (worker !== undefined && (best === undefined || goesBefore(worker, best))) best = worker;
    }
    return best;
  }

  #firstReady(group: Group, needs: Needs | undefined): Worker | undefined {
    let first: Worker | undefined;
    for (const worker of group.ready) {
      if (needs?.fits(worker) === false) continue;
      if (!canTake(worker)) for (const other of worker.groups) other.ready.delete(worker);
      else if (worker.held === 0) return worker;
      else first ??= worker;
    }
    return first;
  }

  #serveReady(lane: Lane): void {
    for (let message = lane.line.peek(); message !== undefined; message = lane.line.peek()) {
      const worker = this.#readyWorker(lane, message);
      if (worker === undefined || this.#mustPause()) return;
      lane.line.shift();
      this.#give(worker, message);
      this.#lanes.closeIfEmpty(lane);
    }
  }

  #setReady(worker: Worker): void {
    for (const group of worker.groups) group.ready.add(worker);
  }
}

/** What a session holds of a service since it offered it before: how many requests, and how. */
function heldBy(session: Session, service: Service): Pick<Worker, 'held' | 'alone'> {
  const all = [...(session.native?.held.values() ?? [])];
  const own = all.filter(({ message }) => message.keeper === service);
  return { held: own.length, alone: own.some(({ alone }) => alone) };
}

/** True where a worker does the requests of a lane. */
function does(worker: Worker, { groups, needs }: Lane): boolean {
  return groups.some((group) => worker.groups.has(group)) && needs?.fits(worker) !== false;
}

/** True where a worker has capacity, and its outbox room. */
function canTake(worker: Worker): boolean {
  return !worker.alone && worker.held < worker.capacity && worker.session.takesMore('service');
}

/** Idle workers first; among equals, who was served least recently. */
function goesBefore(a: Worker, b: Worker): boolean {
  if ((a.held === 0) !== (b.held === 0)) return a.held === 0;
  return a.servedAt < b.servedAt;
}
