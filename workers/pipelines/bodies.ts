// Bodies of jobs: what a step's input is as frames, and what the frames of a reply
// are as a step's output. Octets in an output stay where they are, and become files
// that point there. It fetches and sends nothing itself.
import { isUtf8 } from 'node:buffer';
import { encode } from '@msgpack/msgpack';
import { decodeValue } from '../../client/value.js';
import { FileValue, JOBS_STREAM, mapFiles } from './file-value.js';
import type { InputForm, OutputForm } from './shapes.js';
import { kindOf } from './template.js';

/** Gets the octets of a file. */
export type FetchFile = (file: FileValue) => Promise<Buffer>;

/** What cannot be a body, or is none of the form that a step says. */
export class BodyError extends Error {
  override readonly name = 'BodyError';
}

/** Lists and maps within each other, in a reply. */
const DEPTH_MAX = 100;
/** What an output that is no file takes in the run's log, octets. */
const OUTPUT_BYTES_MAX = 1024 * 1024;
const SHOWN_CHARACTERS = 200;

/**
 * The frames that carry an input.
 *
 * @throws {BodyError} where it does not have the form
 */
export async function framesOf(
  input: unknown,
  form: InputForm,
  fetch: FetchFile,
): Promise<Buffer[]> {
  if (input === undefined) return [];
  if (input instanceof FileValue) return [await fetch(input)];
  switch (form) {
    case 'text':
      if (typeof input === 'string') return [Buffer.from(input)];
      throw new BodyError(`"inputAs: text" is for a text, not ${kindOf(input)}`);
    case 'json':
      if (filesIn(input).length === 0) return [Buffer.from(JSON.stringify(input))];
      throw new BodyError('"inputAs: json" cannot hold a file: leave it out for a value');
    case 'files':
      return framesOfFiles(input, fetch);
    case 'value':
      return [packed(await withOctets(input, fetch))];
  }
}

async function framesOfFiles(input: unknown, fetch: FetchFile): Promise<Buffer[]> {
  const files = Array.isArray(input) ? (input as unknown[]) : [];
  if (!Array.isArray(input) || !files.every((file) => file instanceof FileValue)) {
    throw new BodyError(`"inputAs: files" is for a list of files, not ${kindOf(input)}`);
  }
  const names = files.map(({ name }, at) => (name === '' ? String(at + 1) : name));
  return [packed(names), ...(await Promise.all(files.map(fetch)))];
}

/** The value with the octets of its files in their places. */
async function withOctets(input: unknown, fetch: FetchFile): Promise<unknown> {
  const octets = new Map<FileValue, Buffer>();
  for (const file of filesIn(input)) octets.set(file, await fetch(file));
  return mapFiles(input, (file) => octets.get(file));
}

function filesIn(value: unknown): FileValue[] {
  const files: FileValue[] = [];
  mapFiles(value, (file) => files.push(file));
  return files;
}

function packed(value: unknown): Buffer {
  const { buffer, byteOffset, byteLength } = encode(value);
  return Buffer.from(buffer, byteOffset, byteLength);
}

/** The frames of a reply, and where they stand. */
export interface Reply {
  readonly frames: readonly Buffer[];
  /** The sequence of the message of `$jobs` that holds them, after one frame that tells the event. */
  readonly sequence: number;
}

/**
 * The output that a reply is.
 *
 * @throws {BodyError} where it does not have the form
 */
export function outputOf({ frames, sequence }: Reply, form: OutputForm): unknown {
  const fileAt = (frame: number, name = ''): FileValue => {
    const bytes = frames[frame]?.length ?? 0;
    return new FileValue(name, bytes, { stream: JOBS_STREAM, sequence, frame: frame + 1 });
  };
  switch (form) {
    case 'file':
      oneFrame(frames, 'file');
      return fileAt(0);
    case 'files':
      return namesIn(frames).map((name, at) => fileAt(at + 1, name));
    case 'frames':
      return frames.map((_, at) => fileAt(at));
    case 'text':
      return bounded(textOf(frames));
    case 'json':
      return bounded(jsonOf(frames));
    case 'value':
      return bounded(valueOf(frames, sequence));
  }
}

function oneFrame(frames: readonly Buffer[], form: string): Buffer {
  const [frame] = frames;
  if (frame !== undefined && frames.length === 1) return frame;
  throw new BodyError(
    `the reply has ${frames.length} frames; "outputAs: ${form}" is for one, "outputAs: frames" for any number`,
  );
}

