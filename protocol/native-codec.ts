// Batches of native commands to ZeroMQ frames and back, driven by the native
// command table. Small payloads are copied into frame 0, one after another;
// large ones travel as frames of their own and are never copied.
//
//   frame 0:   AA A9 | commands
//   command:   u8 number | u8 frames of its own | u32 octets of payload | payload
//   frame 1…:  the frames of the commands that have some, in order: the sections,
//              or the content frames, that are then missing in the payload
import { decode as unpack, encode as pack } from '@msgpack/msgpack';
import { ProtocolError } from './errors.js';
import {
  NATIVE_COMMANDS,
  type NativeCommand,
  type NativeCommandName,
  type NativeFieldType,
} from './native-commands.js';
import { readUInt64, writeUInt64 } from './records.js';
import { readText, STRING_BYTES_MAX, textBytes, writeText } from './strings.js';

const SIGNATURE_0 = 0xaa;
const SIGNATURE_1 = 0xa9;
const HEADER_BYTES = 2;
const COMMAND_BYTES = 6;
/** From this size on a payload is not copied into frame 0. */
const OWN_FRAME_BYTES = 16 * 1024;
const OWN_FRAMES_MAX = 255;
const CHUNK_BYTES = 64 * 1024;
const NOTHING = new Uint8Array(0);

interface Layout {
  readonly name: NativeCommandName;
  readonly id: number;
  readonly fields: readonly { readonly key: string; readonly type: NativeFieldType }[];
}

type Loose = Record<string, unknown>;

const byName = new Map<string, Layout>();
const byId: (Layout | undefined)[] = [];
for (const name of Object.keys(NATIVE_COMMANDS) as NativeCommandName[]) {
  const { id, fields: row } = NATIVE_COMMANDS[name];
  const fields = Object.entries<NativeFieldType>(row).map(([key, type]) => ({ key, type }));
  const layout = { name, id, fields };
  byName.set(name, layout);
  byId[id] = layout;
}

/** True where frame 0 of a message is a batch of native commands. */
export function isBatch(frame: Buffer | undefined): boolean {
  return frame?.[0] === SIGNATURE_0 && frame[1] === SIGNATURE_1;
}

/** Gathers native commands into ZeroMQ messages. */
export class BatchWriter {
  #buffer = Buffer.allocUnsafe(CHUNK_BYTES);
  #start = 0;
  #end = HEADER_BYTES;
  #own: Buffer[] = [];
  #ownBytes = 0;
  #count = 0;

  /** Commands since the last `take`. */
  get count(): number {
    return this.#count;
  }

  /** Octets since the last `take`. */
  get bytes(): number {
    return this.#end - this.#start + this.#ownBytes;
  }

  /**
   * Adds one command.
   *
   * @throws {ProtocolError} naming the field, where a value does not fit; the batch is then as before
   */
  add(command: NativeCommand): void {
    const layout = byName.get(command.name) as Layout;
    const values = command as unknown as Loose;
    const last = layout.fields.at(-1);
    const rest = last === undefined ? undefined : restOf(last.type, values[last.key]);
    const apart = rest !== undefined && goesApart(rest);
    const size =
      COMMAND_BYTES + fixedBytes(layout, values) + (rest === undefined || apart ? 0 : rest.bytes);
    this.#reserve(size);
    const buffer = this.#buffer;
    const start = this.#end;
    let at = start + COMMAND_BYTES;
    for (const { key, type } of layout.fields)
      at = writeField(buffer, at, layout, key, type, values[key]);
    if (rest !== undefined && !apart) at = writeRest(buffer, at, rest);
    buffer[start] = layout.id;
    buffer[start + 1] = apart ? rest.parts.length : 0;
    buffer.writeUInt32BE(at - start - COMMAND_BYTES, start + 2);
    if (apart) {
      this.#own.push(...rest.parts);
      this.#ownBytes += rest.bytes;
    }
    this.#end = at;
    this.#count++;
  }

