// What came for one reader of a stream and was not given out yet: octets as the
// broker sent them, which become messages one by one, and the gaps between them.
// It counts what waits; what that means for credit is the reader's business.
import { BlockReader, countSections, lastSequenceOf, ProtocolError } from '../../protocol/index.js';
import { Fifo } from '../fifo.js';
import type { Gap } from '../stream.js';

export class Arrivals {
  readonly #items = new Fifo<Buffer | Gap>();
  #block: BlockReader | undefined;
  #octets: Buffer = Buffer.alloc(0);
  /** Messages that wait. */
  messages = 0;
  /** Octets of what waits; what is being given out counts until it is done. */
  bytes = 0;
  /** The last sequence that came; 0 for none. */
  lastSequence = 0;

  /** Messages have come. @returns how many. @throws {ProtocolError} where the sections are none */
  push(sections: Buffer): number {
    const count = countSections(sections);
    this.#items.push(sections);
    this.messages += count;
    this.bytes += sections.length;
    this.lastSequence = lastSequenceOf(sections);
    return count;
  }

  pushGap(gap: Gap): void {
    this.#items.push(gap);
    this.lastSequence = gap.last;
  }

  /**
   * The next message, at which the reader of its block stands until the next call, or gap.
   *
   * @throws {ProtocolError} where the sections are none
   */
  next(): BlockReader | Gap | undefined {
    for (;;) {
      if (this.#block !== undefined) {
        if (step(this.#block)) {
          this.messages--;
          return this.#block;
        }
        this.#block = undefined;
        this.bytes -= this.#octets.length;
      }
      const item = this.#items.shift();
      if (item === undefined || !Buffer.isBuffer(item)) return item;
      this.#octets = item;
      this.#block = new BlockReader(item);
    }
  }

  /** The octets of the block in which the message lies that `next` gave last. */
  get octets(): Buffer {
    return this.#octets;
  }

  /** Throws everything away. */
  clear(): void {
    this.#items.drain();
    this.#block = undefined;
    this.messages = this.bytes = this.lastSequence = 0;
  }
}

/** Steps to the next message. @throws {ProtocolError} where the block is none */
function step(block: BlockReader): boolean {
  try {
    return block.next();
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    throw new ProtocolError('truncated', 'sections', 'a message ends inside a field');
  }
}
