// The store on disk, in LMDB. What gathers between two commits is one
// transaction, written and flushed off the main thread; blocks and kept messages
// are read straight from the memory map. A commit that fails leaves the disk as
// it was: what it would have added is dropped, what it would have removed is
// removed by the next one.
import type { Database, RootDatabase } from 'lmdb';
import { lastSequenceOf, lastTimeOf, type Block } from '../../protocol/records.js';
import { DatabaseFile } from './database-file.js';
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
import { openDatabase, openingError, type OpenDatabase } from './open-database.js';
import { exceeds } from './retention.js';
import type { KeptMessage, KeptQueueContent, Retention, Store, StoredStream } from './store.js';

const TRIM_KEYS_MAX = 256;

type Table = Database<Buffer, Buffer>;

interface Log {
  readonly id: number;
  readonly name: string;
  bytes: number;
  lastSequence: number;
  /** As on disk, for a commit that fails. */
  durable: LogExtent;
  /** Keys of the oldest blocks, to trim from; read when needed. */
  oldest: Buffer[];
  /** Blocks that begin before this sequence were trimmed. */
  trimmedBelow: number;
}

/** One change: a value to put, or a key to remove. */
interface Change {
  readonly table: Table;
  readonly key: Buffer;
  readonly value: Buffer | undefined;
}

export class LmdbStore implements Store {
  readonly persistent = true;
  readonly #file: DatabaseFile;
  readonly #root: RootDatabase<Buffer, Buffer>;
  readonly #whyFailed: OpenDatabase['whyFailed'];
  readonly #logsTable: Table;
  readonly #streamsTable: Table;
  readonly #keptTable: Table;
  readonly #documentsTable: Table;
  readonly #logs = new Map<string, Log>();
  readonly #touched = new Set<Log>();
  #changes: Change[] = [];
  #nextId = 1;

  private constructor(file: DatabaseFile, { root, whyFailed }: OpenDatabase) {
    this.#file = file;
    this.#root = root;
    this.#whyFailed = whyFailed;
    const table = { encoding: 'binary', keyEncoding: 'binary' } as const;
    this.#logsTable = root.openDB<Buffer, Buffer>('logs', table);
    this.#streamsTable = root.openDB<Buffer, Buffer>('streams', table);
    this.#keptTable = root.openDB<Buffer, Buffer>('kept', table);
    this.#documentsTable = root.openDB<Buffer, Buffer>('documents', table);
    for (const { key, value } of this.#streamsTable.getRange()) this.#loadLog(key, value);
  }

  /**
   * Opens a store.
   *
   * @param file where it lies; made where it is missing
   * @param flush whether a commit waits until the disk has it, or only until the
   *   operating system has
   * @throws {DataDirectoryError} where it is damaged or cannot be opened; it was not changed
   */
  static open(file: string, options: { flush: boolean }): LmdbStore {
    const database = openDatabase(file, options);
    try {
      return new LmdbStore(new DatabaseFile(file), database);
    } catch (cause) {
      void database.root.close();
      throw openingError(file, cause);
    }
  }

  streams(): StoredStream[] {
    return [...this.#logs.values()].map(({ name, lastSequence }) => ({ name, lastSequence }));
  }

  *queues(): Generator<KeptQueueContent> {
    const range = this.#keptTable.getRange()[Symbol.iterator]();
    let next = range.next();
    const takeWhile = function* (store: LmdbStore, prefix: Buffer): Generator<KeptMessage> {
      while (next.done !== true && isOfQueue(next.value.key, prefix)) {
        const { key, value } = next.value;
        const message = store.#readKept(sequenceOfKept(key), value);
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

  #readKept(sequence: number, value: Buffer): KeptMessage {
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
    this.#changes.push({ table: this.#logsTable, key, value: block.bytes });
  }

  readBlock(stream: string, sequence: number): Block | undefined {
    const log = this.#logs.get(stream);
    if (log === undefined) return undefined;
    // What was trimmed may still lie there until the next commit.
    const from = Math.max(sequence, log.trimmedBelow);
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
      log.bytes -= blockBytesOf(oldest.key);
      this.#touched.add(log);
      this.#changes.push({ table: this.#logsTable, key: oldest.key, value: undefined });
    }
  }

  dropStream(stream: string): void {
    const log = this.#logs.get(stream);
    if (log === undefined) return;
    this.trim(stream, { bytesMax: 0 }, 0);
    this.#logs.delete(stream);
    this.#touched.delete(log);
    this.#changes.push({ table: this.#streamsTable, key: Buffer.from(stream), value: undefined });
  }

  streamBytes(stream: string): number {
    return this.#logs.get(stream)?.bytes ?? 0;
  }

  keep(queue: string, message: KeptMessage): void {
    const key = keptKey(queue, message.sequence);
    this.#changes.push({ table: this.#keptTable, key, value: encodeKept(message) });
  }

  release(queue: string, sequence: number): void {
    this.#changes.push({ table: this.#keptTable, key: keptKey(queue, sequence), value: undefined });
  }

  setDocument(kind: string, name: string, value: Buffer | undefined): void {
    this.#changes.push({ table: this.#documentsTable, key: documentKey(kind, name), value });
  }

  *documents(kind: string): Generator<[string, Buffer]> {
    const start = documentKey(kind, '');
    for (const { key, value } of this.#documentsTable.getRange({ start })) {
      if (!key.subarray(0, start.length).equals(start)) return;
      yield [key.toString('utf8', start.length), Buffer.from(value)];
    }
  }

  commit(): Promise<void> | undefined {
    for (const log of this.#touched) {
      const change = {
        table: this.#streamsTable,
        key: Buffer.from(log.name),
        value: encodeLog(log.id, log),
      };
      this.#changes.push(change);
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
    await this.#root.close();
  }

  async #write(changes: readonly Change[], logs: readonly Log[]): Promise<void> {
    const { bytes, removes } = sizeOf(changes);
    try {
      this.#file.checkFor(bytes, removes);
      await this.#root.batch(() => {
        for (const { table, key, value } of changes) {
          // Within a batch, these have no outcome of their own.
          if (value === undefined) void table.remove(key);
          else void table.put(key, value);
        }
      });
      this.#file.took();
      for (const log of logs) log.durable = { bytes: log.bytes, lastSequence: log.lastSequence };
      // Reads from here on see what was just written.
      this.#root.resetReadTxn();
    } catch (cause) {
      this.#undo(changes, logs);
      this.#file.didNotTake(bytes);
      throw await this.#whyFailed(cause);
    }
  }

  /** After a failed commit: nothing was added, and what should go still has to. */
  #undo(changes: readonly Change[], logs: readonly Log[]): void {
    const removals = changes.filter(({ value }) => value === undefined);
    this.#changes = [...removals, ...this.#changes];
    for (const log of logs) {
      const removed = removals.filter(
        ({ table, key }) => table === this.#logsTable && streamOf(key) === log.id,
      );
      log.bytes = removed.reduce((sum, { key }) => sum - blockBytesOf(key), log.durable.bytes);
      this.#touched.add(log);
    }
  }

