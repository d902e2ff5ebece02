// The places where things are kept, one for each durability, each with commits
// of its own: what may be lost with the machine does not wait for the disk that
// the rest waits for. Which thing belongs where is said by policies.ts.
import { Commits, type CommitEvents } from './commits.js';
import type { Logger } from '../log.js';
import { DataDirectory } from './data-directory.js';
import { LmdbStore } from './lmdb.js';
import { MemoryStore } from './memory.js';
import type { Store } from './store.js';

/**
 * When a message counts as accepted: once it is flushed to the disk (`fsync`),
 * once the operating system has it (`relaxed`: outlives the process, not the
 * machine), or at once (`memory`: outlives nothing).
 */
export const DURABILITIES = ['fsync', 'relaxed', 'memory'] as const;
export type Durability = (typeof DURABILITIES)[number];

/** A store and the commits that make what is in it durable. */
export interface Place {
  readonly store: Store;
  readonly commits: Commits;
}

/** The stores of a broker, before anybody commits to them. */
export interface Stores {
  readonly byDurability: Readonly<Record<Durability, Store>>;
  /** Closes every store and lets go of the directory. */
  close(): Promise<void>;
}

/**
 * One store for every durability; where it is persistent, what is to be kept in memory
 * only does not go there.
 */
export function singleStore(store: Store, memoryBytesMax: number): Stores {
  const memory = store.persistent ? new MemoryStore(memoryBytesMax) : store;
  return {
    byDurability: { fsync: store, relaxed: store, memory },
    close: () => store.close(),
  };
}

export function ephemeralStores(memoryBytesMax: number): Stores {
  return singleStore(new MemoryStore(memoryBytesMax), memoryBytesMax);
}

/**
 * Opens the stores of a data directory.
 *
 * @param memoryBytesMax octets of stream logs that are kept in memory only
 * @param log where is told what nobody waits for
 * @throws {DataDirectoryError} where it cannot be used; nothing in it was changed
 */
export async function openStores(
  path: string,
  memoryBytesMax: number,
  log: Logger,
): Promise<Stores> {
  const directory = await DataDirectory.take(path);
  const opened: Store[] = [];
  const close = async (): Promise<void> => {
    for (const store of opened) await store.close();
    await directory.release();
  };
  try {
    const fsync = LmdbStore.open(directory.file('fsync.mdb'), { flush: true, log });
    opened.push(fsync);
    const relaxed = LmdbStore.open(directory.file('relaxed.mdb'), { flush: false, log });
    opened.push(relaxed);
    const memory = new MemoryStore(memoryBytesMax);
    opened.push(memory);
    return { byDurability: { fsync, relaxed, memory }, close };
  } catch (error) {
    await close();
    throw error;
  }
}

export class Storage {
  readonly places: readonly Place[];
  readonly #byDurability: Readonly<Record<Durability, Place>>;
  readonly #stores: Stores;

  constructor(stores: Stores, log: Logger, events: CommitEvents) {
    this.#stores = stores;
    const { fsync, relaxed, memory } = stores.byDurability;
    const place = new Map<Store, Place>();
    for (const store of [fsync, relaxed, memory]) {
      if (!place.has(store)) place.set(store, { store, commits: new Commits(store, log, events) });
    }
    this.places = [...place.values()];
    this.#byDurability = {
      fsync: place.get(fsync) as Place,
      relaxed: place.get(relaxed) as Place,
      memory: place.get(memory) as Place,
    };
  }

  /** Where things of a durability are kept. */
  place(durability: Durability): Place {
    return this.#byDurability[durability];
  }

  /** Commits what gathered, everywhere. */
  commit(): void {
    for (const { commits } of this.places) commits.commit();
  }

  /** Resolves when nothing waits for a commit. */
  async settled(): Promise<void> {
    for (const { commits } of this.places) await commits.settled();
  }

  close(): Promise<void> {
    return this.#stores.close();
  }
}
