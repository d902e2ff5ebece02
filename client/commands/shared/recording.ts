// The format of a recorded stream: a text, one JSON object a line. The first
// line says what it is, the last that it is whole; between them stands a line
// for each message. It knows lines, no files.
//
// docs/guide.md, "Recording and replaying", describes it.
import { z } from 'zod';
import type { StreamMessage } from '../../index.js';

const RECORDING_VERSION = 1;
/** Octets of one body, at most: the longest line that can be. */
export const BODY_BYTES_MAX = 384 * 1024 * 1024;

const count = z.int().nonnegative();

const KIND = 'malamute-recording';
const headerShape = z.object({
  format: z.literal(KIND, { error: `it is not "${KIND}"` }),
  version: z.literal(RECORDING_VERSION, { error: `this program reads ${RECORDING_VERSION} only` }),
  stream: z.string().min(1),
  recorded: z.string(),
});
const messageShape = z.object({
  sequence: count,
  timeMs: count,
  sender: z.string(),
  subject: z.string(),
  frames: z.array(z.base64()),
});
const endShape = z.object({ end: z.literal(true), messages: count });

/** What the first line says. */
export interface RecordingHeader {
  /** The stream that was recorded. */
  readonly stream: string;
  /** When recording began, ISO 8601. */
  readonly recorded: string;
}

/** A message as it was recorded. */
export interface RecordedMessage {
  readonly kind: 'message';
  readonly sequence: number;
  /** When the broker accepted it, ms since 1970. */
  readonly timeMs: number;
  readonly sender: string;
  readonly subject: string;
  readonly frames: readonly Buffer[];
}

/** The last line: how many messages stand before it. */
export interface RecordingEnd {
  readonly kind: 'end';
  readonly messages: number;
}

/** A line that is none of a recording. The message says what is wrong with it. */
export class RecordingError extends Error {
  override readonly name = 'RecordingError';
}

export function headerLine({ stream, recorded }: RecordingHeader): string {
  return lineOf({ format: KIND, version: RECORDING_VERSION, stream, recorded });
}

export function messageLine(message: StreamMessage): string {
  const { sequence = 0, timeMs = 0, sender, subject, content } = message;
  const frames = content.map((frame) => frame.toString('base64'));
  return lineOf({ sequence, timeMs, sender, subject, frames });
}

export function endLine(messages: number): string {
  return lineOf({ end: true, messages });
}

/** @throws {RecordingError} */
export function readHeader(line: string): RecordingHeader {
  const { stream, recorded } = read(headerShape, parse(line));
  return { stream, recorded };
}

/** Any line but the first. @throws {RecordingError} */
export function readLine(line: string): RecordedMessage | RecordingEnd {
  const value = parse(line);
  if ('end' in value) return { kind: 'end', messages: read(endShape, value).messages };
  const { frames, ...head } = read(messageShape, value);
  return {
    kind: 'message',
    ...head,
    frames: frames.map((frame) => Buffer.from(frame, 'base64')),
  };
}

function lineOf(fields: object): string {
  return `${JSON.stringify(fields)}\n`;
}

function parse(line: string): object {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw new RecordingError('it is not JSON');
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
  throw new RecordingError('it is not a JSON object');
}

function read<Shape>(shape: z.ZodType<Shape>, value: object): Shape {
  const { data, error } = shape.safeParse(value);
  if (data !== undefined) return data;
  const [issue] = error?.issues ?? [];
  const where = issue?.path.join('.') ?? '';
  const what = issue?.message.replace(/^Invalid input: /, '') ?? 'it has the wrong shape';
  throw new RecordingError(`${where}: ${what}`);
}