  #loadLog(key: Buffer, value: Buffer): void {
    const name = key.toString();
    const { id, ...durable } = decodeLog(value);
    this.#logs.set(name, { id, name, ...durable, durable, oldest: [], trimmedBelow: 0 });
    this.#nextId = Math.max(this.#nextId, id + 1);
  }

  #requireLog(name: string): Log {
    let log = this.#logs.get(name);
    if (log === undefined) {
      const nothing = { bytes: 0, lastSequence: 0 };
      log = { id: this.#nextId++, name, ...nothing, durable: nothing, oldest: [], trimmedBelow: 0 };
      this.#logs.set(name, log);
    }
    return log;
  }

  /** The oldest block that is on disk and not trimmed yet. */
  #oldest(log: Log): { key: Buffer; messagesAfter: number } | undefined {
    if (log.oldest.length < 2) {
      const start = logKey(log.id, log.trimmedBelow, 0);
      const range = { start, end: logKey(log.id + 1, 0, 0), limit: TRIM_KEYS_MAX };
      log.oldest = [...this.#logsTable.getKeys(range)].map((key) => Buffer.from(key));
    }
    const [key, next] = log.oldest;
    if (key === undefined) return undefined;
    const messagesAfter =
      next === undefined ? 0 : log.durable.lastSequence - firstSequenceOf(next) + 1;
    return { key, messagesAfter };
  }

  #keyAtOrBefore(log: Log, sequence: number): Buffer | undefined {
    const range = {
      start: logKey(log.id, sequence),
      end: logKey(log.id, 0, 0),
      limit: 1,
      reverse: true,
    };
    for (const key of this.#logsTable.getKeys(range)) return key;
    return undefined;
  }

  #keyAfter(log: Log, sequence: number): Buffer | undefined {
    const range = {
      start: logKey(log.id, sequence + 1, 0),
      end: logKey(log.id + 1, 0, 0),
      limit: 1,
    };
    for (const key of this.#logsTable.getKeys(range)) return key;
    return undefined;
  }

  #blockAt(key: Buffer): Block {
    // The fast read hands out memory that the next read uses again, of which the
    // value is the first part.
    const shared = this.#logsTable.getBinaryFast(key) as Buffer;
    const bytes = Buffer.allocUnsafeSlow(shared.length);
    bytes.set(shared.subarray(0, shared.length));
    return { first: firstSequenceOf(key), last: lastSequenceOf(bytes), bytes };
  }
}

/** What a commit adds, in octets, and whether it removes something. */
function sizeOf(changes: readonly Change[]): { bytes: number; removes: boolean } {
  let bytes = 0;
  let removes = false;
  for (const { value } of changes) {
    if (value === undefined) removes = true;
    else bytes += value.length;
  }
  return { bytes, removes };
}
