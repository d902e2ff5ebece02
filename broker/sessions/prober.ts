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
/** Sessions of a kind that are asked in one round; the next round begins with the others. */
const PROBED_MAX = 1000;

export interface ProberContext {
  readonly clock: Clock;
  /** A walk over the sessions, which come and go meanwhile. */
  readonly sessions: () => SessionTable;
  /** Something was queued for sessions. */
  readonly queued: () => void;
}

/** The sessions, as far as they are to be walked. */
interface SessionTable extends Iterable<Session> {
  readonly size: number;
}

/** Those of a kind that are asked in turn. */
interface Asked {
  readonly isOne: (session: Session) => boolean;
  /** Where the last round ended. */
  walk: Iterator<Session, undefined> | undefined;
}

export class Prober {
  readonly #context: ProberContext;
  readonly #busy: Asked = { isOne: isBusy, walk: undefined };
  readonly #idle: Asked = { isOne: offersOnly, walk: undefined };
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
    const probed = this.#ask(this.#busy) + (offering ? this.#ask(this.#idle) : 0);
    if (probed > 0) this.#context.queued();
  }

  /** Asks those of a kind, each once at most. @returns how many */
  #ask(asked: Asked): number {
    let probed = 0;
    for (let left = this.#context.sessions().size; left > 0 && probed < PROBED_MAX; left--) {
      const session = this.#next(asked);
      // Where something waits to be sent to it, that will tell.
      if (session === undefined || session.outbox.length > 0 || !asked.isOne(session)) continue;
      session.replyNative({ name: 'PONG' });
      probed++;
    }
    return probed;
  }

  /** The next session of a walk, which begins again at its end. */
  #next(asked: Asked): Session | undefined {
    const next = asked.walk?.next();
    if (next !== undefined && next.done !== true) return next.value;
    asked.walk = this.#context.sessions()[Symbol.iterator]() as Iterator<Session, undefined>;
    return asked.walk.next().value;
  }
}

function isBusy({ native }: Session): boolean {
  return native !== undefined && native.held.size > 0;
}

function offersOnly({ native, offers }: Session): boolean {
  return native?.held.size === 0 && offers.size > 0;
}
