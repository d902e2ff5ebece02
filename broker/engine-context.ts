// What every engine (streams, mailboxes, services) is given: the parts of the
// broker that it may use. Engines never see sockets, and never each other.
import type { Clock } from './clock.js';
import type { Confirmations } from './sessions/confirmations.js';
import type { Counters } from './counters.js';
import type { DeadLetters } from './queues/dead-letters.js';
import type { Expiry } from './queues/expiry.js';
import type { Logger } from './log.js';
import type { Held } from './queues/held.js';
import type { Jobs } from './queues/jobs.js';
import type { Sending } from './queues/kept-queue.js';
import type { Delay, Message } from './queues/message.js';
import type { Limits } from './options.js';
import type { Policies } from './policies.js';
import type { Presence } from './sessions/presence.js';
import type { Results } from './queues/results.js';
import type { Storage } from './store/storage.js';

export interface EngineContext {
  readonly clock: Clock;
  readonly confirmations: Confirmations;
  readonly counters: Counters;
  readonly deadLetters: DeadLetters;
  /** Messages that carry a timeout. */
  readonly expiry: Expiry<Message>;
  /** Requests that are to wait before anybody gets them. */
  readonly delays: Expiry<Delay>;
  /** Deliveries that their workers must say they still work on. */
  readonly leases: Expiry<Held>;
  readonly jobs: Jobs;
  /** What workers made of requests, to be used again. */
  readonly results: Results;
  /** Told when a client offers something else. */
  readonly presence: Presence;
  /** Sends the reply of a worker as mail. @returns why not, where it does not */
  readonly sendReply: (worker: string, address: string, reply: Sending) => string | undefined;
  readonly limits: Limits;
  readonly log: Logger;
  readonly storage: Storage;
  readonly policies: Policies;
  /** What all mailboxes and services keep together. */
  readonly kept: { bytes: number };
}