function textOf(frames: readonly Buffer[]): string {
  if (frames.length === 0) return '';
  const frame = oneFrame(frames, 'text');
  if (isUtf8(frame)) return frame.toString('utf8');
  throw new BodyError('the reply is not UTF-8 text; "outputAs: file" takes any octets');
}

function jsonOf(frames: readonly Buffer[]): unknown {
  try {
    return JSON.parse(textOf(frames)) as unknown;
  } catch (cause) {
    throw new BodyError(`the reply is not JSON: ${(cause as Error).message}`, { cause });
  }
}

function valueOf(frames: readonly Buffer[], sequence: number): unknown {
  if (frames.length === 0) return null;
  const frame = oneFrame(frames, 'value');
  let value: unknown;
  try {
    value = decodeValue([frame]);
  } catch (cause) {
    const advice = '"outputAs: text" or "outputAs: file" reads another one';
    throw new BodyError(`the reply is not a MessagePack value; ${advice}`, { cause });
  }
  return filesForOctets(value, sequence, []);
}

/** A value as JSON, in which each stretch of octets is a file. */
function filesForOctets(
  value: unknown,
  sequence: number,
  path: readonly (string | number)[],
): unknown {
  if (path.length > DEPTH_MAX) throw new BodyError('the reply is nested too deep');
  if (value instanceof Uint8Array) {
    const at = { stream: JOBS_STREAM, sequence, frame: 1, path } as const;
    return new FileValue('', value.length, at);
  }
  if (Array.isArray(value)) {
    return value.map((item, at) => filesForOctets(item, sequence, [...path, at]));
  }
  if (value instanceof Date) return value.toISOString();
  if (typeof value === 'bigint') throw new BodyError('the reply has a number that is too large');
  if (typeof value !== 'object' || value === null) return value;
  if (Object.getPrototypeOf(value) !== Object.prototype) {
    throw new BodyError('the reply has a value that JSON does not know');
  }
  const entries = Object.entries(value).map(
    ([key, item]) => [key, filesForOctets(item, sequence, [...path, key])] as const,
  );
  return Object.fromEntries(entries);
}

/** The names before the files: a list of as many texts. */
function namesIn([first, ...files]: readonly Buffer[]): string[] {
  const names = listIn(first);
  const isNames = names?.every((name) => typeof name === 'string') === true;
  if (isNames && names.length === files.length) return names;
  throw new BodyError(
    'the reply is not a list of names and then as many files; "outputAs: frames" reads frames without names',
  );
}

function listIn(frame: Buffer | undefined): unknown[] | undefined {
  try {
    const list = decodeValue(frame === undefined ? [] : [frame]);
    return Array.isArray(list) ? list : undefined;
  } catch {
    return undefined;
  }
}

/** What stands in the log is not to be large: files do not stand there. */
function bounded(output: unknown): unknown {
  const bytes = Buffer.byteLength(JSON.stringify(output));
  if (bytes <= OUTPUT_BYTES_MAX) return output;
  throw new BodyError(
    `the reply is ${bytes} octets of JSON, more than the ${OUTPUT_BYTES_MAX} that a run keeps; "outputAs: file" takes any size`,
  );
}

/** The octets of a file, from the content of the message that holds them. */
export function octetsIn(content: readonly Buffer[], file: FileValue): Buffer {
  const { frame, path } = FileValue.at(file);
  const found = content[frame];
  if (found === undefined) throw new BodyError('the message that holds the file has no such frame');
  if (path === undefined) return found;
  let value = decodeValue([found]);
  for (const key of path) {
    const inside = typeof value === 'object' && value !== null && Object.hasOwn(value, key);
    value = inside ? (value as Record<string | number, unknown>)[key] : undefined;
  }
  if (!(value instanceof Uint8Array)) throw new BodyError('the value that holds the file has none');
  return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
}

/** A value on one line, cut: files by name and size; empty for nothing. */
export function shown(value: unknown): string {
  if (value === undefined) return '';
  const text = JSON.stringify(
    mapFiles(value, ({ name, bytes }) => `<${name === '' ? 'file' : name}, ${bytes} octets>`),
  );
  return text.length <= SHOWN_CHARACTERS ? text : `${text.slice(0, SHOWN_CHARACTERS)}…`;
}
