// A store double whose commits take turns of the event loop to end, as those of
// a disk do, and of which some fail. It keeps what was committed and only that: a
// broker that starts on its disk after the first was killed finds what an LMDB
// would hold. It follows the contract of store.ts and measures nothing.
import { lastTimeOf, type Block } from '../../protocol/records.js';
import { decodeKept, encodeKept } from '../../broker/store/kept-codec.js';
import { exceeds } from '../../broker/store/retention.js';
import type {
  KeptMessage,
  KeptQueueContent,
  Retention,
  Store,
  StoredStream,
} from '../../broker/store/store.js';

interface DiskLog {
  blocks: Block[];
  lastSequence: number;
}

/** What is durable. It outlives the store, as a disk outlives a process. */
class Disk {
  readonly logs = new Map<string, DiskLog>();
  readonly queues = new Map<string, Map<number, Buffer>>();
  /** By kind and name, with a zero octet between them. */
  readonly documents = new Map<string, Buffer>();
}

/** One change that waits for its commit. */
interface Change {
  /**
   * What is added is dropped where the commit fails; what is removed goes with the next
   * one then. What is noted goes with any commit, and nobody waits for it.
   */
  readonly kind: 'added' | 'removed' | 'noted';
  apply(disk: Disk): void;
}

/** What the store knows of a log beside its blocks on the disk. */
interface Log {
  lastSequence: number;
  /** Blocks that begin before this sequence were trimmed, though they may still lie there. */
  trimmedBelow: number;
}

/** Turns of the event loop that a commit takes, unless told. */
const TURNS = 2;

export class LateStore implements Store {
  readonly persistent = true;
  /** True while every commit fails. */
  failing = false;
  /** Turns of the event loop that a commit takes. */
  turns = TURNS;
  /** Commits that have failed. */
  failures = 0;
  /** True where the last commit did not. */
  healthy = true;
  /** Of so many commits, one fails; 0 for none. */
  readonly #failEvery: number;
  readonly #disk: Disk;
  readonly #logs = new Map<string, Log>();
  #changes: Change[] = [];
  #commits = 0;
  #underWay: readonly Change[] | undefined;
  #killed = false;

  constructor(failEvery = 0, disk = new Disk()) {
    this.#failEvery = failEvery;
    this.#disk = disk;
    for (const [name, { lastSequence }] of disk.logs) this.#log(name).lastSequence = lastSequence;
  }

