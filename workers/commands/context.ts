// What a wrapped command is told about its request, and what it can tell back
// while it works. It is a part of what a handler of the runtime gets, so that a
// command can be run without a broker; it does nothing.
import type { Body } from '../job.js';
import type { WorkerLog } from '../log.js';

/** One request, as a wrapped command sees it. */
export interface CommandContext {
  readonly subject: string;
  readonly body: Body;
  /** Fires when nobody will take the reply any more: the command is then ended. */
  readonly signal: AbortSignal;
  /** A log whose lines name the request. */
  readonly log: WorkerLog;
  /** Says how far the work is: a fraction from 0 to 1, a few words, or both. */
  progress(fraction?: number, note?: string): void;
  /** Sends a partial result: bytes, frames, or a value. */
  emit(body: unknown): void;
}
