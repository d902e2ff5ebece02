// ZeroMQ messages to native commands, one at a time. Sections and content are
// views of the frames; whatever the octets, nothing but a ProtocolError is thrown.
// The layout stands in native-layout.ts.
import { decode as unpack } from '@msgpack/msgpack';
import { ProtocolError } from './errors.js';
import type { NativeCommand } from './native-commands.js';
import {
  COMMAND_BYTES,
  HEADER_BYTES,
  layoutById,
  WIDTH,
  type Layout,
  type Loose,
} from './native-layout.js';
import { readUInt64 } from './records.js';
import { readText } from './strings.js';

const NO_FRAMES: Buffer[] = [];

/** Levels that a packed value may have: whoever handles it goes down into it. */
const PACKED_DEPTH_MAX = 16;

/**
 * Reads the commands of a batch, one at a time, so that what is well before a
 * fault is still carried out in order.
 */
export class BatchReader {
  readonly #frames: readonly Buffer[];
  readonly #first: number;
  #at = HEADER_BYTES;
  #own: number;

  /**
   * @param frames the ZeroMQ frames of the message
   * @param first the index of frame 0 in `frames`, for which `isBatch` holds
   */
  constructor(frames: readonly Buffer[], first = 0) {
    this.#frames = frames;
    this.#first = first;
    this.#own = first + 1;
  }

  /**
   * The next command, or undefined at the end. Its sections and content are
   * views of the frames.
   *
   * @throws {ProtocolError} and nothing else, whatever the bytes
   */
  next(): NativeCommand | undefined {
    const frame = this.#frames[this.#first] as Buffer;
    const start = this.#at;
    if (start === frame.length) {
      if (this.#own === this.#frames.length) return undefined;
      throw new ProtocolError('truncated', `offset ${start}`, 'frames that belong to no command');
    }
    if (start + COMMAND_BYTES > frame.length) throw cut(start);
    const layout = layoutById[frame.readUInt8(start)];
    if (layout === undefined) {
      const message = `there is no native command number ${frame.readUInt8(start)}`;
      throw new ProtocolError('unknown-command', `offset ${start}`, message);
    }
    const ownCount = frame.readUInt8(start + 1);
    const payload = start + COMMAND_BYTES;
    const end = payload + frame.readUInt32BE(start + 2);
    if (end > frame.length) throw cut(start);
    const own = ownCount === 0 ? NO_FRAMES : this.#frames.slice(this.#own, this.#own + ownCount);
    if (own.length < ownCount) {
      throw new ProtocolError(
        'truncated',
        layout.name,
        `${ownCount} frames announced, ${own.length} there`,
      );
    }
    this.#own += ownCount;
    this.#at = end;
    return readCommand(layout, frame, payload, end, own);
  }
}

function readCommand(
  layout: Layout,
  frame: Buffer,
  start: number,
  end: number,
  own: Buffer[],
): NativeCommand {
  const command: Loose = { name: layout.name };
  let at = start;
  let ownTaken = false;
  for (const { key, type } of layout.fields) {
    switch (type) {
      case 'string': {
        const from = at + 1;
        const to = at < end ? from + frame.readUInt8(at) : Infinity;
        if (to > end) throw fault('truncated', layout, key, 'the payload ends inside a field');
        const text = readText(frame, from, to);
        if (text === undefined) throw fault('encoding', layout, key, 'a string that is not UTF-8');
        command[key] = text;
        at = to;
        break;
      }
      case 'packed': {
        const from = at + 2;
        const to = from <= end ? from + frame.readUInt16BE(at) : Infinity;
        if (to > end) throw fault('truncated', layout, key, 'the payload ends inside a field');
        command[key] = readMap(layout, key, frame.subarray(from, to));
        at = to;
        break;
      }
      case 'map':
        command[key] = readMap(layout, key, frame.subarray(at, end));
        at = end;
        break;
      case 'sections':
        command[key] = own.length === 0 ? frame.subarray(at, end) : own[0];
        ownTaken = own.length <= 1;
        at = own.length === 0 ? end : at;
        break;
      case 'frames':
        command[key] = own.length === 0 ? readFrames(layout, key, frame, at, end) : own;
        ownTaken = true;
        at = own.length === 0 ? end : at;
        break;
      default:
        if (at + WIDTH[type] > end)
          throw fault('truncated', layout, key, 'the payload ends inside a field');
        command[key] = readNumber(frame, at, type);
        if ((command[key] as number) > Number.MAX_SAFE_INTEGER)
          throw fault('range', layout, key, 'a number above 2^53');
        at += WIDTH[type];
    }
  }
  if (own.length > 0 && (!ownTaken || at !== end)) {
    throw new ProtocolError(
      'truncated',
      layout.name,
      'frames of its own beside content in the payload',
    );
  }
  return command as unknown as NativeCommand;
}

function readNumber(frame: Buffer, at: number, type: 'u8' | 'u16' | 'u32' | 'u64'): number {
  if (type === 'u8') return frame.readUInt8(at);
  if (type === 'u16') return frame.readUInt16BE(at);
  if (type === 'u32') return frame.readUInt32BE(at);
  return readUInt64(frame, at);
}

function readMap(layout: Layout, key: string, bytes: Buffer): unknown {
  if (bytes.length === 0) return undefined;
  let value: unknown;
  try {
    value = unpack(bytes);
  } catch (cause) {
    const detail = cause instanceof Error ? cause.message : String(cause);
    throw fault('encoding', layout, key, `not MessagePack: ${detail}`);
  }
  if (!isDeeper(value, PACKED_DEPTH_MAX)) return value;
  throw fault('range', layout, key, `nested more than ${PACKED_DEPTH_MAX} levels deep`);
}

function isDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return false;
  return levels === 0 || Object.values(value).some((one) => isDeeper(one, levels - 1));
}

function readFrames(
  layout: Layout,
  key: string,
  frame: Buffer,
  start: number,
  end: number,
): Buffer[] {
  const frames: Buffer[] = [];
  let at = start;
  while (at < end) {
    const from = at + 4;
    const to = from <= end ? from + frame.readUInt32BE(at) : Infinity;
    if (to > end) throw fault('truncated', layout, key, 'the payload ends inside a frame');
    frames.push(frame.subarray(from, to));
    at = to;
  }
  return frames;
}

function fault(
  kind: ProtocolError['fault'],
  layout: Layout,
  key: string,
  message: string,
): ProtocolError {
  return new ProtocolError(kind, `${layout.name}.${key}`, message);
}

function cut(offset: number): ProtocolError {
  return new ProtocolError('truncated', `offset ${offset}`, 'the batch ends inside a command');
}