  /**
   * The process that uses the store is killed: nothing that it does reaches the disk any more.
   *
   * @param lucky whether the commit that was under way did
   * @returns the store that the next process opens
   */
  kill(lucky: boolean): LateStore {
    this.#killed = true;
    if (lucky) for (const change of this.#underWay ?? []) change.apply(this.#disk);
    this.#underWay = undefined;
    return this.reopen();
  }

  /** The store that the next process opens on the disk, after this one has closed. */
  reopen(): LateStore {
    return new LateStore(this.#failEvery, this.#disk);
  }

  /** True where nothing that matters waits for a commit, and none is under way. */
  get idle(): boolean {
    return this.#underWay === undefined && this.#changes.every(({ kind }) => kind === 'noted');
  }

  streams(): StoredStream[] {
    return [...this.#disk.logs].map(([name, { lastSequence }]) => ({ name, lastSequence }));
  }

  *queues(): Generator<KeptQueueContent> {
    for (const [queue, kept] of this.#disk.queues) {
      if (kept.size === 0) continue;
      const sequences = [...kept.keys()].sort((a, b) => a - b);
      const messages = sequences.map((at) => decodeKept(at, Buffer.from(kept.get(at) as Buffer)));
      yield { queue, messages };
    }
  }

  appendBlock(stream: string, { first, last, bytes }: Block): void {
    const log = this.#log(stream);
    const block = { first, last, bytes: Buffer.from(bytes) };
    log.lastSequence = last;
    this.#change('added', (disk) => diskLog(disk, stream).blocks.push(block));
    this.#change('noted', (disk) => (diskLog(disk, stream).lastSequence = last));
  }

  readBlock(stream: string, sequence: number): Block | undefined {
    const from = Math.max(sequence, this.#logs.get(stream)?.trimmedBelow ?? 0);
    return this.#blocks(stream).find(({ last }) => last >= from);
  }

  trim(stream: string, retention: Retention, wallMs: number): void {
    const log = this.#logs.get(stream);
    if (log === undefined) return;
    for (let [oldest, next] = this.#blocks(stream); oldest; [oldest, next] = this.#blocks(stream)) {
      const { first } = oldest;
      const state = {
        bytes: this.streamBytes(stream),
        messages: next === undefined ? 0 : lastOf(this.#disk, stream) - next.first + 1,
        timeMs: lastTimeOf(oldest.bytes),
      };
      if (!exceeds(state, retention, wallMs)) return;
      log.trimmedBelow = first + 1;
      this.#change('noted', (disk) => {
        const { blocks } = diskLog(disk, stream);
        if (blocks[0]?.first === first) blocks.shift();
      });
    }
  }

  dropStream(stream: string): void {
    this.#logs.delete(stream);
    this.#change('removed', (disk) => disk.logs.delete(stream));
  }

  streamBytes(stream: string): number {
    return this.#blocks(stream).reduce((sum, block) => sum + block.bytes.length, 0);
  }

  keep(queue: string, message: KeptMessage): void {
    const bytes = encodeKept(message);
    this.#change('added', (disk) => diskQueue(disk, queue).set(message.sequence, bytes));
  }

  readKept(queue: string, sequence: number): KeptMessage | undefined {
    const bytes = this.#disk.queues.get(queue)?.get(sequence);
    return bytes === undefined ? undefined : decodeKept(sequence, Buffer.from(bytes));
  }

  release(queue: string, sequence: number): void {
    this.#change('removed', (disk) => diskQueue(disk, queue).delete(sequence));
  }

  setDocument(kind: string, name: string, value: Buffer | undefined): void {
    const key = `${kind}\0${name}`;
    const copy = value === undefined ? undefined : Buffer.from(value);
    if (copy === undefined) this.#change('removed', (disk) => disk.documents.delete(key));
    else this.#change('added', (disk) => disk.documents.set(key, copy));
  }

  *documents(kind: string): Generator<[name: string, value: Buffer]> {
    const start = `${kind}\0`;
    for (const [key, value] of this.#disk.documents) {
      if (key.startsWith(start)) yield [key.slice(start.length), Buffer.from(value)];
    }
  }

  commit(): Promise<void> | undefined {
    const changes = this.#changes;
    this.#changes = [];
    // What a killed process still does reaches nothing.
    if (changes.length === 0 || this.#killed) return undefined;
    this.#underWay = changes;
    this.#commits++;
    const unlucky = this.#failEvery > 0 && this.#commits % this.#failEvery === 0;
    return this.#write(changes, unlucky || this.failing);
  }

  /** What cannot be written now was not confirmed to anybody. */
  async close(): Promise<void> {
    await this.commit()?.catch(() => undefined);
  }

  async #write(changes: readonly Change[], fails: boolean): Promise<void> {
    for (let turn = 0; turn < this.turns && !this.#killed; turn++) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    this.#underWay = undefined;
    // The process that waits for it is no more.
    if (this.#killed) return;
    this.healthy = !fails;
    if (fails) {
      this.failures++;
      this.#changes = [...changes.filter(({ kind }) => kind !== 'added'), ...this.#changes];
      throw new Error('the disk is full');
    }
    for (const change of changes) change.apply(this.#disk);
  }

  #change(kind: Change['kind'], apply: (disk: Disk) => unknown): void {
    this.#changes.push({ kind, apply });
  }

  #log(name: string): Log {
    let log = this.#logs.get(name);
    if (log === undefined) {
      log = { lastSequence: 0, trimmedBelow: 0 };
      this.#logs.set(name, log);
    }
    return log;
  }

  /** The blocks of a log that can be read. */
  #blocks(stream: string): readonly Block[] {
    const log = this.#logs.get(stream);
    if (log === undefined) return [];
    const blocks = this.#disk.logs.get(stream)?.blocks ?? [];
    return blocks.filter(({ first }) => first >= log.trimmedBelow);
  }
}

function lastOf({ logs }: Disk, name: string): number {
  return logs.get(name)?.lastSequence ?? 0;
}

function diskLog({ logs }: Disk, name: string): DiskLog {
  let log = logs.get(name);
  if (log === undefined) logs.set(name, (log = { blocks: [], lastSequence: 0 }));
  return log;
}

function diskQueue({ queues }: Disk, name: string): Map<number, Buffer> {
  let queue = queues.get(name);
  if (queue === undefined) queues.set(name, (queue = new Map<number, Buffer>()));
  return queue;
}
