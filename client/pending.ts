// Who waits for an answer that is named by a tracker: a reply, a confirmation.
// Each wait ends once, by its answer, its time, its signal or the client's end.
// While anything is awaited, messages are taken from the socket.
import type { Clock } from './clock.js';
import { aborted, MlmError } from './errors.js';
import type { Intake } from './intake.js';
import { TimeLimit } from './time-limit.js';

interface Wait<T> {
  readonly resolve: (answer: T) => void;
  readonly reject: (error: MlmError) => void;
  readonly limit: TimeLimit | undefined;
  readonly signal: AbortSignal | undefined;
  readonly onAbort: (() => void) | undefined;
}

/** How long, and under which signal, an answer is awaited. */
export interface WaitOptions {
  /** What is waited for, as error messages name it. */
  readonly what: string;
  /** ms; without it there is no limit. */
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Called where the wait ends without an answer. */
  readonly onGone?: () => void;
}

export class Pending<T> {
  readonly #clock: Clock;
  readonly #intake: Intake;
  readonly #waits = new Map<string, Wait<T>>();

  constructor(clock: Clock, intake: Intake) {
    this.#clock = clock;
    this.#intake = intake;
  }

  /** How many answers are awaited. */
  get size(): number {
    return this.#waits.size;
  }

  has(tracker: string): boolean {
    return this.#waits.has(tracker);
  }

  /** Waits for an answer. @returns rejects with TIMEOUT, ABORTED, or what `reject` and `fail` say */
  add(tracker: string, { what, timeoutMs, signal, onGone }: WaitOptions): Promise<T> {
    return new Promise((resolve, reject) => {
      const gone = (error: MlmError): void => {
        onGone?.();
        this.reject(tracker, error);
      };
      const onAbort = signal === undefined ? undefined : () => gone(aborted(what, signal));
      if (onAbort !== undefined) signal?.addEventListener('abort', onAbort);
      const limit =
        timeoutMs === undefined
          ? undefined
          : new TimeLimit(this.#clock, timeoutMs, () => {
              gone(new MlmError('TIMEOUT', `${what}: no answer within ${timeoutMs} ms`));
            });
      this.#waits.set(tracker, { resolve, reject, limit, signal, onAbort });
      this.#intake.expect();
    });
  }

  /** @returns false where nobody waits for it */
  resolve(tracker: string, answer: T): boolean {
    const wait = this.#take(tracker);
    wait?.resolve(answer);
    return wait !== undefined;
  }

  /** Ends every wait with the same answer. */
  resolveAll(answer: T): void {
    for (const tracker of [...this.#waits.keys()]) this.resolve(tracker, answer);
  }

  /** @returns false where nobody waits for it */
  reject(tracker: string, error: MlmError): boolean {
    const wait = this.#take(tracker);
    wait?.reject(error);
    return wait !== undefined;
  }

  /** Ends every wait. */
  fail(error: MlmError): void {
    for (const tracker of [...this.#waits.keys()]) this.reject(tracker, error);
  }

  #take(tracker: string): Wait<T> | undefined {
    const wait = this.#waits.get(tracker);
    if (wait === undefined) return undefined;
    this.#waits.delete(tracker);
    wait.limit?.stop();
    if (wait.onAbort !== undefined) wait.signal?.removeEventListener('abort', wait.onAbort);
    this.#intake.settle();
    return wait;
  }
}
