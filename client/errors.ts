// Everything that can go wrong for a user of the SDK, as one error type with a
// literal code. Programs decide by `code`, people read `message`; nothing in
// the SDK is told apart by its text.

/**
 * What went wrong.
 * - `CONNECT_TIMEOUT`: no broker answered in time
 * - `DISCONNECTED`: the session was lost and is not to be opened again
 * - `CLOSED`: the client was closed
 * - `ABORTED`: your signal fired
 * - `TIMEOUT`: no answer in time; whether it was carried out is unknown
 * - `EXPIRED`: the broker gave the message up: nobody took it in its time, or its deadline is over
 * - `CANCELLED`: somebody cancelled the request
 * - `REVOKED`: the broker has taken the request back from this worker
 * - `REFUSED`: the broker, or the receiver of tracked mail, said no
 * - `UNSUPPORTED`: this session cannot do that
 * - `BUFFER_FULL`: more waits to be sent than the bounds allow
 * - `INVALID_ARGUMENT`: a value that the protocol cannot carry
 * - `INVALID_BODY`: a received body is not what it was read as
 * - `WORKER_ERROR`: the worker answered with an error
 */
export type MlmErrorCode =
  | 'CONNECT_TIMEOUT'
  | 'DISCONNECTED'
  | 'CLOSED'
  | 'ABORTED'
  | 'TIMEOUT'
  | 'EXPIRED'
  | 'CANCELLED'
  | 'REVOKED'
  | 'REFUSED'
  | 'UNSUPPORTED'
  | 'BUFFER_FULL'
  | 'INVALID_ARGUMENT'
  | 'INVALID_BODY'
  | 'WORKER_ERROR';

/** What is known beside the message. */
export interface MlmErrorDetails {
  readonly cause?: unknown;
  /** The status code that the broker or the receiver gave. */
  readonly status?: number | undefined;
  /** For `WORKER_ERROR`: the code that the worker gave. */
  readonly workerCode?: string | undefined;
}

/** The only error that the SDK throws, rejects with or reports. */
export class MlmError extends Error {
  override readonly name = 'MlmError';
  readonly code: MlmErrorCode;
  /** The status code of an ERROR or CONFIRM behind this, if there was one. */
  readonly status: number | undefined;
  /** For `WORKER_ERROR`: the code that the worker gave (its error's `code` or `name`). */
  readonly workerCode: string | undefined;

  constructor(code: MlmErrorCode, message: string, details: MlmErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.status = details.status;
    this.workerCode = details.workerCode;
  }
}

/** The error for a signal that has fired. */
export function aborted(what: string, signal: AbortSignal): MlmError {
  return new MlmError('ABORTED', `${what} was aborted`, { cause: signal.reason });
}

/** For promises whose outcome is reported elsewhere. */
export function ignore(): void {
  // Nothing: the error has another way to its reader.
}

/** The error for what a session of MLM/1 has no way to do. */
export function notOnV1(what: string): MlmError {
  const message = `${what} needs a native session; this one speaks MLM/1`;
  return new MlmError('UNSUPPORTED', message);
}

/** The error for what waits when the user closes the client. */
export function closedError(): MlmError {
  return new MlmError('CLOSED', 'the client is closed');
}
