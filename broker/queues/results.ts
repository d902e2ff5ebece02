// What workers made of requests, kept so that the same request need not be run
// again: by service, under the version of the worker and the hash of the input.
// It is bounded in number, octets and age, and lies in the store; where that
// outlives the process, bodies are read from there. Who may be answered with a
// result, and when, is decided in sharing.ts.
import { contentBytes } from '../../protocol/index.js';
import type { Clock } from '../clock.js';
import { Deque } from '../deque.js';
import type { Limits } from '../options.js';
import type { Committer } from '../store/commits.js';
import type { Place } from '../store/storage.js';
import { PLAIN_KEPT, type KeptMessage } from '../store/store.js';
import { Deadlines, type Expiring } from './deadlines.js';

/** The queue kind under which the store keeps them. */
const RESULTS_KIND = 'results';

/** What one result counts beside its body, in octets. */
const ENTRY_BYTES = 500;

/** Results of a service that are dropped in one go because of their age, before others have their turn. */
const DROPPED_AT_ONCE = 10_000;

/** What a worker made of a request. */
export interface Result {
  /** The address of the worker. */
  readonly worker: string;
  /** The frames of its reply. */
  readonly content: readonly Buffer[];
}

/** A result that is kept; it expires when it is too old, by the wall clock. */
export interface KeptResult extends Expiring {
  readonly key: string;
  readonly sequence: number;
  readonly worker: string;
  /** When it was kept, ms since 1970. */
  readonly keptWallMs: number;
  readonly bytes: number;
  /** Its body, while it is not in the store. */
  content: readonly Buffer[] | undefined;
  gone: boolean;
}

/** What the results of all services are bounded by. */
export interface ResultsLimits {
  /** Results; 0 for none. */
  readonly resultsMax: number;
  readonly bytesMax: number;
  /** ms since they were kept. */
  readonly ageMsMax: number;
}

interface ResultsContext {
  readonly clock: Clock;
  readonly limits: Pick<Limits, 'results'>;
}

/** The results of all services. */
export class Results {
  readonly #context: ResultsContext;
  readonly #services = new Map<string, ServiceResults>();
  #results = 0;
  #bytes = 0;

  constructor(context: ResultsContext) {
    this.#context = context;
  }

  /** How many there are. */
  get size(): number {
    return this.#results;
  }

  /** What they count, in octets. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Those of a service. @param place where new ones are kept, unless others of it lie elsewhere */
  of(service: string, place: Place): ServiceResults {
    let results = this.#services.get(service);
    if (results === undefined) {
      const changed = (count: number, bytes: number): void => this.#changed(count, bytes);
      results = new ServiceResults(service, place, this.#context, changed);
      this.#services.set(service, results);
    }
    return results;
  }

  /** A result itself; undefined where it was given up meanwhile. */
  read(service: string, kept: KeptResult): Result | undefined {
    return this.#services.get(service)?.read(kept);
  }

  /** Takes over what an earlier run of the broker kept of a service. */
  recover(place: Place, service: string, messages: Iterable<KeptMessage>): void {
    this.of(service, place).recover(place, messages);
  }

  /** Drops what is too old; time alone makes it so. */
  trim(): void {
    for (const [service, results] of this.#services) {
      results.trim();
      if (results.unused) this.#services.delete(service);
    }
  }

  #changed(count: number, bytes: number): void {
    this.#results += count;
    this.#bytes += bytes;
    if (count > 0) this.#cut();
  }

  /** Where there is too much, the service that has most gives up what was of no use for longest. */
  #cut(): void {
    const { resultsMax, bytesMax } = this.#context.limits.results;
    while (this.#results > resultsMax || this.#bytes > bytesMax) {
      let largest: ServiceResults | undefined;
      for (const results of this.#services.values()) {
        if (results.bytes > (largest?.bytes ?? 0)) largest = results;
      }
      if (largest?.dropOldest() !== true) return;
    }
  }
}

/** The results of one service. */
export class ServiceResults implements Committer {
  /** What they count, in octets. */
  bytes = 0;
  readonly #queue: string;
  readonly #place: Place;
  readonly #context: ResultsContext;
  readonly #changed: (count: number, bytes: number) => void;
  /** By version and input; what was used last comes last. */
  readonly #results = new Map<string, KeptResult>();
  readonly #byAge = new Deadlines<KeptResult>();
  readonly #undurable = new Deque<KeptResult>();
  #lastSequence = 0;
  /** When the newest one was kept, ms since 1970. */
  #newestWallMs = 0;

  /** @param changed told how many results there are more, and how many octets */
  constructor(
    service: string,
    place: Place,
    context: ResultsContext,
    changed: (count: number, bytes: number) => void,
  ) {
    this.#queue = `${RESULTS_KIND}/${service}`;
    this.#place = place;
    this.#context = context;
    this.#changed = changed;
  }

  /** True where nothing is lost if it is forgotten. */
  get unused(): boolean {
    return this.#results.size === 0 && this.#undurable.length === 0;
  }

