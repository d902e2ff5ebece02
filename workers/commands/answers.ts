// The JSON lines between this worker and a command that stays: requests in one
// direction, answers in the other. Words only; no process is known here.
import { isUtf8 } from 'node:buffer';
import type { OutputForm } from './command.js';
import { badInput, failure, FAILURE_CLASSES, messageOf } from './failure.js';
import { fractionOf } from './reports.js';
import { toJson, type RequestBody } from './request-body.js';
import { fromBase64 } from './sources.js';

/** What a command says. */
export type Answer =
  | { readonly kind: 'ready'; readonly labels: unknown }
  /** What it has at hand from now on. */
  | { readonly kind: 'labels'; readonly labels: unknown }
  | { readonly kind: 'result'; readonly id: number; readonly result: unknown }
  | { readonly kind: 'error'; readonly id: number; readonly error: Error }
  | {
      readonly kind: 'progress';
      readonly id: number;
      readonly fraction: number | undefined;
      readonly note: string | undefined;
    }
  | { readonly kind: 'event'; readonly id: number; readonly event: unknown };

/** One request as a line: `{"id", "subject", "body", "folder"}`. */
export function requestLine(
  id: number,
  subject: string,
  body: RequestBody,
  folder: string,
  hasFiles: boolean,
): string {
  if (body.frames > 1 && !hasFiles) {
    throw badInput(`the request has ${body.frames} frames, and the command takes one`);
  }
  const fields = `"id":${id},"subject":${JSON.stringify(subject)},"folder":${JSON.stringify(folder)}`;
  return `{${fields},"body":${bodyJson(body, hasFiles)}}\n`;
}

/** The first frame: a value as JSON, a text as one, other bytes as `{"base64": …}`. */
function bodyJson(body: RequestBody, hasFiles: boolean): string {
  const frame = body.frame(0);
  if (frame === undefined) return 'null';
  const value = body.field([]);
  // What may lie in a file need not travel here a second time.
  if (value !== undefined) return toJson(value, hasFiles ? () => null : undefined);
  if (isUtf8(frame)) return JSON.stringify(frame.toString('utf8'));
  return hasFiles ? 'null' : toJson(frame);
}

/**
 * Reads a line of a command.
 *
 * @returns undefined where it is no answer, but something for people
 */
export function answerOf(line: Buffer): Answer | undefined {
  const said = parse(line);
  if (said === undefined) return undefined;
  const { id, labels } = said;
  if (said['ready'] === true) return { kind: 'ready', labels };
  if (id === undefined && labels !== undefined) return { kind: 'labels', labels };
  if (typeof id !== 'number') return undefined;
  if ('result' in said) return { kind: 'result', id, result: said['result'] };
  if ('error' in said) return { kind: 'error', id, error: errorOf(said['error']) };
  if ('event' in said) return { kind: 'event', id, event: said['event'] };
  if (!('progress' in said)) return undefined;
  const { progress, note } = said;
  return {
    kind: 'progress',
    id,
    fraction: fractionOf(progress),
    note: typeof note === 'string' ? note : undefined,
  };
}

function parse(line: Buffer): Readonly<Record<string, unknown>> | undefined {
  if (!isUtf8(line)) return undefined;
  try {
    const value: unknown = JSON.parse(line.toString('utf8'));
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}

/** `{"code": "bad-input", "message": "…"}`, or the message alone. */
function errorOf(error: unknown): Error {
  if (typeof error !== 'object' || error === null) {
    return failure('failed', typeof error === 'string' ? error : 'the command says no more');
  }
  const { code } = error as { code?: unknown };
  const name = FAILURE_CLASSES.find((known) => known === code) ?? 'failed';
  return failure(name, messageOf(error));
}

/**
 * A result as the body of a reply.
 *
 * @throws {JobError} failed where it is not what it was said to be
 */
export function resultAs(form: OutputForm, result: unknown): unknown {
  switch (form) {
    case 'none':
      return undefined;
    case 'text':
      if (typeof result === 'string') return Buffer.from(result);
      throw failure('failed', 'the result of the command is no text');
    case 'binary':
      return bytesOf(result);
    default:
      return result;
  }
}

function bytesOf(result: unknown): Buffer {
  const wrong = 'the result of the command must be {"base64": "…"}';
  let bytes: Buffer | undefined;
  try {
    bytes = fromBase64(result);
  } catch (cause) {
    throw failure('failed', wrong, cause);
  }
  if (bytes === undefined) throw failure('failed', wrong);
  return bytes;
}
