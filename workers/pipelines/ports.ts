// What holding a run needs of the world: its log, and jobs that others do. How a
// broker gives this stands in broker-ports.ts; tests have their own.
import type { Wants } from '../../client/index.js';
import type { LoggedEvent, RunEvent } from './events.js';
import type { FileValue } from './file-value.js';
import type { JobOfRun } from './job-id.js';

/** The events of one run. */
export interface RunLog {
  /** Writes an event. @returns resolves once it is kept */
  append(event: RunEvent): Promise<unknown>;
  /** Every event of the run from its first one on, its own too, until the signal fires. */
  read(signal: AbortSignal): AsyncIterable<LoggedEvent>;
}

/** A job to be done. */
export interface JobOrder {
  readonly service: string;
  readonly subject: string;
  readonly frames: readonly Buffer[];
  /** How long no worker is to get it, ms. */
  readonly delayMs: number;
  /** By when it must be done, ms from now. */
  readonly deadlineMs: number | undefined;
  /** What its worker must or should say of itself. */
  readonly wants: Wants;
}

/** How a job of the run ended. */
export type JobEnd =
  | {
      readonly kind: 'succeeded';
      readonly job: JobOfRun;
      readonly worker: string;
      readonly frames: readonly Buffer[];
      /** The sequence of the message of `$jobs` that tells it. */
      readonly sequence: number;
    }
  | { readonly kind: 'failed'; readonly job: JobOfRun; readonly reason: string }
  | { readonly kind: 'expired' | 'cancelled'; readonly job: JobOfRun; readonly reason: string };

/** How far a job of the run is. */
export interface JobProgress {
  readonly kind: 'progress';
  readonly job: JobOfRun;
  /** From 0 to 1. */
  readonly fraction: number;
}

export interface RunJobs {
  /** The last message of `$jobs`. */
  lastSequence(): Promise<number>;
  /**
   * Asks for a job; asking again for the same one does nothing.
   *
   * @throws {JobRefused} where the broker does not take it
   */
  submit(job: JobOfRun, order: JobOrder): Promise<void>;
  /** Cancels a job; one that is over, or that nobody knows, stays so. */
  cancel(service: string, job: JobOfRun): Promise<void>;
  /**
   * How far the jobs of a run are, and how they end, until the signal fires.
   *
   * @param after the message of `$jobs` after which to begin
   * @param onGap told when some ends are not known any more; they can be those of any job
   */
  watch(
    run: string,
    after: number,
    onGap: () => void,
    signal: AbortSignal,
  ): AsyncIterable<JobEnd | JobProgress>;
  fetch(file: FileValue): Promise<Buffer>;
}

/** The broker does not take a job; another run might fare better, later. */
export class JobRefused extends Error {
  override readonly name = 'JobRefused';
}
