// Under what the workers of a service keep results: each says so with its offer,
// for each pattern. What is done with that is said in sharing.ts.
import type { Group, Lane, Worker } from './lanes.js';
import type { CacheTerms } from './sharing.js';

/** Versions that a request is looked up under before a worker has it, at most. */
const VERSIONS_MAX = 16;

export class Caches {
  /** Workers that keep results. */
  readonly #workers = new Set<Worker>();
  /** What was found for lanes since the workers last changed. */
  #known: WeakMap<Lane, readonly CacheTerms[]> | undefined;

  /** True where nobody keeps results. */
  get none(): boolean {
    return this.#workers.size === 0;
  }

  /** A worker offers the service under a pattern, for the first time or on other terms. */
  offer(worker: Worker, group: Group, terms: CacheTerms | undefined): void {
    this.#known = undefined;
    if (terms === undefined && worker.caches === undefined) return;
    const caches = new Map(worker.caches);
    if (terms === undefined) caches.delete(group);
    else caches.set(group, terms);
    worker.caches = caches.size === 0 ? undefined : caches;
    if (caches.size === 0) this.#workers.delete(worker);
    else this.#workers.add(worker);
  }

  /** A worker does nothing more. */
  withdraw(worker: Worker): void {
    this.#known = undefined;
    this.#workers.delete(worker);
  }

  /** What the workers that do the requests of a lane keep results under, each version once. */
  of(lane: Lane): readonly CacheTerms[] {
    this.#known ??= new WeakMap();
    let terms = this.#known.get(lane);
    if (terms === undefined) this.#known.set(lane, (terms = this.#find(lane)));
    return terms;
  }

  #find(lane: Lane): CacheTerms[] {
    const found = new Map<string, CacheTerms>();
    for (const worker of this.#workers) {
      const terms = lane.needs?.fits(worker) === false ? undefined : cacheOf(worker, lane);
      if (terms === undefined) continue;
      found.set(terms.version, stricter(terms, found.get(terms.version)));
      if (found.size >= VERSIONS_MAX) break;
    }
    return [...found.values()];
  }
}

/**
 * Under what a worker keeps the results of a lane's requests. Where it does them under several
 * patterns and does not say the same for all of these, nobody knows.
 */
export function cacheOf({ groups, caches }: Worker, lane: Lane): CacheTerms | undefined {
  if (caches === undefined) return undefined;
  let found: CacheTerms | undefined;
  for (const group of lane.groups) {
    if (!groups.has(group)) continue;
    const terms = caches.get(group);
    if (terms === undefined || (found !== undefined && found.version !== terms.version)) {
      return undefined;
    }
    found = stricter(terms, found);
  }
  return found;
}

/** Of two terms for one version those that ask for younger results. */
function stricter(terms: CacheTerms, others: CacheTerms | undefined): CacheTerms {
  return others !== undefined && others.maxAgeMs < terms.maxAgeMs ? others : terms;
}
