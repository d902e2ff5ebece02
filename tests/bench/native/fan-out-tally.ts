// What the two sides of a fan-out count, whatever broker is between them: which
// jobs have succeeded, each exactly once, and how long a worker's waits really took.
import { setTimeout as sleep } from 'node:timers/promises';
import { done, nowNs, type Report } from '../load/counting.js';

/** The jobs of a fan-out, from their submission to their ends. */
export class Tally {
  /** Resolves when all have succeeded; rejects where one did so twice, or did not. */
  readonly finished: Promise<void>;
  readonly #count: number;
  readonly #succeeded = new Set<string>();
  readonly #firstNs = nowNs();
  #lastNs = 0;
  #finish = (): void => undefined;
  #fail: (error: Error) => void = () => undefined;

  constructor(count: number) {
    this.#count = count;
    this.finished = new Promise((resolve, reject) => {
      this.#finish = resolve;
      this.#fail = reject;
    });
    // It is awaited once all is submitted.
    this.finished.catch(() => undefined);
  }

  /** The names of all jobs. */
  get ids(): string[] {
    return Array.from({ length: this.#count }, (_, number) => `job-${number}`);
  }

  /** @param result what the worker gave back: the id */
  succeeded(id: string, result: string): void {
    if (this.#succeeded.has(id)) this.#fail(new Error(`TWICE: ${id} has succeeded again`));
    if (result !== id) this.#fail(new Error(`${id} has the result of ${result}`));
    this.#succeeded.add(id);
    if (this.#succeeded.size < this.#count) return;
    this.#lastNs = nowNs();
    this.#finish();
  }

  failed(id: string, reason: string): void {
    this.#fail(new Error(`LOST: ${id} failed: ${reason}`));
  }

  tell(): void {
    const times = { firstNs: this.#firstNs, lastNs: this.#lastNs };
    done({ count: this.#succeeded.size, ...times });
  }
}

/** The work of a worker: waiting. */
export class Waits {
  readonly #waitMs: number;
  #count = 0;
  #totalMs = 0;

  constructor(waitMs: number) {
    this.#waitMs = waitMs;
  }

  async one(): Promise<void> {
    const beganMs = performance.now();
    await sleep(this.#waitMs);
    this.#totalMs += performance.now() - beganMs;
    this.#count++;
  }

  get report(): Report {
    return { count: this.#count, workMs: this.#totalMs / Math.max(1, this.#count) };
  }
}
