// How much credit to give the broker: so that at most a number of messages, and
// about a number of octets, are on their way or wait here. Credit is counted in
// messages; how large they are is learnt as they come. It sends nothing.

/** What a message is taken for before any has come. */
const FIRST_GUESS_BYTES = 64 * 1024;

export class CreditWindow {
  readonly #bytesMax: number;
  #messageBytes = FIRST_GUESS_BYTES;
  /** Messages that the broker may still send. */
  outstanding = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Messages have come. Large ones count at once, small ones are believed little by little. */
  came(count: number, bytes: number): void {
    this.outstanding = Math.max(0, this.outstanding - count);
    this.#messageBytes = Math.max(bytes / count, this.#messageBytes / 2, 1);
  }

  /** Of so many messages, how many may be on their way or wait here. */
  sizeFor(messagesMax: number): number {
    return Math.max(1, Math.min(messagesMax, Math.floor(this.#bytesMax / this.#messageBytes)));
  }

  /**
   * What to grant now: nothing until half of the window is free, then all of it.
   *
   * @param waiting messages that wait here
   */
  refill(messagesMax: number, waiting: number): number {
    const size = this.sizeFor(messagesMax);
    const taken = this.outstanding + waiting;
    if (taken * 2 > size) return 0;
    this.outstanding += size - taken;
    return size - taken;
  }
}
