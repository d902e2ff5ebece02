// The store on disk, in LMDB. What gathers between two commits is written
// together, off the main thread (lmdb-writer.ts); blocks and kept messages are
// read straight from the memory map, or from memory where only the commit log has
// them. A commit that fails leaves the disk as it was: what it would have added is
// dropped, what it would have removed is removed by the next one.
import type { RootDatabase } from 'lmdb';
import { lastSequenceOf, lastTimeOf, type Block } from '../../protocol/records.js';
import { silentLogger, type Logger } from '../log.js';
import type { Change } from './changes.js';
import { CommitLog, HAS_DURABLE_WRITES, readCommitLog } from './commit-log.js';
import { DatabaseFile, logPathsOf } from './database-file.js';
import { decodeKept, encodeKept } from './kept-codec.js';
import {
  blockBytesOf,
  decodeLog,
  documentKey,
  encodeLog,
  firstSequenceOf,
  isOfQueue,
  keptKey,
  logKey,
  queueOfPrefix,
  queuePrefixOf,
  sequenceOfKept,
  streamOf,
  type LogExtent,
} from './lmdb-layout.js';
import { appliedOf, apply, LmdbWriter, tablesOf, type Logged, type Tables } from './lmdb-writer.js';
import { openDatabase, openingError, type OpenDatabase } from './open-database.js';
import { RecentBlocks } from './recent-blocks.js';
import { exceeds } from './retention.js';
import type { KeptMessage, KeptQueueContent, Retention, Store, StoredStream } from './store.js';

const TRIM_KEYS_MAX = 256;

interface Log {
  readonly id: number;
  readonly name: string;
  bytes: number;
  lastSequence: number;
  /** How far it is durable. */
  durableSequence: number;
  /** Keys of the oldest blocks, to trim from; read when needed. */
  oldest: Buffer[];
  /** Blocks that begin before this sequence were trimmed. */
  trimmedBelow: number;
}

export interface LmdbStoreOptions {
  /** Whether a commit waits until the disk has it, or only until the operating system has. */
  readonly flush: boolean;
  /** Where is told what nobody waits for; nowhere, unless given. */
  readonly log?: Logger;
}

export class LmdbStore implements Store {
  readonly persistent = true;
  readonly #file: DatabaseFile;
  readonly #root: RootDatabase<Buffer, Buffer>;
  readonly #tables: Tables;
  readonly #writer: LmdbWriter;
  readonly #recents = new RecentBlocks();
  readonly #logs = new Map<string, Log>();
  readonly #touched = new Set<Log>();
  #changes: Change[] = [];
  /** What is being committed. */
  #underWay: readonly Change[] = [];
  #nextId = 1;

