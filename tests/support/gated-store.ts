// A store double whose commits end when the test says so, well or not; what a
// failed one held of streams is not there to be read. Beneath it is the memory
// store; it counts itself as persistent, so that the broker treats it as it treats
// a disk.
import { MemoryStore } from '../../broker/store/memory.js';
import type { KeptMessage } from '../../broker/store/store.js';
import type { Block } from '../../protocol/records.js';

export class GatedStore extends MemoryStore {
  override readonly persistent = true;
  /** Commits that have begun and not ended. */
  readonly underWay: { succeed: () => void; fail: (why: string) => void }[] = [];
  commits = 0;
  readonly #messages = new Map<string, KeptMessage>();
  #blocks: [stream: string, block: Block][] = [];
  #isOpen = false;

  override appendBlock(stream: string, block: Block): void {
    this.#blocks.push([stream, block]);
  }

  override keep(queue = '', message?: KeptMessage): void {
    super.keep();
    if (message !== undefined) this.#messages.set(`${queue} ${message.sequence}`, message);
  }

  override readKept(queue = '', sequence = 0): KeptMessage | undefined {
    return this.#messages.get(`${queue} ${sequence}`);
  }

  override release(queue = '', sequence = 0): void {
    super.release();
    this.#messages.delete(`${queue} ${sequence}`);
  }

  override commit(): Promise<void> {
    this.commits++;
    const blocks = this.#blocks;
    this.#blocks = [];
    return new Promise((resolve, reject) => {
      const succeed = (): void => {
        for (const [stream, block] of blocks) super.appendBlock(stream, block);
        resolve();
      };
      if (this.#isOpen) succeed();
      else this.underWay.push({ succeed, fail: (why) => reject(new Error(why)) });
    });
  }

  /** Ends the commit that is under way. */
  succeed(): void {
    this.underWay.shift()?.succeed();
  }

  fail(why: string): void {
    this.underWay.shift()?.fail(why);
  }

  /** Ends commits as they come, from now on. */
  open(): void {
    this.#isOpen = true;
    for (const { succeed } of this.underWay.splice(0)) succeed();
  }
}
