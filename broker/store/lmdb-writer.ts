// Writes commits: small ones to the commit log, from which the database takes them
// over in the background, many at a time; large ones, and those for which the log
// has no room, to the database itself. What is kept, released and written again
// meanwhile never reaches the database. It reads nothing but how far the log was
// taken over.
import type { Database, RootDatabase } from 'lmdb';
import { readUInt64, writeUInt64 } from '../../protocol/records.js';
import type { Logger } from '../log.js';
import {
  decodeGroup,
  encodeGroup,
  groupBytes,
  keyOf,
  sizeOf,
  TABLES,
  type Change,
  type TableName,
} from './changes.js';
import type { CommitLog, LoggedCommit } from './commit-log.js';
import type { DatabaseFile } from './database-file.js';
import type { OpenDatabase } from './open-database.js';

export type Table = Database<Buffer, Buffer>;
export type Tables = Readonly<Record<TableName, Table>>;

/** A commit that is in the log, and not in the database yet. */
export interface Logged {
  readonly number: number;
  /** The changes; their blocks are not parts of larger memory. */
  readonly changes: readonly Change[];
}

/** A larger commit is worth the way to the database: through the log, it would be written twice. */
const SMALL_BYTES = 256 * 1024;
/** How long the database waits for more, at most. */
const GATHER_MS = 1000;
/** Where the database says up to which commit of the log it goes. Documents have a kind; this has none. */
const APPLIED_KEY = Buffer.from('\0applied');

export interface LmdbWriterParts {
  readonly file: DatabaseFile;
  readonly root: Pick<RootDatabase<Buffer, Buffer>, 'batch'>;
  readonly tables: Tables;
  readonly whyFailed: OpenDatabase['whyFailed'];
  /** Where a commit is to be durable: without, it goes to the database. */
  readonly log: CommitLog | undefined;
  /** Where is told that the database takes over nothing, and that it does again. */
  readonly logger: Logger;
  /** The database has been written to; it has all commits of the log up to this one. */
  readonly written: (commit: number) => void;
}

export class LmdbWriter {
  readonly #parts: LmdbWriterParts;
  /** What the log has and the database does not, by key. */
  #waiting = new Map<string, Change>();
  /** What of it the database is taking over just now. */
  #leaving: ReadonlyMap<string, Change> = new Map();
  /** The commit of the log up to which the database goes. */
  #applied: number;
  /** Writing to the database; never rejects. */
  #underWay: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** Times that the database did not take over what is in the log, one after another. */
  #failures = 0;

  constructor(parts: LmdbWriterParts) {
    this.#parts = parts;
    this.#applied = parts.log?.last ?? 0;
  }

