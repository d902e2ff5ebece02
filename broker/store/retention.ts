// Whether the oldest block of a log has to go. The rule is the same for every
// store; how a store finds its oldest block is its own business.
import type { Retention } from './store.js';

/** What there is to know of the oldest block of a log. */
export interface OldestBlock {
  /** Octets of the whole log. */
  readonly bytes: number;
  /** Messages that the log would have without it. */
  readonly messages: number;
  /** When its last message was accepted, ms since 1970. */
  readonly timeMs: number;
}

/** True where the block goes: the log is too large, or still long enough without it, or it is too old. */
export function exceeds(block: OldestBlock, retention: Retention, wallMs: number): boolean {
  const { bytesMax, messagesMax = Infinity, ageMsMax = Infinity } = retention;
  if (block.bytes > bytesMax && (block.messages > 0 || bytesMax === 0)) return true;
  return block.messages >= messagesMax || wallMs - block.timeMs > ageMsMax;
}
