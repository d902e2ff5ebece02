// Watches the messages that carry a timeout and tells their keeper when it has
// passed. One timer serves them all: it is set for the nearest deadline.
import type { Clock, Timer } from './clock.js';
import { Deadlines } from './deadlines.js';
import type { Message } from './message.js';

const RESOLUTION_MS = 5;

export class Expiry {
  readonly #clock: Clock;
  readonly #deadlines = new Deadlines<Message>();
  readonly #afterExpiry: () => void;
  #timer: Timer | undefined;
  #timerAtMs = Infinity;

  /** @param afterExpiry called once messages have expired, so that what they caused is sent */
  constructor(clock: Clock, afterExpiry: () => void) {
    this.#clock = clock;
    this.#afterExpiry = afterExpiry;
  }

  /** Watches a message from now on. @param timeoutMs 0 for one that never expires */
  watch(message: Message, timeoutMs: number): void {
    if (timeoutMs === 0) return;
    message.expiresAtMs = this.#clock.nowMs() + timeoutMs;
    this.#deadlines.add(message);
    this.#arm();
  }

  /** Stops watching a message: it is no longer waiting. */
  unwatch(message: Message): void {
    this.#deadlines.remove(message);
  }

  stop(): void {
    this.#timer?.cancel();
  }

  #arm(): void {
    const nextMs = this.#deadlines.nextMs;
    if (nextMs === undefined || nextMs >= this.#timerAtMs) return;
    this.#timer?.cancel();
    this.#timerAtMs = nextMs;
    const delayMs = Math.max(RESOLUTION_MS, nextMs - this.#clock.nowMs());
    this.#timer = this.#clock.after(delayMs, () => this.#expire());
  }

  #expire(): void {
    this.#timerAtMs = Infinity;
    const nowMs = this.#clock.nowMs();
    let message = this.#deadlines.takeExpired(nowMs);
    while (message !== undefined) {
      message.keeper.expire(message);
      message = this.#deadlines.takeExpired(nowMs);
    }
    this.#arm();
    this.#afterExpiry();
  }
}