  /** What a key is changed to that the database does not have yet; undefined where it has it. */
  waiting(table: TableName, key: Buffer): Change | undefined {
    if (this.#waiting.size === 0 && this.#leaving.size === 0) return undefined;
    const name = keyOf({ table, key });
    return this.#waiting.get(name) ?? this.#leaving.get(name);
  }

  /**
   * Makes changes durable, all or none. One commit at a time.
   *
   * @returns the commit, where it is in the log; undefined where it is in the database
   * @throws {Error} saying why they are not
   */
  async commit(changes: readonly Change[]): Promise<Logged | undefined> {
    const { log, file } = this.#parts;
    const bytes = groupBytes(changes);
    if (bytes <= SMALL_BYTES && log?.hasRoomFor(bytes) === true) {
      file.requireThere();
      const logged = await this.#toLog(log, changes, bytes);
      if (logged !== undefined) return logged;
    }
    await this.#toDatabase(changes);
    return undefined;
  }

  /** Has the database take over what is in the log, and lets go of the log. */
  async close(): Promise<void> {
    while (this.#underWay !== undefined) await this.#underWay;
    // What it does not take now, it takes at the next start.
    await this.#takeOver();
    clearTimeout(this.#timer);
    this.#parts.log?.close();
  }

  /** @returns undefined where the log does not take it: the database may */
  async #toLog(
    log: CommitLog,
    given: readonly Change[],
    size: number,
  ): Promise<Logged | undefined> {
    const { bytes, changes } = encodeGroup(given, size);
    try {
      await log.append(bytes);
    } catch {
      return undefined;
    }
    for (const change of changes) this.#waiting.set(keyOf(change), change);
    if (log.isHalfFull) void this.#takeOver();
    else this.#takeOverLater();
    return { number: log.last, changes };
  }

  #takeOverLater(): void {
    this.#timer ??= setTimeout(() => void this.#takeOver(), GATHER_MS).unref();
  }

  /** The database takes over what is in the log; where it cannot, it is tried again later. */
  #takeOver(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#underWay !== undefined || this.#waiting.size === 0) {
      return this.#underWay ?? Promise.resolve();
    }
    return this.#alone(async () => {
      const leaving = this.#waiting;
      this.#leaving = leaving;
      this.#waiting = new Map();
      try {
        this.#parts.file.lookBeside();
        await this.#write(leaving.values(), this.#parts.log?.last ?? 0);
        this.#tookOver();
      } catch (cause) {
        this.#tookNothing(await this.#parts.whyFailed(cause));
        this.#waiting = new Map([...leaving, ...this.#waiting]);
      }
      this.#leaving = new Map();
    });
  }

  #tookNothing({ message }: Error): void {
    if (this.#failures++ > 0) return;
    this.#parts.logger.error(
      'the database does not take over what the commit log holds: it is tried again every second',
      { why: message },
    );
  }

  #tookOver(): void {
    if (this.#failures === 0) return;
    this.#parts.logger.info('the database takes over what the commit log holds again', {
      failedTimes: this.#failures,
    });
    this.#failures = 0;
  }

  async #toDatabase(changes: readonly Change[]): Promise<void> {
    while (this.#underWay !== undefined) await this.#underWay;
    let failure: Error | undefined;
    await this.#alone(async () => {
      try {
        await this.#writeWith(changes);
        this.#tookOver();
      } catch (cause) {
        failure = await this.#parts.whyFailed(cause);
      }
    });
    if (failure !== undefined) throw failure;
  }

  /** Runs what writes to the database, and must not reject, when nothing else does. */
  #alone(action: () => Promise<void>): Promise<void> {
    const running = action().finally(() => {
      this.#underWay = undefined;
      // What was logged meanwhile, or not taken, must not wait for the next commit.
      if (this.#waiting.size > 0) this.#takeOverLater();
    });
    this.#underWay = running;
    return running;
  }

  /** Writes what the log has, and these changes. */
  async #writeWith(changes: readonly Change[]): Promise<void> {
    const { log, file } = this.#parts;
    const last = log?.last ?? 0;
    if (this.#waiting.size === 0) {
      const { bytes, removes } = sizeOf(changes);
      file.checkFor(bytes, removes);
      await this.#write(changes, last);
      return;
    }
    const all = new Map(this.#waiting);
    for (const change of changes) all.set(keyOf(change), change);
    const { bytes, removes } = sizeOf(all.values());
    file.checkFor(bytes, removes);
    try {
      await this.#write(all.values(), last);
    } catch (cause) {
      if (!removes) throw cause;
      // Not a word of it, but what follows must not be explained with it.
      await this.#parts.whyFailed(cause);
      // What goes makes room for what comes, but not within one transaction.
      await this.#write(
        [...all.values()].filter(({ value }) => value === undefined),
        this.#applied,
      );
      await this.#write(all.values(), last);
    }
    this.#waiting.clear();
  }

  /** One transaction. @param upTo the commit of the log up to which the database goes with it */
  async #write(changes: Iterable<Change>, upTo: number): Promise<void> {
    const { root, tables, file, written } = this.#parts;
    let bytes = 0;
    try {
      await root.batch(() => {
        for (const { table, key, value } of changes) {
          // Within a batch, these have no outcome of their own.
          if (value === undefined) void tables[table].remove(key);
          else void tables[table].put(key, value);
          bytes += value?.length ?? 0;
        }
        if (upTo !== this.#applied) void tables.documents.put(APPLIED_KEY, encodeNumber(upTo));
      });
    } catch (cause) {
      file.didNotTake(bytes);
      throw cause;
    }
    file.took();
    this.#applied = upTo;
    this.#parts.log?.applied(upTo);
    written(upTo);
  }
}

/** The tables of a database; made where they are missing. */
export function tablesOf(root: RootDatabase<Buffer, Buffer>): Tables {
  const options = { encoding: 'binary', keyEncoding: 'binary' } as const;
  const opened = TABLES.map((name) => [name, root.openDB<Buffer, Buffer>(name, options)]);
  return Object.fromEntries(opened) as Tables;
}

/** The commit of the log up to which a database goes. */
export function appliedOf({ documents }: Tables): number {
  const value = documents.get(APPLIED_KEY);
  return value === undefined ? 0 : readUInt64(value, 0);
}

/** Has a database take over commits of the log, at once and durably. */
export function apply(
  root: RootDatabase<Buffer, Buffer>,
  tables: Tables,
  commits: readonly LoggedCommit[],
): void {
  const last = commits.at(-1);
  if (last === undefined) return;
  root.transactionSync(() => {
    for (const { payload } of commits) {
      for (const { table, key, value } of decodeGroup(payload)) {
        if (value === undefined) tables[table].removeSync(key);
        else tables[table].putSync(key, value);
      }
    }
    tables.documents.putSync(APPLIED_KEY, encodeNumber(last.number));
  });
}

function encodeNumber(number: number): Buffer {
  const value = Buffer.allocUnsafe(8);
  writeUInt64(value, number, 0);
  return value;
}
