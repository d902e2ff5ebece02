// How the waiting requests of a service are ordered: in lanes, one for each set
// of patterns that match them and what they need of a worker, so that a worker
// finds its next request without looking at those it does not do, and a request the
// workers that do it. What is given to whom is the business of service.ts, and what
// becomes of it that of requests.ts.
import type { Pattern } from '../../protocol/index.js';
import type { Message } from './message.js';
import { patternOf, refused, type Refusal } from '../refusal.js';
import type { Session } from '../sessions/session.js';
import type { Service } from './service.js';
import type { CacheTerms } from './sharing.js';
import { PriorityLine } from './waiting-line.js';
import type { Labels, Needs } from './wants.js';

const SUBJECTS_CACHED_MAX = 10_000;

/** A session that offers a service, under one or more patterns. */
export interface Worker {
  readonly session: Session;
  readonly service: Service;
  readonly groups: Set<Group>;
  /** Requests that it may hold at a time; Infinity for MLM/1, which cannot confirm. */
  capacity: number;
  /** What it says of itself. */
  labels: Labels;
  /** How long it may work on a request without a word, ms; 0 for as long as its session lives. */
  leaseMs: number;
  /** Under what it keeps results, by pattern; undefined where it keeps none. */
  caches: ReadonlyMap<Group, CacheTerms> | undefined;
  /** Keys of which it had a request last. */
  readonly keys: Set<string>;
  /** Requests that it holds and has not confirmed. */
  held: number;
  /** True while it holds a request that nothing else may be with. */
  alone: boolean;
  /** The turn at which it was last given a request, or became able to take one. */
  servedAt: number;
}

/** The workers that offer a service under one pattern. */
export interface Group {
  /** Tells it from the other groups of its service. */
  readonly id: number;
  readonly pattern: Pattern;
  /** Who could take a request, the least recently served first. */
  readonly ready: Set<Worker>;
  /** The lanes of requests that the pattern matches and that wait. */
  readonly lanes: Set<Lane>;
  workers: number;
}

/** The waiting requests that the same patterns match and that need the same. */
export interface Lane {
  readonly needs: Needs | undefined;
  readonly groups: readonly Group[];
  readonly line: PriorityLine;
}

export class Lanes {
  readonly #patternsMax: number;
  readonly #groups = new Map<string, Group>();
  #lastGroup = 0;
  #lanes = new Map<string, Lane>();
  #laneOfSubject = new Map<string, Lane>();

  /** @param patternsMax different patterns, at most */
  constructor(patternsMax: number) {
    this.#patternsMax = patternsMax;
  }

  /** The patterns under which somebody offers the service now. */
  get patterns(): string[] {
    return [...this.#groups.values()]
      .filter((group) => group.workers > 0)
      .map((group) => group.pattern.source);
  }

  /** The lane whose first request has waited longest, of those that the worker does. */
  next(worker: Worker): Lane | undefined {
    let best: Lane | undefined;
    let first: Message | undefined;
    for (const group of worker.groups) {
      for (const lane of group.lanes) {
        if (lane.needs?.fits(worker) === false) continue;
        const message = lane.line.peek();
        if (message === undefined || (first !== undefined && !isBefore(message, first))) continue;
        best = lane;
        first = message;
      }
    }
    return best;
  }

  /** The requests that are first to be given away, one of each lane and priority. */
  *firsts(): Generator<Message, undefined> {
    for (const { line } of this.#lanes.values()) yield* line.firsts();
    return undefined;
  }

  /** The lane of a request. */
  of({ subject, needs }: Pick<Message, 'subject' | 'needs'>): Lane {
    const known = needs === undefined ? subject : `${needs.id}\0${subject}`;
    let lane = this.#laneOfSubject.get(known);
    if (lane !== undefined) return lane;
    if (this.#laneOfSubject.size >= SUBJECTS_CACHED_MAX) this.#forgetSubjects();
    const groups: Group[] = [];
    let key = needs === undefined ? '' : `${needs.id}\0`;
    for (const group of this.#groups.values()) {
      if (!group.pattern.matches(subject)) continue;
      groups.push(group);
      key += `${group.id} `;
    }
    lane = this.#lanes.get(key);
    if (lane === undefined)
      this.#lanes.set(key, (lane = { groups, needs, line: new PriorityLine() }));
    this.#laneOfSubject.set(known, lane);
    return lane;
  }

  /** Subjects may be without end; lanes stay where something waits in them. */
  #forgetSubjects(): void {
    this.#laneOfSubject.clear();
    for (const [key, lane] of this.#lanes) if (lane.line.length === 0) this.#lanes.delete(key);
  }

  /** Something waits in the lane now. */
  open(lane: Lane): void {
    for (const group of lane.groups) group.lanes.add(lane);
  }

  /** Something was taken out of the lane. */
  closeIfEmpty(lane: Lane): void {
    if (lane.line.length > 0) return;
    for (const group of lane.groups) group.lanes.delete(lane);
  }

  /** The group of a pattern, made where there is none. */
  group(source: string): Group | Refusal {
    const known = this.#groups.get(source);
    if (known !== undefined) return known;
    this.#dropUnusedGroups();
    if (this.#groups.size >= this.#patternsMax) {
      return refused(`the service is offered under ${this.#patternsMax} patterns already`);
    }
    const pattern = patternOf(source);
    if ('reason' in pattern) return pattern;
    const id = ++this.#lastGroup;
    const group: Group = { id, pattern, ready: new Set(), lanes: new Set(), workers: 0 };
    this.#groups.set(source, group);
    this.#arrangeLanes();
    return group;
  }

  #dropUnusedGroups(): void {
    if (this.#groups.size < this.#patternsMax) return;
    for (const [source, group] of this.#groups)
      if (group.workers === 0) this.#groups.delete(source);
  }

  /** Sorts what waits into lanes anew: the patterns have changed. */
  #arrangeLanes(): void {
    const waiting: Message[] = [];
    for (const lane of this.#lanes.values())
      for (const message of lane.line.drain()) waiting.push(message);
    waiting.sort((a, b) => a.order - b.order);
    for (const group of this.#groups.values()) group.lanes.clear();
    this.#lanes = new Map();
    this.#laneOfSubject = new Map();
    for (const message of waiting) {
      const lane = this.of(message);
      lane.line.push(message);
      this.open(lane);
    }
  }
}

/** The order in which waiting requests are served. */
function isBefore(a: Message, b: Message): boolean {
  return a.priority > b.priority || (a.priority === b.priority && a.order < b.order);
}
