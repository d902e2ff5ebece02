// How a worker says "it failed" to a requester, in a reply that travels as mail
// on any broker and that requesters in any language can read: one MessagePack
// frame, a map with the one key `$error`, whose value is a map of `code` and
// `message`, both strings. CONFIRM would say it too, but the C broker ends a
// session that sends one; and an own subject would break requesters, since the
// subject of a reply is the subject of its request.
import { errorReply, ERROR_REPLY_KEY, fittingText, workerCodeOf } from '../protocol/index.js';
import { MlmError } from './errors.js';
import { decodeValue, textOf } from './value.js';

/** A map of one entry, whose key is the string `$error`. */
const PREFIX = Buffer.from([0x81, 0xa0 | ERROR_REPLY_KEY.length, ...Buffer.from(ERROR_REPLY_KEY)]);

/** Codes of errors that the SDK itself answers for a worker. */
export type OwnCode = 'STOPPED' | 'OVERLOADED';

/** The body of an error reply. */
export function encodeWorkerError(code: string, message: string): Buffer[] {
  return errorReply(code, message);
}

/** The body that tells of what a handler threw: its `code` (or `name`) and `message`, no stack. */
export function encodeThrown(thrown: unknown): Buffer[] {
  return encodeWorkerError(codeOf(thrown), textOf(thrown));
}

/**
 * Thrown by a handler to say how it failed, in native sessions (on MLM/1 the
 * requester is told in any case).
 * - `failed`, or any other error: the request is tried again, here or elsewhere, and
 *   becomes a dead letter after a number of attempts; then its requester is told
 * - `transient`: the same, said by a worker who knows that it passes
 * - `out-of-memory`: the same, where a worker with more may do it
 * - `bad-input`: it would fail again: it becomes a dead letter, and its requester is told, at once
 * - `not-ready`: another worker is to have it; the attempt does not count
 *
 * An error of any class with such a `code` says the same.
 */
export class RequestFailure extends Error {
  override readonly name = 'RequestFailure';
  readonly code: FailureClass;

  constructor(code: FailureClass, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** How a request failed; see `RequestFailure`. */
export type FailureClass = 'failed' | 'bad-input' | 'transient' | 'out-of-memory' | 'not-ready';

/** Bodies that cannot be read stay so; whoever was stopped leaves the request to others. */
const CLASSES: Readonly<Record<string, FailureClass>> = {
  'bad-input': 'bad-input',
  INVALID_BODY: 'bad-input',
  transient: 'transient',
  'out-of-memory': 'out-of-memory',
  'not-ready': 'not-ready',
  STOPPED: 'not-ready',
};

/** What a native worker tells the broker about an attempt that failed. */
export interface Failure {
  readonly class: FailureClass;
  /** `CODE: MESSAGE`, as much of it as the wire takes. */
  readonly reason: string;
}

export function failureOf(thrown: unknown): Failure {
  const code = codeOf(thrown);
  const known = Object.hasOwn(CLASSES, code) ? CLASSES[code] : undefined;
  return { class: known ?? 'failed', reason: fittingText(`${code}: ${textOf(thrown)}`) };
}

/** The error for a requester whose request became a dead letter, from what the broker says of it. */
export function deadLetterError(reason: string, status: number): MlmError {
  const message = reason === '' ? 'no worker could do it' : reason;
  return new MlmError('WORKER_ERROR', `the request failed for good: ${message}`, {
    status,
    workerCode: workerCodeOf(reason),
  });
}

function codeOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return 'Error';
  return 'code' in thrown && typeof thrown.code === 'string' ? thrown.code : thrown.name;
}

/**
 * Whether a reply is an error reply.
 *
 * @param worker the sender of the reply
 * @returns a WORKER_ERROR with the worker's code and message, or undefined
 */
export function readWorkerError(worker: string, content: readonly Buffer[]): MlmError | undefined {
  const frame = content[0];
  if (frame === undefined || content.length > 1) return undefined;
  if (!frame.subarray(0, PREFIX.length).equals(PREFIX)) return undefined;
  let said: unknown;
  try {
    said = decodeValue(content);
  } catch {
    return undefined;
  }
  const { [ERROR_REPLY_KEY]: detail } = said as Record<string, unknown>;
  if (typeof detail !== 'object' || detail === null) return undefined;
  const { code, message } = detail as Record<string, unknown>;
  if (typeof code !== 'string' || typeof message !== 'string') return undefined;
  return new MlmError('WORKER_ERROR', `worker "${worker}" failed: ${message}`, {
    workerCode: code,
  });
}
