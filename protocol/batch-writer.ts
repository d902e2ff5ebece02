// Native commands to ZeroMQ messages, many to one. Small payloads are copied into
// frame 0, one after another; large ones travel as frames of their own and are
// never copied. The layout stands in native-layout.ts.
import { encode as pack } from '@msgpack/msgpack';
import { ProtocolError } from './errors.js';
import type { NativeCommand, NativeFieldType } from './native-commands.js';
import {
  COMMAND_BYTES,
  HEADER_BYTES,
  layoutByName,
  SIGNATURE_0,
  SIGNATURE_1,
  WIDTH,
  type Layout,
  type Loose,
} from './native-layout.js';
import { writeUInt64 } from './records.js';
import { STRING_BYTES_MAX, textBytes, writeText } from './strings.js';

/** From this size on a payload is not copied into frame 0. */
const OWN_FRAME_BYTES = 16 * 1024;
const OWN_FRAMES_MAX = 255;
const CHUNK_BYTES = 64 * 1024;
const NOTHING = new Uint8Array(0);

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
    const layout = layoutByName.get(command.name) as Layout;
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
