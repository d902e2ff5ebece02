// Commands to ZeroMQ frames and back, driven by the command table. It knows no
// sockets and no sessions; it never copies content, and bytes from a stranger
// make it throw `ProtocolError` or nothing.
//
//   frame 0:  AA A8 | command number | fields in table order | (ignored octets)
//   frame 1…: content, one ZeroMQ frame each
import {
  COMMANDS,
  type Command,
  type CommandHeader,
  type CommandName,
  type FieldType,
} from './commands.js';
import { ProtocolError } from './errors.js';
import { readText, STRING_BYTES_MAX, textBytes, writeText } from './strings.js';

const SIGNATURE_0 = 0xaa;
const SIGNATURE_1 = 0xa8;
const HEADER_BYTES = 3;

interface Field {
  readonly key: string;
  readonly type: FieldType;
}

interface Layout {
  readonly name: CommandName;
  readonly id: number;
  readonly fields: readonly Field[];
  readonly content: boolean;
}

/** A command whose fields are reached by name while the table is walked. */
type Loose = Record<string, unknown> & { content?: Buffer[] };

const byName = new Map<string, Layout>();
const byId: (Layout | undefined)[] = [];
for (const name of Object.keys(COMMANDS) as CommandName[]) {
  const row = COMMANDS[name];
  const fields = Object.entries<FieldType>(row.fields).map(([key, type]) => ({ key, type }));
  const layout = { name, id: row.id, fields, content: row.content };
  byName.set(name, layout);
  byId[row.id] = layout;
}

/**
 * Reads one command.
 *
 * @param frames the ZeroMQ frames of the message, without any routing id
 * @param first the index of frame 0 in `frames`
 * @returns the command; its content frames are the very buffers given
 * @throws {ProtocolError} and nothing else, whatever the bytes
 */
export function decode(frames: readonly Buffer[], first = 0): Command {
  const frame = frames[first];
  if (frame === undefined) {
    throw new ProtocolError('no-frame', 'frame 0', 'a message without frames');
  }
  const layout = layoutOf(frame);
  const command: Loose = { name: layout.name };
  readFields(layout, frame, command);
  if (layout.content) command.content = frames.slice(first + 1);
  return command as unknown as Command;
}

/**
 * What follows the last field in frame 0: octets that every v1 peer ignores.
 *
 * @throws {ProtocolError} as `decode` does
 */
export function trailer(frame: Buffer): Buffer {
  return frame.subarray(readFields(layoutOf(frame), frame, {}));
}

function layoutOf(frame: Buffer): Layout {
  if (frame.length < HEADER_BYTES) {
    const message = `frame 0 has ${frame.length} octets, a command has at least ${HEADER_BYTES}`;
    throw new ProtocolError('truncated', 'offset 0', message);
  }
  if (frame[0] !== SIGNATURE_0 || frame[1] !== SIGNATURE_1) {
    throw new ProtocolError('signature', 'offset 0', 'frame 0 does not begin with AA A8');
  }
  const id = frame.readUInt8(2);
  const layout = byId[id];
  if (layout === undefined) {
    throw new ProtocolError('unknown-command', 'offset 2', `there is no command number ${id}`);
  }
  return layout;
}

/** Reads every field into `values`. @returns the offset of the first octet after the last one */
function readFields(layout: Layout, frame: Buffer, values: Loose): number {
  const end = frame.length;
  let offset = HEADER_BYTES;
  for (const { key, type } of layout.fields) {
    if (type === 'string') {
      const start = offset + 1;
      const stop = offset < end ? start + frame.readUInt8(offset) : Infinity;
      if (stop > end) throw truncated(layout, key, offset);
      const text = readText(frame, start, stop);
      if (text === undefined) {
        throw new ProtocolError('encoding', `${layout.name}.${key}`, 'a string that is not UTF-8');
      }
      values[key] = text;
      offset = stop;
    } else if (type === 'number-2') {
      if (offset + 2 > end) throw truncated(layout, key, offset);
      values[key] = frame.readUInt16BE(offset);
      offset += 2;
    } else {
      if (offset + 4 > end) throw truncated(layout, key, offset);
      values[key] = frame.readUInt32BE(offset);
      offset += 4;
    }
  }
  return offset;
}

function truncated(layout: Layout, key: string, offset: number): ProtocolError {
  return new ProtocolError(
    'truncated',
    `${layout.name}.${key}`,
    `frame 0 ends inside a field at octet ${offset}`,
  );
}

/**
 * Writes one command.
 *
 * @returns the ZeroMQ frames: frame 0, then the content frames given, not copied
 * @throws {ProtocolError} naming the field, where a value does not fit its type
 */
export function encode(command: Command): Buffer[] {
  const header = encodeHeader(command);
  return 'content' in command ? [header, ...command.content] : [header];
}

/**
 * Writes frame 0 alone; for senders that keep the content frames themselves.
 *
 * @throws {ProtocolError} naming the field, where a value does not fit its type
 */
export function encodeHeader(command: CommandHeader): Buffer {
  const layout = byName.get(command.name);
  if (layout === undefined)
    throw new ProtocolError('unknown-command', 'name', `no command ${command.name}`);
  const values = command as unknown as Loose;
  let size = HEADER_BYTES;
  for (const { key, type } of layout.fields) {
    if (type === 'string') size += 1 + checkedTextBytes(layout, key, values[key]);
    else size += type === 'number-2' ? 2 : 4;
  }
  const frame = Buffer.allocUnsafe(size);
  frame[0] = SIGNATURE_0;
  frame[1] = SIGNATURE_1;
  frame[2] = layout.id;
  let offset = HEADER_BYTES;
  for (const { key, type } of layout.fields) {
    const value = values[key];
    if (type === 'string') {
      const start = offset + 1;
      offset = writeText(frame, value as string, start);
      frame[start - 1] = offset - start;
    } else if (type === 'number-2') {
      offset = frame.writeUInt16BE(checkedNumber(layout, key, value, 0xffff), offset);
    } else {
      offset = frame.writeUInt32BE(checkedNumber(layout, key, value, 0xffffffff), offset);
    }
  }
  return frame;
}

function checkedTextBytes(layout: Layout, key: string, value: unknown): number {
  const where = `${layout.name}.${key}`;
  if (typeof value !== 'string') throw new ProtocolError('range', where, 'not a string');
  const bytes = textBytes(value);
  if (bytes > STRING_BYTES_MAX) {
    throw new ProtocolError(
      'too-long',
      where,
      `a string of ${bytes} octets; the wire takes ${STRING_BYTES_MAX}`,
    );
  }
  return bytes;
}

function checkedNumber(layout: Layout, key: string, value: unknown, max: number): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= max)
    return value;
  throw new ProtocolError('range', `${layout.name}.${key}`, `not a whole number from 0 to ${max}`);
}
