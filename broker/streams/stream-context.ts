// What the streams use of the broker: nothing of mail or services, nor of who is
// connected; and what they share among themselves.
import type { EngineContext } from '../engine-context.js';
import type { IdBound } from '../store/id-window.js';
import type { SubjectIndexes } from './subject-indexes.js';

export type StreamsContext = Pick<
  EngineContext,
  'clock' | 'counters' | 'limits' | 'log' | 'policies' | 'storage'
>;

export interface StreamContext extends StreamsContext {
  /** How many message ids all streams remember together. */
  readonly ids: IdBound;
  readonly indexes: SubjectIndexes;
  /** Something was queued for a session outside of a burst: has it sent soon. */
  readonly wake: () => void;
}