  /** The message that has gathered, or undefined where there is none; begins the next one. */
  take(): Buffer[] | undefined {
    if (this.#count === 0) return undefined;
    const buffer = this.#buffer;
    buffer[this.#start] = SIGNATURE_0;
    buffer[this.#start + 1] = SIGNATURE_1;
    const frames = [buffer.subarray(this.#start, this.#end), ...this.#own];
    this.#start = this.#end;
    this.#end += HEADER_BYTES;
    this.#own = [];
    this.#ownBytes = 0;
    this.#count = 0;
    if (this.#end + COMMAND_BYTES > buffer.length) this.#renew(CHUNK_BYTES);
    return frames;
  }

  #reserve(size: number): void {
    if (this.#end + size > this.#buffer.length) {
      this.#renew(Math.max(CHUNK_BYTES, 2 * (this.#end - this.#start) + size));
    }
  }

  /** Goes on in new memory; what was taken before stays where it is. */
  #renew(size: number): void {
    const buffer = Buffer.allocUnsafe(size);
    const gathered = this.#end - this.#start;
    if (this.#count > 0) this.#buffer.copy(buffer, 0, this.#start, this.#end);
    this.#buffer = buffer;
    this.#start = 0;
    this.#end = this.#count > 0 ? gathered : HEADER_BYTES;
  }
}

/** The last field of a command, where it takes all of the rest. */
interface Rest {
  readonly type: 'map' | 'sections' | 'frames';
  readonly parts: readonly Buffer[];
  readonly bytes: number;
}

function restOf(type: NativeFieldType, value: unknown): Rest | undefined {
  switch (type) {
    case 'map': {
      const packed = value === undefined ? Buffer.alloc(0) : Buffer.from(pack(value));
      return { type, parts: [packed], bytes: packed.length };
    }
    case 'sections':
      return { type, parts: [value as Buffer], bytes: (value as Buffer).length };
    case 'frames': {
      let bytes = 0;
      for (const frame of value as readonly Buffer[]) bytes += 4 + frame.length;
      return { type, parts: value as readonly Buffer[], bytes };
    }
    default:
      return undefined;
  }
}

function goesApart({ type, parts, bytes }: Rest): boolean {
  return type !== 'map' && bytes >= OWN_FRAME_BYTES && parts.length <= OWN_FRAMES_MAX;
}

function writeRest(buffer: Buffer, start: number, { type, parts }: Rest): number {
  let at = start;
  for (const part of parts) {
    if (type === 'frames') at = buffer.writeUInt32BE(part.length, at);
    part.copy(buffer, at);
    at += part.length;
  }
  return at;
}

function fixedBytes(layout: Layout, values: Loose): number {
  let size = 0;
  for (const { key, type } of layout.fields) {
    if (type === 'packed') size += 2 + packedBytes(layout, key, values);
    else if (type === 'string') {
      const bytes = textBytes(values[key] as string);
      if (bytes > STRING_BYTES_MAX) {
        const message = `a string of ${bytes} octets; the wire takes ${STRING_BYTES_MAX}`;
        throw new ProtocolError('too-long', `${layout.name}.${key}`, message);
      }
      size += 1 + bytes;
    } else size += WIDTH[type];
  }
  return size;
}

/** The octets of a value as MessagePack. */
function packedBytes(layout: Layout, key: string, values: Loose): number {
  const value = values[key];
  if (value === undefined) return 0;
  const packed = pack(value);
  if (packed.length <= 0xffff) return packed.length;
  const message = `${packed.length} octets of MessagePack; the wire takes 65535`;
  throw new ProtocolError('too-long', `${layout.name}.${key}`, message);
}

const WIDTH: Record<Exclude<NativeFieldType, 'string' | 'packed'>, number> = {
  u8: 1,
  u16: 2,
  u32: 4,
  u64: 8,
  map: 0,
  sections: 0,
  frames: 0,
};

const MAXIMUM = { u8: 0xff, u16: 0xffff, u32: 0xffffffff, u64: Number.MAX_SAFE_INTEGER } as const;

function writeField(
  buffer: Buffer,
  at: number,
  layout: Layout,
  key: string,
  type: NativeFieldType,
  value: unknown,
): number {
  switch (type) {
    case 'string': {
      const end = writeText(buffer, value as string, at + 1);
      buffer[at] = end - at - 1;
      return end;
    }
    case 'packed': {
      const packed = value === undefined ? NOTHING : pack(value);
      buffer.set(packed, buffer.writeUInt16BE(packed.length, at));
      return at + 2 + packed.length;
    }
    case 'u8':
    case 'u16':
    case 'u32':
    case 'u64': {
      const number = value as number;
      if (!Number.isInteger(number) || number < 0 || number > MAXIMUM[type]) {
        const message = `not a whole number from 0 to ${MAXIMUM[type]}`;
        throw new ProtocolError('range', `${layout.name}.${key}`, message);
      }
      if (type === 'u8') buffer[at] = number;
      else if (type === 'u16') buffer.writeUInt16BE(number, at);
      else if (type === 'u32') buffer.writeUInt32BE(number, at);
      else writeUInt64(buffer, number, at);
      return at + WIDTH[type];
    }
    default:
      return at;
  }
}

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
    const layout = byId[frame.readUInt8(start)];
    if (layout === undefined) {
      const message = `there is no native command number ${frame.readUInt8(start)}`;
      throw new ProtocolError('unknown-command', `offset ${start}`, message);
    }
    const ownCount = frame.readUInt8(start + 1);
    const payload = start + COMMAND_BYTES;
    const end = payload + frame.readUInt32BE(start + 2);
    if (end > frame.length) throw cut(start);
    const own = this.#frames.slice(this.#own, this.#own + ownCount);
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
  try {
    return unpack(bytes);
  } catch (cause) {
    const detail = cause instanceof Error ? cause.message : String(cause);
    throw fault('encoding', layout, key, `not MessagePack: ${detail}`);
  }
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
