// Services: requests shared among the workers that offer to do them. A request
// goes to the worker whose pattern matches its subject and who was served least
// recently; without one it waits. Waiting requests stand in lanes, one for each
// set of patterns that match them, so that a worker finds its next request
// without looking at those it does not do.
import { compilePattern, ProtocolError, STATUS, type Pattern } from '../protocol/index.js';
import { Deque } from './deque.js';
import type { EngineContext } from './engine-context.js';
import { KeptQueue } from './kept-queue.js';
import type { Message } from './message.js';
import { refused, type Refusal } from './refusal.js';
import type { Session } from './session.js';
import type { Place } from './storage.js';
import { PriorityLine } from './waiting-line.js';

const SUBJECTS_CACHED_MAX = 10_000;

/** A session that offers a service, under one or more patterns. */
export interface Worker {
  readonly session: Session;
  readonly service: Service;
  readonly groups: Set<Group>;
  /** Requests that it may hold at a time; Infinity for MLM/1, which cannot confirm. */
  capacity: number;
  /** Requests that it holds and has not confirmed. */
  held: number;
  /** The turn at which it was last given a request, or became able to take one. */
  servedAt: number;
}

/** How a worker may end a request that it could not do; anything else is worth another attempt. */
const NOT_READY = 503;
const BAD_INPUT = 400;

/** The workers that offer a service under one pattern. */
interface Group {
  /** Tells it from the other groups of its service. */
  readonly id: number;
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
  readonly line: PriorityLine;
}

const FAILURES_MAX = 20;
const NOT_READY_DELAY_MS = 1000;
const RETRY_MS_MIN = 100;
const RETRY_MS_MAX = 60_000;

export class Service extends KeptQueue {
  readonly workers = new Map<Session, Worker>();
  readonly #groups = new Map<string, Group>();
  readonly #onIdle: (service: Service) => void;
  #lastGroup = 0;
  #lanes = new Map<string, Lane>();
  #laneOfSubject = new Map<string, Lane>();
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
  offer(session: Session, source: string, capacity: number): Refusal | undefined {
    const group = this.#groups.get(source) ?? this.#newGroup(source);
    if ('reason' in group) return group;
    let worker = this.workers.get(session);
    if (worker === undefined) {
      const servedAt = ++this.#turn;
      worker = { session, service: this, groups: new Set(), capacity, held: 0, servedAt };
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
      const lane = this.#nextLane(worker);
      if (lane === undefined) {
        this.#setReady(worker);
        return true;
      }
      if (!canTake(worker)) {
        for (const group of worker.groups) group.ready.delete(worker);
        return false;
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
    if (this.#returned.size === 0) return;
    for (const subject of this.#returned) this.#serveReady(this.#laneFor(subject));
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
    this.context.confirmations.tell(message, message.tracker, STATUS.FAILED, reason);
  }

  #holdBack(message: Message, delayMs: number): void {
    message.notBeforeWallMs = this.context.clock.wallMs() + delayMs;
    this.watchExpiry(message);
    this.context.delays.watch({ message, expiresAtMs: 0, heapIndex: -1 }, delayMs);
  }

  protected override putBack(message: Message): void {
    const lane = this.#laneFor(message.subject);
    lane.line.putBack(message);
    this.#open(lane);
    this.watchExpiry(message);
    // Others may come back with it: they are given to workers together, the oldest first.
    this.#returned.add(message.subject);
    this.place.commits.touch(this);
  }

  protected override noteGone(message: Message): void {
    // One that is not durable yet, or held back, stands in no lane.
    if (message.sequence > this.durableSequence || message.notBeforeWallMs > 0) return;
    const lane = this.#laneFor(message.subject);
    lane.line.noteGone(message);
    this.#closeIfEmpty(lane);
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
    let first: Message | undefined;
    for (const group of worker.groups) {
      for (const lane of group.lanes) {
        const message = lane.line.peek();
        if (message === undefined || (first !== undefined && !isBefore(message, first))) continue;
        best = lane;
        first = message;
      }
    }
    return best;
  }

  #laneFor(subject: string): Lane {
    let lane = this.#laneOfSubject.get(subject);
    if (lane !== undefined) return lane;
    if (this.#laneOfSubject.size >= SUBJECTS_CACHED_MAX) this.#forgetSubjects();
    const groups: Group[] = [];
    let key = '';
    for (const group of this.#groups.values()) {
      if (!group.pattern.matches(subject)) continue;
      groups.push(group);
      key += `${group.id} `;
    }
    lane = this.#lanes.get(key);
    if (lane === undefined) this.#lanes.set(key, (lane = { groups, line: new PriorityLine() }));
    this.#laneOfSubject.set(subject, lane);
    return lane;
  }

  /** Subjects may be without end; lanes stay where something waits in them. */
  #forgetSubjects(): void {
    this.#laneOfSubject.clear();
    for (const [key, lane] of this.#lanes) if (lane.line.length === 0) this.#lanes.delete(key);
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
    const id = ++this.#lastGroup;
    const group: Group = { id, pattern, ready: new Set(), lanes: new Set(), workers: 0 };
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

/** True where a worker has capacity, and its outbox room. */
function canTake(worker: Worker): boolean {
  return worker.held < worker.capacity && worker.session.takesMore('service');
}

/** Idle workers first; among equals, who was served least recently. */
function goesBefore(a: Worker, b: Worker): boolean {
  if ((a.held === 0) !== (b.held === 0)) return a.held === 0;
  return a.servedAt < b.servedAt;
}

/** The order in which waiting requests are served. */
function isBefore(a: Message, b: Message): boolean {
  return a.priority > b.priority || (a.priority === b.priority && a.sequence < b.sequence);
}

/** How long to wait after so many attempts: twice as long each time. */
function retryDelayMs(attempts: number): number {
  return Math.min(RETRY_MS_MAX, RETRY_MS_MIN * 2 ** Math.max(0, attempts - 1));
}
