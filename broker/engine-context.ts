// What every engine (streams, mailboxes, services) is given: the parts of the
// broker that it may use. Engines never see sockets, and never each other.
import type { Clock } from './clock.js';
import type { Commits } from './commits.js';
import type { Confirmations } from './confirmations.js';
import type { Counters } from './counters.js';
import type { Expiry } from './expiry.js';
import type { Logger } from './log.js';
import type { Limits } from './options.js';
import type { Store } from './store/store.js';

export interface EngineContext {
  readonly clock: Clock;
  readonly commits: Commits;
  readonly confirmations: Confirmations;
  readonly counters: Counters;
  readonly expiry: Expiry;
  readonly limits: Limits;
  readonly log: Logger;
  readonly store: Store;
  /** What all mailboxes and services keep together. */
  readonly kept: { bytes: number };
}
