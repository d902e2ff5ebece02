// Which part of a request goes to the command's standard input, or into a file
// of its folder: `json`, `body.picture ?? body`, `frame 1`. Parsed once, read for
// each request; it writes nothing.
import { badInput } from './failure.js';
import { toJson, type RequestBody } from './request-body.js';

/** A source that cannot be; its message is for the author of the command. */
export class SourceError extends Error {
  override readonly name = 'SourceError';
}

/** One part of a request. */
type Part =
  | { readonly kind: 'json' | 'text' | 'body' }
  | { readonly kind: 'frame'; readonly at: number }
  /** Every frame from one on. */
  | { readonly kind: 'frames'; readonly from: number }
  | { readonly kind: 'field'; readonly path: readonly string[] };

/** The part that is meant, or the next one where the request does not have it. */
export interface Source {
  /** As it was written. */
  readonly written: string;
  readonly parts: readonly Part[];
}

/** What may be written, for messages. */
const SOURCE_USAGE = 'json, text, binary, body.FIELD, frame N or frames N..';

/** @throws {SourceError} */
export function parseSource(written: string): Source {
  return { written, parts: written.split('??').map((part) => parsePart(part.trim())) };
}

function parsePart(written: string): Part {
  if (written === 'json' || written === 'text' || written === 'body') return { kind: written };
  if (written === 'binary') return { kind: 'body' };
  const [, at] = /^frame (\d{1,6})$/.exec(written) ?? [];
  if (at !== undefined) return { kind: 'frame', at: Number(at) };
  const [, from] = /^frames (\d{1,6})\.\.$/.exec(written) ?? [];
  if (from !== undefined) return { kind: 'frames', from: Number(from) };
  const path = written.split('.').slice(1);
  if (written.startsWith('body.') && path.every((key) => /^[^\s{}]+$/.test(key))) {
    return { kind: 'field', path };
  }
  throw new SourceError(`"${written}" is no part of a request; write ${SOURCE_USAGE}`);
}

/** Whether a source stands for any number of frames. */
export function isMany({ parts }: Source): boolean {
  return parts.some(({ kind }) => kind === 'frames');
}

/**
 * The octets that a source stands for.
 *
 * @throws {JobError} bad-input where the request has no such part
 */
export function readSource({ written, parts }: Source, body: RequestBody): Buffer {
  for (const part of parts) {
    const bytes = readPart(part, body, parts.length > 1);
    if (bytes !== undefined) return bytes;
  }
  throw badInput(`the request has no ${written.replaceAll('??', 'and no')}`);
}

/** The frames that a source of many stands for. */
export function readFrames({ parts }: Source, body: RequestBody): Buffer[] {
  const [part] = parts;
  const frames: Buffer[] = [];
  if (part?.kind !== 'frames') return frames;
  for (let at = part.from; at < body.frames; at++) frames.push(body.frame(at) as Buffer);
  return frames;
}

/** @param hasOthers whether the whole body is meant only where it has no fields */
function readPart(part: Part, body: RequestBody, hasOthers: boolean): Buffer | undefined {
  switch (part.kind) {
    case 'field':
      return bytesOfValue(body.field(part.path));
    case 'frame':
      return body.frame(part.at);
    case 'frames':
      return undefined;
    default:
      if (hasOthers && (body.frames === 0 || hasFields(body))) return undefined;
      if (part.kind === 'body') return body.bytes();
      return Buffer.from(part.kind === 'text' ? body.text() : body.json());
  }
}

function hasFields(body: RequestBody): boolean {
  return typeof body.field([]) === 'object';
}

/** Bytes as they are, also as `{"base64": "…"}`; a text as UTF-8; anything else as JSON. */
function bytesOfValue(value: unknown): Buffer | undefined {
  if (value === undefined || value === null) return undefined;
  if (value instanceof Uint8Array) {
    return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  }
  if (typeof value === 'string') return Buffer.from(value);
  return fromBase64(value) ?? Buffer.from(toJson(value));
}

/** The bytes that a value of the form `{"base64": "…"}` stands for. */
export function fromBase64(value: unknown): Buffer | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const [[key, text] = [], ...more] = Object.entries(value as Record<string, unknown>);
  if (key !== 'base64' || typeof text !== 'string' || more.length > 0) return undefined;
  if (/^[A-Za-z0-9+/]*={0,2}$/.test(text)) return Buffer.from(text, 'base64');
  throw badInput('the body has a base64 that is none');
}
