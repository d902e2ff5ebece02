// Whether a worker is fit: counts the jobs in a row that failed, and says when it
// is to pause and for how long. It holds no timer and offers nothing.

const FIRST_PAUSE_MS = 1000;
const LAST_PAUSE_MS = 60_000;

/** What is to be done after a job has ended. */
export type Verdict =
  /** Nothing. */
  | { readonly kind: 'go on' }
  /** Take no more jobs for so long, then one to see. */
  | { readonly kind: 'pause'; readonly pauseMs: number }
  /** It was the one to see, and went well. */
  | { readonly kind: 'recovered' };

const GO_ON: Verdict = { kind: 'go on' };

export class Health {
  readonly #failuresMax: number;
  /** The jobs in a row that failed, each once however often it did. */
  readonly #failed = new Set<string>();
  /** What was thrown in this row. */
  readonly #reasons = new Set<string>();
  #state: 'fit' | 'paused' | 'probing' = 'fit';
  #pauses = 0;

  /** @param failuresMax so many jobs in a row; 0 for no end */
  constructor(failuresMax: number) {
    this.#failuresMax = failuresMax;
  }

  /** How many jobs in a row have failed. */
  get failures(): number {
    return this.#failed.size;
  }

  /** A job was done. */
  done(): Verdict {
    this.#failed.clear();
    this.#reasons.clear();
    if (this.#state === 'fit') return GO_ON;
    this.#state = 'fit';
    this.#pauses = 0;
    return { kind: 'recovered' };
  }

  /** A job failed, and not by what it asked for. @param job tells jobs apart */
  failed(job: string): Verdict {
    if (this.#failed.size < Math.max(this.#failuresMax, 1)) this.#failed.add(job);
    const isOver = this.#state === 'probing' || this.#failed.size >= this.#failuresMax;
    if (this.#failuresMax === 0 || this.#state === 'paused' || !isOver) return GO_ON;
    this.#state = 'paused';
    return { kind: 'pause', pauseMs: this.#nextPauseMs() };
  }

  /** The pause is over: the next job shows. */
  probe(): void {
    this.#state = 'probing';
  }

  /** Whether this was not thrown in this row before. */
  isNews(reason: string): boolean {
    if (this.#reasons.has(reason)) return false;
    if (this.#reasons.size < REASONS_MAX) this.#reasons.add(reason);
    return true;
  }

  #nextPauseMs(): number {
    return Math.min(LAST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** this.#pauses++);
  }
}

const REASONS_MAX = 100;
