// Finds out whose connection is gone. ZeroMQ tells that some connection is, and not
// which; a message to a peer that is not there any more cannot be handed over. So
// those who work for others are sent a word: what a dead worker had is then given
// to another one at once, and not when its heartbeats have been missed.
import type { Clock, Timer } from '../clock.js';
import type { Session } from './session.js';

/** A connection that breaks is let go of a moment later; one with messages to be read, later still. */
const FIRST_MS = 20;
const AGAIN_MS = 250;
const ROUNDS = 2;
/** Sessions that are sent a word in one round. */
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
  #roundsLeft = 0;

  constructor(context: ProberContext) {
    this.#context = context;
  }

  /** A connection is gone. */
  disconnected(): void {
    this.#roundsLeft = ROUNDS;
    this.#timer ??= this.#context.clock.after(FIRST_MS, () => this.#probe());
  }

  stop(): void {
    this.#timer?.cancel();
  }

  #probe(): void {
    this.#timer = undefined;
    let probed = 0;
    for (const session of this.#context.sessions()) {
      if (!isWorth(session)) continue;
      session.replyNative({ name: 'PONG' });
      if (++probed === PROBED_MAX) break;
    }
    if (probed > 0) this.#context.queued();
    if (--this.#roundsLeft > 0) {
      this.#timer = this.#context.clock.after(AGAIN_MS, () => this.#probe());
    }
  }
}

/** True for a session that others wait for. Where something waits to be sent to it, that will tell. */
function isWorth({ native, offers, outbox }: Session): boolean {
  if (native === undefined || outbox.length > 0) return false;
  return native.held.size > 0 || offers.size > 0;
}
