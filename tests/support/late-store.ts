// A store double whose commits take turns of the event loop to end, as those of
// a disk do, and of which some fail. Beneath it is the memory store; it counts
// itself as persistent, so that the broker treats it as it treats a disk.
import type { Block } from '../../protocol/records.js';
import { MemoryStore } from '../../broker/store/memory.js';

export class LateStore extends MemoryStore {
  override readonly persistent = true;
  /** Of so many commits, one fails; 0 for none. */
  readonly #failEvery: number;
  readonly #blocks: [stream: string, block: Block][] = [];
  #commits = 0;

  constructor(failEvery = 0) {
    super();
    this.#failEvery = failEvery;
  }

  override appendBlock(stream: string, block: Block): void {
    this.#blocks.push([stream, block]);
  }

  override async commit(): Promise<void> {
    const blocks = this.#blocks.splice(0);
    this.#commits++;
    const fails = this.#failEvery > 0 && this.#commits % this.#failEvery === 0;
    for (let turn = 0; turn < 2; turn++) await new Promise((resolve) => setImmediate(resolve));
    if (fails) throw new Error('the disk is full');
    // What is not committed is not there to be read.
    for (const [stream, block] of blocks) super.appendBlock(stream, block);
  }
}
