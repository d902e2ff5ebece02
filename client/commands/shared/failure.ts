// What went wrong, in one line that says what to do, and with which status a
// command ends. Errors that are not the user's or the broker's are ours, and
// are left alone.
import { MlmError } from '../../index.js';
import { safeText } from './safe-text.js';

/** How a command can end. */
export const EXIT = {
  ok: 0,
  /** It could not do what it was asked to. */
  failed: 1,
  /** It was asked wrongly. */
  usage: 2,
  /** Ended by Ctrl-C before it was done. */
  interrupted: 130,
} as const;

/** A failure in words for the user. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
  /** The status to exit with. */
  readonly status: number;

  constructor(message: string, status: number = EXIT.failed, cause?: unknown) {
    super(message, { cause });
    this.status = status;
  }
}

/** How the command was called wrongly. */
export function usageError(message: string): CommandError {
  return new CommandError(message, EXIT.usage);
}

/**
 * What a promise gives, unless the user ends the waiting for it.
 *
 * @throws {MlmError} ABORTED where the signal fires first; what the promise is rejected with
 */
export async function unlessInterrupted<T>(result: Promise<T>, signal: AbortSignal): Promise<T> {
  const over = new AbortController();
  const interrupted = new Promise<never>((_, reject) => {
    const onAbort = (): void => reject(interruption());
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { signal: over.signal });
  });
  try {
    return await Promise.race([result, interrupted]);
  } finally {
    over.abort();
  }
}

/** The user has ended it before it was done. */
export function interruption(): MlmError {
  return new MlmError('ABORTED', 'ended before its end');
}

export interface Failure {
  /** One line, harmless; undefined where there is nothing to say. */
  readonly line: string | undefined;
  readonly status: number;
}

/** What to say about an error, and the status to exit with; undefined for a bug of ours. */
export function failureOf(error: unknown): Failure | undefined {
  if (error instanceof CommandError) return { line: oneLine(error.message), status: error.status };
  if (!(error instanceof MlmError)) return undefined;
  switch (error.code) {
    case 'ABORTED':
      return { line: undefined, status: EXIT.interrupted };
    case 'INVALID_ARGUMENT':
      return { line: oneLine(error.message), status: EXIT.usage };
    default:
      return { line: oneLine(error.message), status: EXIT.failed };
  }
}

/** A text from anywhere as one harmless line. */
export function oneLine(text: string): string {
  return safeText(text.replace(/\s*\n\s*/g, ' '));
}