  private constructor(
    file: string,
    { root, whyFailed }: OpenDatabase,
    { flush, log: logger = silentLogger }: LmdbStoreOptions,
  ) {
    this.#root = root;
    this.#tables = tablesOf(root);
    const logPaths = flush && HAS_DURABLE_WRITES ? logPathsOf(file) : undefined;
    if (logPaths !== undefined) recover(logPaths, root, this.#tables);
    for (const { key, value } of this.#tables.streams.getRange()) this.#loadLog(key, value);
    // What holds files open comes last: from here on, nothing fails.
    const log = logPaths && new CommitLog(logPaths, appliedOf(this.#tables));
    this.#file = new DatabaseFile(file, logPaths);
    this.#writer = new LmdbWriter({
      file: this.#file,
      root,
      tables: this.#tables,
      whyFailed,
      log,
      logger,
      written: (commit) => {
        this.#recents.written(commit);
        // Reads from here on see what was just written.
        root.resetReadTxn();
      },
    });
  }

  /**
   * Opens a store.
   *
   * @param file where it lies; made where it is missing
   * @throws {DataDirectoryError} where it is damaged or cannot be opened; it was not changed
   */
  static open(file: string, options: LmdbStoreOptions): LmdbStore {
    const database = openDatabase(file, options);
    try {
      return new LmdbStore(file, database, options);
    } catch (cause) {
      void database.root.close();
      throw openingError(file, cause);
    }
  }

  streams(): StoredStream[] {
    return [...this.#logs.values()].map(({ name, lastSequence }) => ({ name, lastSequence }));
  }

  *queues(): Generator<KeptQueueContent> {
    const range = this.#tables.kept.getRange()[Symbol.iterator]();
    let next = range.next();
    const takeWhile = function* (store: LmdbStore, prefix: Buffer): Generator<KeptMessage> {
      while (next.done !== true && isOfQueue(next.value.key, prefix)) {
        const { key, value } = next.value;
        const message = store.#decode(sequenceOfKept(key), value);
        next = range.next();
        yield message;
      }
    };
    while (next.done !== true) {
      const prefix = Buffer.from(queuePrefixOf(next.value.key));
      yield { queue: queueOfPrefix(prefix), messages: takeWhile(this, prefix) };
      // What was not asked for is passed over.
      while (next.done !== true && isOfQueue(next.value.key, prefix)) next = range.next();
    }
  }

  #decode(sequence: number, value: Buffer): KeptMessage {
    try {
      return decodeKept(sequence, value);
    } catch (cause) {
      throw openingError(this.#file.path, cause);
    }
  }

  appendBlock(stream: string, block: Block): void {
    const log = this.#requireLog(stream);
    log.bytes += block.bytes.length;
    log.lastSequence = block.last;
    this.#touched.add(log);
    const key = logKey(log.id, block.first, block.bytes.length);
    this.#changes.push({ table: 'logs', key, value: block.bytes });
  }

  readBlock(stream: string, sequence: number): Block | undefined {
    const log = this.#logs.get(stream);
    if (log === undefined) return undefined;
    // What was trimmed may still lie there until the next commit.
    const from = Math.max(sequence, log.trimmedBelow);
    return (
      this.#recents.find(log.id, from) ??
      this.#readFromDisk(log, from) ??
      this.#recents.firstAfter(log.id, from)
    );
  }

  #readFromDisk(log: Log, from: number): Block | undefined {
    const key = this.#keyAtOrBefore(log, from) ?? this.#keyAfter(log, from);
    if (key === undefined) return undefined;
    const block = this.#blockAt(key);
    if (block.last >= from && block.first >= log.trimmedBelow) return block;
    const next = this.#keyAfter(log, from);
    return next === undefined ? undefined : this.#blockAt(next);
  }

  trim(stream: string, retention: Retention, wallMs: number): void {
    const log = this.#logs.get(stream);
    if (log === undefined) return;
    for (let oldest = this.#oldest(log); oldest !== undefined; oldest = this.#oldest(log)) {
      const block = { bytes: log.bytes, messages: oldest.messagesAfter, timeMs: Infinity };
      if (retention.ageMsMax !== undefined)
        block.timeMs = lastTimeOf(this.#blockAt(oldest.key).bytes);
      if (!exceeds(block, retention, wallMs)) return;
      log.oldest.shift();
      log.trimmedBelow = firstSequenceOf(oldest.key) + 1;
      this.#recents.trimmed(log.id, log.trimmedBelow);
      log.bytes -= blockBytesOf(oldest.key);
      this.#touched.add(log);
      this.#changes.push({ table: 'logs', key: oldest.key, value: undefined });
    }
  }

  dropStream(stream: string): void {
    const log = this.#logs.get(stream);
    if (log === undefined) return;
    this.trim(stream, { bytesMax: 0 }, 0);
    // What is not there yet must not come later.
    for (const { table, key, value } of [...this.#underWay, ...this.#changes]) {
      if (table !== 'logs' || value === undefined || streamOf(key) !== log.id) continue;
      this.#changes.push({ table, key, value: undefined });
    }
    this.#logs.delete(stream);
    this.#touched.delete(log);
    this.#changes.push({ table: 'streams', key: Buffer.from(stream), value: undefined });
  }

  streamBytes(stream: string): number {
    return this.#logs.get(stream)?.bytes ?? 0;
  }

  keep(queue: string, message: KeptMessage): void {
    const key = keptKey(queue, message.sequence);
    this.#changes.push({ table: 'kept', key, value: encodeKept(message) });
  }

  readKept(queue: string, sequence: number): KeptMessage | undefined {
    const key = keptKey(queue, sequence);
    const waiting = this.#writer.waiting('kept', key);
    const value = waiting === undefined ? this.#tables.kept.get(key) : waiting.value;
    return value === undefined ? undefined : this.#decode(sequence, value);
  }

  release(queue: string, sequence: number): void {
    this.#changes.push({ table: 'kept', key: keptKey(queue, sequence), value: undefined });
  }

  setDocument(kind: string, name: string, value: Buffer | undefined): void {
    this.#changes.push({ table: 'documents', key: documentKey(kind, name), value });
  }

  *documents(kind: string): Generator<[string, Buffer]> {
    const start = documentKey(kind, '');
    for (const { key, value } of this.#tables.documents.getRange({ start })) {
      if (!key.subarray(0, start.length).equals(start)) return;
      yield [key.toString('utf8', start.length), Buffer.from(value)];
    }
  }

  commit(): Promise<void> | undefined {
    for (const log of this.#touched) {
      const value = encodeLog(log.id, log);
      this.#changes.push({ table: 'streams', key: Buffer.from(log.name), value });
    }
    if (this.#changes.length === 0) return undefined;
    const changes = this.#changes;
    const logs = [...this.#touched];
    this.#changes = [];
    this.#touched.clear();
    return this.#write(changes, logs);
  }

  async close(): Promise<void> {
    // What cannot be written now (the disk is full) was not confirmed to anybody.
    await this.commit()?.catch(() => undefined);
    await this.#writer.close();
    await this.#root.close();
  }

  async #write(changes: readonly Change[], logs: readonly Log[]): Promise<void> {
    const marks = logs.map(({ lastSequence }) => lastSequence);
    this.#underWay = changes;
    try {
      const logged = await this.#writer.commit(changes);
      if (logged !== undefined) this.#remember(logged);
      for (const [at, log] of logs.entries()) log.durableSequence = marks[at] ?? 0;
    } catch (cause) {
      this.#undo(changes, logs);
      throw cause;
    } finally {
      this.#underWay = [];
    }
  }

  /** What only the commit log has is read from memory. */
  #remember({ number, changes }: Logged): void {
    for (const { table, key, value } of changes) {
      if (table !== 'logs' || value === undefined) continue;
      const block = { first: firstSequenceOf(key), last: lastSequenceOf(value), bytes: value };
      this.#recents.add(streamOf(key), block, number);
    }
  }

  /** After a failed commit: nothing was added, and what should go still has to. */
  #undo(changes: readonly Change[], logs: readonly Log[]): void {
    const removals = changes.filter(({ value }) => value === undefined);
    this.#changes = [...removals, ...this.#changes];
    const added = changes.filter(({ table, value }) => table === 'logs' && value !== undefined);
    for (const log of logs) {
      const lost = added.filter(({ key }) => streamOf(key) === log.id);
      log.bytes -= lost.reduce((sum, { key }) => sum + blockBytesOf(key), 0);
      if (this.#logs.get(log.name) === log) this.#touched.add(log);
    }
  }

  #loadLog(key: Buffer, value: Buffer): void {
    const name = key.toString();
    const { id, ...extent } = decodeLog(value);
    this.#logs.set(name, newLog(id, name, extent));
    this.#nextId = Math.max(this.#nextId, id + 1);
  }

  #requireLog(name: string): Log {
    let log = this.#logs.get(name);
    if (log === undefined) {
      log = newLog(this.#nextId++, name, { bytes: 0, lastSequence: 0 });
      this.#logs.set(name, log);
    }
    return log;
  }

  /** The oldest block that is on disk and not trimmed yet. */
  #oldest(log: Log): { key: Buffer; messagesAfter: number } | undefined {
    if (log.oldest.length < 2) {
      const start = logKey(log.id, log.trimmedBelow, 0);
      const range = { start, end: logKey(log.id + 1, 0, 0), limit: TRIM_KEYS_MAX };
      log.oldest = [...this.#tables.logs.getKeys(range)].map((key) => Buffer.from(key));
      if (log.oldest.length < TRIM_KEYS_MAX) log.oldest.push(...this.#recentKeys(log));
    }
    const [key, next] = log.oldest;
    if (key === undefined) return undefined;
    const messagesAfter = next === undefined ? 0 : log.durableSequence - firstSequenceOf(next) + 1;
    return { key, messagesAfter };
  }

  /** Keys of the blocks of a log that follow those on disk. */
  #recentKeys(log: Log): Buffer[] {
    const last = log.oldest.at(-1);
    const from = Math.max(log.trimmedBelow, last === undefined ? 0 : firstSequenceOf(last) + 1);
    return this.#recents
      .of(log.id)
      .filter(({ first }) => first >= from)
      .map(({ first, bytes }) => logKey(log.id, first, bytes.length));
  }

  #keyAtOrBefore(log: Log, sequence: number): Buffer | undefined {
    const range = {
      start: logKey(log.id, sequence),
      end: logKey(log.id, 0, 0),
      limit: 1,
      reverse: true,
    };
    for (const key of this.#tables.logs.getKeys(range)) return key;
    return undefined;
  }

  #keyAfter(log: Log, sequence: number): Buffer | undefined {
    const range = {
      start: logKey(log.id, sequence + 1, 0),
      end: logKey(log.id + 1, 0, 0),
      limit: 1,
    };
    for (const key of this.#tables.logs.getKeys(range)) return key;
    return undefined;
  }

  #blockAt(key: Buffer): Block {
    const recent = this.#recents.find(streamOf(key), firstSequenceOf(key));
    if (recent !== undefined) return recent;
    // The fast read hands out memory that the next read uses again, of which the
    // value is the first part.
    const shared = this.#tables.logs.getBinaryFast(key) as Buffer;
    const bytes = Buffer.allocUnsafeSlow(shared.length);
    bytes.set(shared.subarray(0, shared.length));
    return { first: firstSequenceOf(key), last: lastSequenceOf(bytes), bytes };
  }
}

function newLog(id: number, name: string, { bytes, lastSequence }: LogExtent): Log {
  return {
    id,
    name,
    bytes,
    lastSequence,
    durableSequence: lastSequence,
    oldest: [],
    trimmedBelow: 0,
  };
}

/** Has a database take over what its commit log holds and it does not have yet. */
function recover(
  paths: readonly string[],
  root: RootDatabase<Buffer, Buffer>,
  tables: Tables,
): void {
  apply(root, tables, readCommitLog(paths, appliedOf(tables)));
}
