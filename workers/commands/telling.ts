// Tells the requester what a command says while it works, and sees to it that
// what cannot be told ends the work instead of the process.
import type { CommandContext } from './context.js';
import { systemCodeOf } from './failure.js';
import { ProgressTeller, type Report } from './reports.js';

export class Teller {
  readonly #context: CommandContext;
  readonly #onFailure: (error: Error) => void;
  readonly #progress: ProgressTeller;

  /** @param onFailure told what went wrong: nobody needs the rest of the work */
  constructor(context: CommandContext, onFailure: (error: Error) => void) {
    this.#context = context;
    this.#onFailure = onFailure;
    this.#progress = new ProgressTeller((fraction, note) =>
      this.#safely(() => context.progress(fraction, note)),
    );
  }

  report(report: Report): void {
    if (report.kind === 'progress') this.#progress.report(report.fraction, report.note);
    else this.emit(report.event);
  }

  /** Sends a partial result. */
  emit(body: unknown): void {
    this.#safely(() => this.#context.emit(body));
  }

  /** The work is over: the last word leaves. */
  end(): void {
    this.#progress.end();
  }

  /** On MLM/1 only the end of the work ever is told: that is no failure. */
  #safely(tell: () => void): void {
    try {
      tell();
    } catch (error) {
      if (systemCodeOf(error) !== 'UNSUPPORTED') this.#onFailure(error as Error);
    }
  }
}
