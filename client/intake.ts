// Decides whether messages are taken from the socket. A full queue closes the
// intake, so that what its reader cannot take stays with the broker; but an
// awaited answer keeps it open, because a reader that waits for a reply which
// is not read would wait for itself. It knows no sockets and no queues.

export class Intake {
  readonly #onChange: (paused: boolean) => void;
  #full = 0;
  #awaited = 0;
  #paused = false;

  /** @param onChange told each time the answer to "paused?" changes */
  constructor(onChange: (paused: boolean) => void) {
    this.#onChange = onChange;
  }

  get paused(): boolean {
    return this.#paused;
  }

  /** A queue has become full. */
  fill(): void {
    this.#full++;
    this.#decide();
  }

  /** A full queue has room again, or is gone. */
  drain(): void {
    this.#full--;
    this.#decide();
  }

  /** An answer of the broker or of a worker is awaited now. */
  expect(): void {
    this.#awaited++;
    if (this.#paused) this.#decide();
  }

  /** An awaited answer has come, or is awaited no more. */
  settle(): void {
    this.#awaited--;
    if (this.#full > 0) this.#decide();
  }

  #decide(): void {
    const paused = this.#full > 0 && this.#awaited === 0;
    if (paused === this.#paused) return;
    this.#paused = paused;
    this.#onChange(paused);
  }
}
