// One reader's place in a stream's log. It fetches the block in which the next
// wanted message lies, and says how many were lost to retention before it. What
// is done with the block is the reader's business.
import type { Block } from '../../protocol/index.js';
import type { Stream } from './stream.js';

/** Where a reader goes on in the log. */
export interface LogStep {
  readonly block: Block;
  /** Messages between the reader's position and the block, which are not there any more. */
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
  return { block, missed: Math.max(0, block.first - position) };
}
