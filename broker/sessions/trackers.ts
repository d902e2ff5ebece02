// Who waits for the confirmation of what one session has received: the table
// from a tracker to the senders that chose it. It is bounded; the oldest entry
// makes room for the newest.
import type { Origin } from './confirmations.js';

const TRACKERS_MAX = 10_000;

export class Trackers {
  readonly #origins = new Map<string, Origin[]>();
  #size = 0;
  #overflowed = false;

  /** Remembers who sent a tracked message. @returns false where, for once, an older one had to go */
  add(tracker: string, { sender, origin: session }: Origin): boolean {
    // A copy: what is given may be the message, whose content must not stay.
    const origin = { sender, origin: session };
    const known = this.#origins.get(tracker);
    if (known === undefined) this.#origins.set(tracker, [origin]);
    else known.push(origin);
    if (++this.#size <= TRACKERS_MAX) return true;
    const oldest = this.#origins.keys().next();
    if (oldest.done !== true) this.take(oldest.value);
    const first = !this.#overflowed;
    this.#overflowed = true;
    return !first;
  }

  /** The sender of the oldest message received with this tracker, which is then forgotten. */
  take(tracker: string): Origin | undefined {
    const origins = this.#origins.get(tracker);
    if (origins === undefined) return undefined;
    const origin = origins.shift();
    if (origins.length === 0) this.#origins.delete(tracker);
    this.#size--;
    return origin;
  }

  /** Forgets the newest message of a tracker: it was not sent. */
  takeBack(tracker: string): void {
    const origins = this.#origins.get(tracker);
    if (origins === undefined) return;
    origins.pop();
    if (origins.length === 0) this.#origins.delete(tracker);
    this.#size--;
  }

  clear(): void {
    this.#origins.clear();
    this.#size = 0;
  }
}
