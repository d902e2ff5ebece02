// What the streams use of the broker: nothing of mail or services, nor of who is
// connected. It is a part of what every engine is given.
import type { EngineContext } from '../engine-context.js';

export type StreamContext = Pick<
  EngineContext,
  'clock' | 'counters' | 'limits' | 'log' | 'policies' | 'storage'
>;
