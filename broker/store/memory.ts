// The store without a disk: everything is gone with the process. Stream logs
// are lists of blocks; kept messages already live in the queue engines, so this
// store only counts them.
import { lastTimeOf, type Block } from '../../protocol/records.js';
import { Deque } from '../deque.js';
import { exceeds } from './retention.js';
import type { KeptMessage, Retention, Store } from './store.js';

const JOINED_BYTES_MAX = 256 * 1024;

interface Log {
  readonly blocks: Deque<Block>;
  bytes: number;
}

export class MemoryStore implements Store {
  readonly persistent: boolean = false;
  readonly #logs = new Map<string, Log>();
  readonly #bytesMax: number;
  #bytes = 0;
  #kept = 0;

  /** @param bytesMax octets of all logs together; beyond that the largest one is cut */
  constructor(bytesMax = Infinity) {
    this.#bytesMax = bytesMax;
  }

  /** How many messages the queues keep. */
  get kept(): number {
    return this.#kept;
  }

  streams(): [] {
    return [];
  }

  queues(): [] {
    return [];
  }

  appendBlock(stream: string, block: Block): void {
    let log = this.#logs.get(stream);
    if (log === undefined) this.#logs.set(stream, (log = { blocks: new Deque(), bytes: 0 }));
    const previous = log.blocks.peekBack();
    const joined = previous === undefined ? undefined : join(previous, block);
    if (joined !== undefined) log.blocks.pop();
    log.blocks.push(joined ?? block);
    log.bytes += block.bytes.length;
    this.#bytes += block.bytes.length;
    while (this.#bytes > this.#bytesMax && this.#cutLargest());
  }

  readBlock(stream: string, sequence: number): Block | undefined {
    const blocks = this.#logs.get(stream)?.blocks;
    if (blocks === undefined) return undefined;
    let low = 0;
    let high = blocks.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((blocks.at(middle) as Block).last < sequence) low = middle + 1;
      else high = middle;
    }
    return blocks.at(low);
  }

  trim(stream: string, retention: Retention, wallMs: number): void {
    const log = this.#logs.get(stream);
    if (log === undefined) return;
    const last = log.blocks.peekBack()?.last ?? 0;
    while (log.blocks.length > 0) {
      const oldest = log.blocks.peek() as Block;
      const beyond = {
        bytes: log.bytes,
        messages: last - oldest.last,
        timeMs: retention.ageMsMax === undefined ? Infinity : lastTimeOf(oldest.bytes),
      };
      if (!exceeds(beyond, retention, wallMs)) return;
      this.#dropOldest(log);
    }
  }

  dropStream(stream: string): void {
    this.#bytes -= this.streamBytes(stream);
    this.#logs.delete(stream);
  }

  /** Drops the older half of the largest log. @returns false where there is nothing to drop */
  #cutLargest(): boolean {
    let largest: Log | undefined;
    for (const log of this.#logs.values()) {
      if (log.bytes > (largest?.bytes ?? 0)) largest = log;
    }
    if (largest === undefined) return false;
    const half = largest.bytes / 2;
    while (largest.bytes > half) this.#dropOldest(largest);
    return true;
  }

  #dropOldest(log: Log): void {
    const bytes = log.blocks.shift()?.bytes.length ?? 0;
    log.bytes -= bytes;
    this.#bytes -= bytes;
  }

  streamBytes(stream: string): number {
    return this.#logs.get(stream)?.bytes ?? 0;
  }

  keep(): void {
    this.#kept++;
  }

  /** Whoever keeps a message has it. */
  readKept(): KeptMessage | undefined {
    return undefined;
  }

  release(): void {
    this.#kept--;
  }

  setDocument(): void {
    // Whoever sets a document keeps it as well; without a disk, that is all.
  }

  documents(): [] {
    return [];
  }

  commit(): Promise<void> | undefined {
    return undefined;
  }

  close(): Promise<void> {
    this.#logs.clear();
    return Promise.resolve();
  }
}

/** One block for two that lie side by side in memory; undefined where they do not. */
function join(a: Block, b: Block): Block | undefined {
  const length = a.bytes.length + b.bytes.length;
  const adjacent =
    a.bytes.buffer === b.bytes.buffer && a.bytes.byteOffset + a.bytes.length === b.bytes.byteOffset;
  if (!adjacent || length > JOINED_BYTES_MAX) return undefined;
  const bytes = Buffer.from(a.bytes.buffer, a.bytes.byteOffset, length);
  return { first: a.first, last: b.last, bytes };
}
