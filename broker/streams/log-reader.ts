// One reader's place in a stream's log. It fetches the block in which the next
// wanted message lies, and says how many were lost to retention before it. What
// is done with the block is the reader's business.
import type { Block } from '../../protocol/index.js';
import type { Stream } from './stream.js';

/** Where a reader goes on in the log. */
export interface LogStep {
  readonly block: Block;
  /** Where to go on: at the reader's position, or where the log began after it. */
  readonly from: number;
  /** Messages from there to the block, which are not there any more. */
  readonly missed: number;
}

/**
 * The block to read at `position`.
 *
 * @returns undefined where nothing is left of it that is durable
 */
export function stepIntoLog(stream: Stream, position: number): LogStep | undefined {
  const { lastSequence } = stream;
  if (position > lastSequence) return undefined;
  const block = stream.readBlock(position);
  if (block === undefined || block.first > lastSequence) return undefined;
  // Messages that were refused leave holes in the sequences; what is missed lies before all that is left.
  const from = Math.max(position, stream.begins);
  const isMissed = block.first > from && block.first === stream.firstSequence;
  return { block, from, missed: isMissed ? block.first - from : 0 };
}
