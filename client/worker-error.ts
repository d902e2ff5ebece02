// How a worker says "it failed" to a requester, in a reply that travels as mail
// on any broker and that requesters in any language can read: one MessagePack
// frame, a map with the one key `$error`, whose value is a map of `code` and
// `message`, both strings. CONFIRM would say it too, but the C broker ends a
// session that sends one; and an own subject would break requesters, since the
// subject of a reply is the subject of its request.
import { MlmError } from './errors.js';
import { decodeValue, encodeValue, textOf } from './value.js';

const KEY = '$error';
/** A map of one entry, whose key is the string `$error`. */
const PREFIX = Buffer.from([0x81, 0xa0 | KEY.length, ...Buffer.from(KEY)]);

/** Codes of errors that the SDK itself answers for a worker. */
export type OwnCode = 'STOPPED' | 'OVERLOADED';

/** The body of an error reply. */
export function encodeWorkerError(code: string, message: string): Buffer[] {
  return [encodeValue({ [KEY]: { code, message } })];
}

/** The body that tells of what a handler threw: its `code` (or `name`) and `message`, no stack. */
export function encodeThrown(thrown: unknown): Buffer[] {
  return encodeWorkerError(codeOf(thrown), textOf(thrown));
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
  const { [KEY]: detail } = said as Record<string, unknown>;
  if (typeof detail !== 'object' || detail === null) return undefined;
  const { code, message } = detail as Record<string, unknown>;
  if (typeof code !== 'string' || typeof message !== 'string') return undefined;
  return new MlmError('WORKER_ERROR', `worker "${worker}" failed: ${message}`, {
    workerCode: code,
  });
}
