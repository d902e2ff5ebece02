// One service: requests shared among the workers that offer to do them. A request
// goes to an idle worker whose pattern matches its subject, and of these to the
// one that was served least recently; without one it waits, in a lane. What a
// worker gives up, or held when its session ended, is tried again, in the end as
// a dead letter.
import { STATUS } from '../../protocol/index.js';
import { Deque } from '../deque.js';
import type { EngineContext } from '../engine-context.js';
import { KeptQueue } from './kept-queue.js';
import { Lanes, type Group, type Lane, type Worker } from './lanes.js';
import type { Message } from './message.js';
import type { Refusal } from '../refusal.js';
import type { Session } from '../sessions/session.js';
import type { Place } from '../store/storage.js';

/** How a worker may end a request that it could not do; anything else is worth another attempt. */
const NOT_READY = 503;
const BAD_INPUT = 400;

const FAILURES_MAX = 20;
const NOT_READY_DELAY_MS = 1000;
const RETRY_MS_MIN = 100;
const RETRY_MS_MAX = 60_000;

export class Service extends KeptQueue {
  readonly workers = new Map<Session, Worker>();
  readonly #lanes: Lanes;
  readonly #onIdle: (service: Service) => void;
  /** Accepted requests that are not durable yet. */
  readonly #gathering = new Deque<Message>();
  /** Subjects of requests that came back since the last commit. */
  readonly #returned = new Set<string>();
  #turn = 0;

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

  /** The patterns under which it is offered now. */
  get patterns(): string[] {
    return this.#lanes.patterns;
  }

  /** A session offers the service. The same offer again changes nothing. */
  offer(session: Session, source: string, capacity: number): Refusal | undefined {
    const group = this.#lanes.group(source);
    if ('reason' in group) return group;
    let worker = this.workers.get(session);
    if (worker === undefined) {
      const servedAt = ++this.#turn;
      const held = heldOf(session, this);
      worker = { session, service: this, groups: new Set(), capacity, held, servedAt };
      this.workers.set(session, worker);
    }
    worker.capacity = capacity;
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

  /** Gives a worker what waits for it. @returns false where it did not take everything */
  serve(worker: Worker): boolean {
    for (;;) {
      const lane = this.#lanes.next(worker);
      if (lane === undefined) {
        this.#setReady(worker);
        return true;
      }
      if (!canTake(worker)) {
        for (const group of worker.groups) group.ready.delete(worker);
        return false;
      }
      this.#give(worker, lane.line.shift() as Message);
      this.#lanes.closeIfEmpty(lane);
    }
  }

  protected override deliver(): void {
    let message = this.#gathering.peek();
    while (message !== undefined && message.sequence <= this.durableSequence) {
      this.#gathering.shift();
      if (!message.gone) this.#place(message);
      message = this.#gathering.peek();
    }
    if (this.#returned.size === 0) return;
    for (const subject of this.#returned) this.#serveReady(this.#lanes.of(subject));
    this.#returned.clear();
  }

  protected override enqueue(message: Message): void {
    this.#gathering.push(message);
  }

  /** A worker is done with a request, well or not: it may have another one. */
  override confirm(message: Message, receiver: Session, statusCode: number, reason: string): void {
    const worker = this.workers.get(receiver);
    if (worker !== undefined) worker.held--;
    super.confirm(message, receiver, statusCode, reason);
    if (worker === undefined) return;
    worker.servedAt = ++this.#turn;
    this.serve(worker);
  }

  /** The worker that held a request ended without confirming it. */
  override takeBack(message: Message): void {
    if (message.epoch === 0) super.takeBack(message);
    else {
      this.context.counters.takenBack++;
      this.#noteFailure(message, '', 'the session of the worker ended');
      this.#tryAgain(message, 0);
    }
  }

  protected override giveUp(
    message: Message,
    worker: Session,
    statusCode: number,
    reason: string,
  ): void {
    if (statusCode === NOT_READY) {
      message.attempts--;
      this.#tryAgain(message, NOT_READY_DELAY_MS);
      return;
    }
    this.#noteFailure(message, worker.address, reason);
    if (statusCode === BAD_INPUT) this.#bury(message, reason);
    else this.#tryAgain(message, retryDelayMs(message.attempts));
  }

  #noteFailure(message: Message, worker: string, reason: string): void {
    message.failures.push({ timeMs: this.context.clock.wallMs(), worker, reason });
    while (message.failures.length > FAILURES_MAX) message.failures.shift();
  }

  /** Back into the queue, unless it has failed too often. */
  #tryAgain(message: Message, delayMs: number): void {
    const { attemptsMax } = this.context.limits;
    if (message.attempts >= attemptsMax) {
      const last = message.failures.at(-1)?.reason ?? '';
      this.#bury(message, `${message.attempts} attempts failed; the last one: ${last}`);
      return;
    }
    this.rewrite(message);
    if (delayMs === 0) this.putBack(message);
    else this.#holdBack(message, delayMs);
  }

  /** To the dead letters, which are written in the same commit in which the queue gives it up. */
  #bury(message: Message, reason: string): void {
    this.context.deadLetters.add(this.name, message);
    this.release(message);
    this.context.log.warn('a request went to the dead letters', {
      service: this.name,
      attempts: message.attempts,
      reason,
    });
    this.context.confirmations.tellNative(message, message.tracker, STATUS.FAILED, reason);
  }

