// The leases of the requests that one offer holds: one timer for all of them says
// three times in each lease that they are still worked on. It knows no offers.
import type { Clock, Timer } from '../clock.js';
import type { HeldRequest } from './held-request.js';

export interface LeaseHooks {
  /** How long a lease is now, ms. */
  leaseMs(): number;
  /** A third of a lease has passed while requests are held. */
  turn(): void;
}

export class Lease {
  readonly #clock: Clock;
  readonly #extends: boolean;
  readonly #hooks: LeaseHooks;
  readonly #held = new Set<HeldRequest>();
  #timer: Timer | undefined;

  /** @param extend whether leases are extended at all */
  constructor(clock: Clock, extend: boolean, hooks: LeaseHooks) {
    this.#clock = clock;
    this.#extends = extend;
    this.#hooks = hooks;
  }

  add(held: HeldRequest): void {
    this.#held.add(held);
    if (this.#timer === undefined) this.#start();
  }

  remove(held: HeldRequest): void {
    this.#held.delete(held);
    if (this.#held.size === 0) this.stop();
  }

  /** Extends nothing any more, until another one is added. */
  stop(): void {
    this.#clock.stop(this.#timer);
    this.#timer = undefined;
  }

  #start(): void {
    this.#timer = this.#clock.start(Math.ceil(this.#hooks.leaseMs() / 3), () => this.#turn());
  }

  #turn(): void {
    this.#start();
    this.#hooks.turn();
    if (this.#extends) for (const held of this.#held) held.extend();
  }
}
