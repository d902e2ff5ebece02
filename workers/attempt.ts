// One attempt to do a job: runs the handler under a signal that fires for whatever
// ends the attempt early, and waits a while for a handler that is told to end. What
// a failure means, and what is done about it, is not decided here.
import { JobError } from './job.js';

/** How long a handler may go on after its signal has fired, ms; then it is left behind. */
const GRACE_MS = 5000;

export class Attempt {
  readonly #controller = new AbortController();
  #leaveBehind: (reason: unknown) => void = () => undefined;

  /** Fires when the attempt is over before its handler is done. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Ends the attempt, and does not wait for the handler. */
  cutOff(reason: JobError): void {
    this.#controller.abort(reason);
    this.#leaveBehind(reason);
  }

  /**
   * Runs the handler.
   *
   * @param outer ends the attempt, too
   * @param timeLimitMs how long it may take; undefined for any time
   * @returns what the handler gives; rejects with what it throws, or with why the attempt ended early
   */
  async run(
    handle: () => unknown,
    outer: AbortSignal,
    timeLimitMs: number | undefined,
  ): Promise<unknown> {
    const leftBehind = new Promise<never>((_, reject) => (this.#leaveBehind = reject));
    leftBehind.catch(() => undefined);
    let grace: NodeJS.Timeout | undefined;
    const endEarly = (reason: unknown): void => {
      if (this.signal.aborted) return;
      this.#controller.abort(reason);
      grace = setTimeout(() => this.#leaveBehind(reason), GRACE_MS);
    };
    const onOuter = (): void => endEarly(outer.reason);
    if (outer.aborted) onOuter();
    outer.addEventListener('abort', onOuter);
    const limit = startLimit(timeLimitMs, endEarly);
    try {
      return await Promise.race([this.#resultOf(handle), leftBehind]);
    } finally {
      outer.removeEventListener('abort', onOuter);
      clearTimeout(limit);
      clearTimeout(grace);
    }
  }

  /** What comes after the attempt has ended early counts no more. */
  async #resultOf(handle: () => unknown): Promise<unknown> {
    try {
      const result = await handle();
      if (this.signal.aborted) throw this.signal.reason;
      return result;
    } catch (thrown) {
      throw this.signal.aborted ? this.signal.reason : thrown;
    }
  }
}

function startLimit(
  timeLimitMs: number | undefined,
  endEarly: (reason: JobError) => void,
): NodeJS.Timeout | undefined {
  if (timeLimitMs === undefined) return undefined;
  return setTimeout(() => endEarly(timeLimitOver(timeLimitMs)), timeLimitMs);
}

/** Why an attempt ends whose time is over. */
export function timeLimitOver(timeLimitMs: number): JobError {
  const message = `it took longer than ${timeLimitMs} ms, the time limit of this worker`;
  return new JobError('time-limit', message);
}