  /**
   * Looks for a result.
   *
   * @param input the hash of the input
   * @param ageMsMax how old it may be, ms
   */
  find(version: string, input: string, ageMsMax: number): KeptResult | undefined {
    const key = keyOf(version, input);
    const found = this.#results.get(key);
    if (found === undefined || !this.#isYoung(found, ageMsMax)) return undefined;
    this.#results.delete(key);
    this.#results.set(key, found);
    return found;
  }

  /** The result itself; undefined where it was given up meanwhile. */
  read(kept: KeptResult): Result | undefined {
    if (kept.gone) return undefined;
    const { worker, sequence } = kept;
    const content = kept.content ?? this.#place.store.readKept(this.#queue, sequence)?.content;
    if (content !== undefined) return { worker, content };
    this.#drop(kept);
    return undefined;
  }

  /** Keeps what a worker of a version made of an input, in the place of what is known of it. */
  keep(version: string, input: string, { worker, content }: Result): void {
    const key = keyOf(version, input);
    const earlier = this.#results.get(key);
    if (earlier !== undefined) this.#drop(earlier);
    const bytes = bytesOf(content);
    const { resultsMax, bytesMax } = this.#context.limits.results;
    if (resultsMax === 0 || bytes > bytesMax) return;
    const sequence = ++this.#lastSequence;
    const keptWallMs = this.#context.clock.wallMs();
    // Where it is kept in memory, larger memory that a frame is a part of is not kept with it.
    const body = this.#place.store.persistent ? content : content.map(ownFrame);
    const kept = this.#made({ key, sequence, worker, keptWallMs, bytes, content: body });
    this.#place.store.keep(this.#queue, asMessage(kept, content));
    this.#undurable.push(kept);
    this.#place.commits.touch(this);
    this.#add(kept);
  }

  /** Takes over what an earlier run of the broker kept; what lies elsewhere than the rest is given up. */
  recover(place: Place, messages: Iterable<KeptMessage>): void {
    const isHere = place === this.#place;
    for (const { sequence, tracker: key, sender: worker, acceptedWallMs, content } of messages) {
      if (!isHere || this.#results.has(key)) {
        place.store.release(this.#queue, sequence);
        continue;
      }
      const bytes = bytesOf(content);
      const body = place.store.persistent ? undefined : content;
      const keptWallMs = acceptedWallMs;
      this.#add(this.#made({ key, sequence, worker, keptWallMs, bytes, content: body }));
      this.#lastSequence = sequence;
    }
  }

  /** Drops what is too old for anybody, the oldest first; of very many some, and the others next time. */
  trim(): void {
    const nowMs = this.#context.clock.wallMs();
    if (nowMs < this.#newestWallMs) this.#dropFuture(nowMs);
    for (let dropped = 0; dropped < DROPPED_AT_ONCE; dropped++) {
      const old = this.#byAge.takeExpired(nowMs);
      if (old === undefined) return;
      this.#drop(old);
    }
  }

  /** The clock was set back: how old those are that were kept after that moment, nobody knows. */
  #dropFuture(nowMs: number): void {
    for (const kept of this.#results.values()) if (kept.keptWallMs > nowMs) this.#drop(kept);
    this.#newestWallMs = nowMs;
  }

  /** Drops the result that was of no use for longest. @returns false where there is none */
  dropOldest(): boolean {
    const [oldest] = this.#results.values();
    if (oldest !== undefined) this.#drop(oldest);
    return oldest !== undefined;
  }

  seal(): number {
    return this.#lastSequence;
  }

  committed(mark: number): void {
    // From now on it is read from there.
    for (const kept of this.#settle(mark)) {
      if (this.#place.store.persistent) kept.content = undefined;
    }
  }

  /** What could not be stored is forgotten: it can be made again. */
  failed(mark: number): void {
    for (const kept of this.#settle(mark)) if (!kept.gone) this.#forget(kept);
  }

  #isYoung({ keptWallMs }: KeptResult, ageMsMax: number): boolean {
    const ageMs = this.#context.clock.wallMs() - keptWallMs;
    // Nobody knows how old that is which was made in the future, before the clock was set back.
    return ageMs >= 0 && ageMs <= Math.min(ageMsMax, this.#context.limits.results.ageMsMax);
  }

  #made(result: Omit<KeptResult, 'gone' | keyof Expiring>): KeptResult {
    // It may be as old as that, and no older.
    const expiresAtMs = result.keptWallMs + this.#context.limits.results.ageMsMax + 1;
    return { ...result, gone: false, expiresAtMs, heapIndex: -1 };
  }

  #add(kept: KeptResult): void {
    this.#results.set(kept.key, kept);
    this.#byAge.add(kept);
    this.#newestWallMs = Math.max(this.#newestWallMs, kept.keptWallMs);
    this.bytes += kept.bytes;
    this.#changed(1, kept.bytes);
  }

  #drop(kept: KeptResult): void {
    this.#forget(kept);
    this.#place.store.release(this.#queue, kept.sequence);
    if (this.#place.store.persistent) this.#place.commits.touch(this);
  }

  #forget(kept: KeptResult): void {
    kept.gone = true;
    kept.content = undefined;
    this.#results.delete(kept.key);
    this.#byAge.remove(kept);
    this.bytes -= kept.bytes;
    this.#changed(-1, -kept.bytes);
  }

  #settle(mark: number): KeptResult[] {
    const settled: KeptResult[] = [];
    while ((this.#undurable.peek()?.sequence ?? Infinity) <= mark) {
      settled.push(this.#undurable.shift() as KeptResult);
    }
    return settled;
  }
}

/** A frame that is not a part of much larger memory. */
function ownFrame(frame: Buffer): Buffer {
  if (frame.length * 2 >= frame.buffer.byteLength) return frame;
  const own = Buffer.allocUnsafeSlow(frame.length);
  frame.copy(own);
  return own;
}

/** A version and a hash fit in one string of the store. */
function keyOf(version: string, input: string): string {
  return `${input} ${version}`;
}

function bytesOf(content: readonly Buffer[]): number {
  return ENTRY_BYTES + contentBytes(content);
}

/** A result as the store keeps it: a message of a queue, from its worker, with its key as the tracker. */
function asMessage(kept: KeptResult, content: readonly Buffer[]): KeptMessage {
  return {
    ...PLAIN_KEPT,
    sequence: kept.sequence,
    sender: kept.worker,
    tracker: kept.key,
    acceptedWallMs: kept.keptWallMs,
    content,
  };
}
