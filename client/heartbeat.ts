// The pulse of an open session: pings the broker, and notices when it has said
// nothing for too long. It counts beats, not hours, so that a program that was
// itself stopped does not blame the broker. What follows from silence is the
// keeper's business.
import type { Clock, Timer } from './clock.js';

export interface HeartbeatEvents {
  ping(): void;
  /** Whether messages are left in the socket: then nobody can say that the broker is silent. */
  isPaused(): boolean;
  /** The broker has been silent for too long; there are no more beats. */
  silent(silentMs: number): void;
  /** The session has lasted as long as a broker may be silent. Called at each beat from then on. */
  stable(): void;
}

export class Heartbeat {
  readonly #clock: Clock;
  readonly #everyMs: number;
  readonly #silentMsMax: number;
  readonly #events: HeartbeatEvents;
  #timer: Timer | undefined;
  #heard = false;
  #silentMs = 0;
  #openMs = 0;

  constructor(clock: Clock, everyMs: number, silentMsMax: number, events: HeartbeatEvents) {
    this.#clock = clock;
    this.#everyMs = everyMs;
    this.#silentMsMax = silentMsMax;
    this.#events = events;
  }

  /** A session has begun. */
  begin(): void {
    this.#silentMs = 0;
    this.#openMs = 0;
    this.#beatLater();
  }

  end(): void {
    this.#clock.stop(this.#timer);
  }

  /** The broker lives. */
  heard(): void {
    this.#heard = true;
  }

  #beatLater(): void {
    this.#timer = this.#clock.start(this.#everyMs, () => this.#beat());
  }

  #beat(): void {
    this.#silentMs = this.#heard || this.#events.isPaused() ? 0 : this.#silentMs + this.#everyMs;
    this.#heard = false;
    this.#openMs += this.#everyMs;
    if (this.#openMs >= this.#silentMsMax) this.#events.stable();
    if (this.#silentMs >= this.#silentMsMax) {
      this.#events.silent(this.#silentMs);
      return;
    }
    this.#events.ping();
    this.#beatLater();
  }
}
