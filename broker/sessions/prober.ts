// Finds out whose connection is gone: ZeroMQ does not tell, but a message to a peer
// that is not there any more cannot be handed over. So those who work for others
// are sent a word from time to time: what a dead worker had is then given to
// another one soon, and not when its heartbeats have been missed.
import type { Clock, Timer } from '../clock.js';
import type { Session } from './session.js';

/** How often those are asked who have work in hand. */
const ROUND_MS = 250;
/** Those who only offer some are asked in one round of so many. */
const OFFERING_EVERY = 4;
/** Sessions that are asked in one round. */
const PROBED_MAX = 1000;

export interface ProberContext {
  readonly clock: Clock;
  readonly sessions: () => Iterable<Session>;
  /** Something was queued for sessions. */
  readonly queued: () => void;
}

export class Prober {
  readonly #context: ProberContext;
  #timer: Timer | undefined;
  #round = 0;

  constructor(context: ProberContext) {
    this.#context = context;
  }

  start(): void {
    this.#timer = this.#context.clock.after(ROUND_MS, () => {
      this.#probe(++this.#round % OFFERING_EVERY === 0);
      this.start();
    });
  }

  stop(): void {
    this.#timer?.cancel();
  }

  #probe(offering: boolean): void {
    let probed = 0;
    for (const session of this.#context.sessions()) {
      const { native, offers, outbox } = session;
      // Where something waits to be sent to it, that will tell.
      if (native === undefined || outbox.length > 0) continue;
      if (native.held.size === 0 && !(offering && offers.size > 0)) continue;
      session.replyNative({ name: 'PONG' });
      if (++probed === PROBED_MAX) break;
    }
    if (probed > 0) this.#context.queued();
  }
}