  #holdBack(message: Message, delayMs: number): void {
    message.notBeforeWallMs = this.context.clock.wallMs() + delayMs;
    this.watchExpiry(message);
    this.context.delays.watch({ message, expiresAtMs: 0, heapIndex: -1 }, delayMs);
  }

  protected override putBack(message: Message): void {
    const lane = this.#lanes.of(message.subject);
    lane.line.putBack(message);
    this.#lanes.open(lane);
    this.watchExpiry(message);
    // Others may come back with it: they are given to workers together, the oldest first.
    this.#returned.add(message.subject);
    this.place.commits.touch(this);
  }

  protected override noteGone(message: Message): void {
    // One that is not durable yet, or held back, stands in no lane.
    if (message.sequence > this.durableSequence || message.notBeforeWallMs > 0) return;
    const lane = this.#lanes.of(message.subject);
    lane.line.noteGone(message);
    this.#lanes.closeIfEmpty(lane);
  }

  protected override release(message: Message): void {
    super.release(message);
    if (this.idle) this.#onIdle(this);
  }

  /** Gives a request to a worker at once, or lets it wait. */
  #place(message: Message): void {
    if (message.notBeforeWallMs > 0) {
      const delayMs = message.notBeforeWallMs - this.context.clock.wallMs();
      if (delayMs > 0) {
        this.context.delays.watch({ message, expiresAtMs: 0, heapIndex: -1 }, delayMs);
        return;
      }
      message.notBeforeWallMs = 0;
    }
    const lane = this.#lanes.of(message.subject);
    const worker = lane.line.length === 0 ? this.#readyWorker(lane) : undefined;
    if (worker !== undefined) {
      this.#give(worker, message);
      return;
    }
    lane.line.push(message);
    this.#lanes.open(lane);
  }

  #give(worker: Worker, message: Message): void {
    this.context.expiry.unwatch(message);
    worker.servedAt = ++this.#turn;
    if (worker.capacity !== Infinity) worker.held++;
    for (const group of worker.groups) {
      // To the end of the line of those who are ready.
      if (group.ready.delete(worker)) group.ready.add(worker);
    }
    worker.session.deliverMessage('service', this.name, message);
  }

  /** Of the workers that match and can take a request: an idle one, and of these who was served least recently. */
  #readyWorker(lane: Lane): Worker | undefined {
    let best: Worker | undefined;
    for (const group of lane.groups) {
      const worker = this.#firstReady(group);
      if (worker !== undefined && (best === undefined || goesBefore(worker, best))) best = worker;
    }
    return best;
  }

  #firstReady(group: Group): Worker | undefined {
    let first: Worker | undefined;
    for (const worker of group.ready) {
      if (!canTake(worker)) for (const other of worker.groups) other.ready.delete(worker);
      else if (worker.held === 0) return worker;
      else first ??= worker;
    }
    return first;
  }

  #serveReady(lane: Lane): void {
    for (let worker = this.#readyWorker(lane); worker !== undefined && lane.line.length > 0;) {
      this.#give(worker, lane.line.shift() as Message);
      this.#lanes.closeIfEmpty(lane);
      worker = this.#readyWorker(lane);
    }
  }

  #setReady(worker: Worker): void {
    for (const group of worker.groups) group.ready.add(worker);
  }
}

/** Requests of a service that a session holds since it offered it before. */
function heldOf(session: Session, service: Service): number {
  let count = 0;
  for (const { message } of session.native?.held.values() ?? []) {
    if (message.keeper === service) count++;
  }
  return count;
}

/** True where a worker has capacity, and its outbox room. */
function canTake(worker: Worker): boolean {
  return worker.held < worker.capacity && worker.session.takesMore('service');
}

/** Idle workers first; among equals, who was served least recently. */
function goesBefore(a: Worker, b: Worker): boolean {
  if ((a.held === 0) !== (b.held === 0)) return a.held === 0;
  return a.servedAt < b.servedAt;
}

/** How long to wait after so many attempts: twice as long each time. */
function retryDelayMs(attempts: number): number {
  return Math.min(RETRY_MS_MAX, RETRY_MS_MIN * 2 ** Math.max(0, attempts - 1));
}
