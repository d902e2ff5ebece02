// Kept messages as octets, for stores that have a disk.
//
//   u8 version (2) | f64 accepted | f64 expires, 0 never | f64 not before, 0 at once
//   | f64 deadline, 0 none (all ms since 1970) | u8 priority | u8 job (0, 1) | u16 attempts
//   | u32 octets of more | more as MessagePack {failures?, wants?}, where there is some
//   | string sender | string subject | string tracker | string key
//   | frames, each u32 octets + octets
import { decode as unpack, encode as pack } from '@msgpack/msgpack';
import { readText, textBytes, writeText } from '../../protocol/strings.js';
import type { Failure, KeptMessage } from './store.js';

const VERSION = 2;
const FIXED_BYTES = 41;
const TEXTS = 4;

/** What few messages have. */
interface More {
  readonly failures?: readonly Failure[];
  readonly wants?: unknown;
}

export function encodeKept(message: KeptMessage): Buffer {
  const { sender, subject, tracker, key, content } = message;
  const more = packMore(message);
  let size = FIXED_BYTES + (more?.length ?? 0);
  size += TEXTS + textBytes(sender) + textBytes(subject) + textBytes(tracker) + textBytes(key);
  for (const frame of content) size += 4 + frame.length;
  const bytes = Buffer.allocUnsafe(size);
  bytes[0] = VERSION;
  bytes.writeDoubleBE(message.acceptedWallMs, 1);
  bytes.writeDoubleBE(message.expiresWallMs, 9);
  bytes.writeDoubleBE(message.notBeforeWallMs, 17);
  bytes.writeDoubleBE(message.deadlineWallMs, 25);
  bytes[33] = message.priority;
  bytes[34] = message.job ? 1 : 0;
  bytes.writeUInt16BE(Math.min(message.attempts, 0xffff), 35);
  bytes.writeUInt32BE(more?.length ?? 0, 37);
  let at = FIXED_BYTES;
  if (more !== undefined) {
    bytes.set(more, at);
    at += more.length;
  }
  for (const text of [sender, subject, tracker, key]) {
    const start = at + 1;
    at = writeText(bytes, text, start);
    bytes[start - 1] = at - start;
  }
  for (const frame of content) {
    at = bytes.writeUInt32BE(frame.length, at);
    frame.copy(bytes, at);
    at += frame.length;
  }
  return bytes;
}

function packMore({ failures, wants }: KeptMessage): Uint8Array | undefined {
  if (failures.length === 0 && wants === undefined) return undefined;
  const more: More = { failures, ...(wants === undefined ? {} : { wants }) };
  return pack(more);
}

/** A copy is unpacked, since binary values would be views of the octets. */
function unpackMore(bytes: Buffer): More {
  return unpack(Buffer.from(bytes)) as More;
}

/**
 * Reads what `encodeKept` wrote; of the octets themselves nothing is kept.
 *
 * @throws {RangeError} where the octets are not a kept message of this version
 */
export function decodeKept(sequence: number, bytes: Buffer): KeptMessage {
  if (bytes[0] !== VERSION) throw new RangeError('not a kept message of a known version');
  let at = FIXED_BYTES + bytes.readUInt32BE(37);
  const more = at === FIXED_BYTES ? {} : unpackMore(bytes.subarray(FIXED_BYTES, at));
  const texts: string[] = [];
  while (texts.length < TEXTS) {
    const start = at + 1;
    at = start + bytes.readUInt8(at);
    texts.push(readText(bytes, start, at) ?? '');
  }
  const [sender = '', subject = '', tracker = '', key = ''] = texts;
  const content: Buffer[] = [];
  while (at < bytes.length) {
    const start = at + 4;
    at = start + bytes.readUInt32BE(at);
    if (at > bytes.length) throw new RangeError('a kept message that ends inside a frame');
    const frame = Buffer.allocUnsafe(at - start);
    bytes.copy(frame, 0, start, at);
    content.push(frame);
  }
  return {
    sequence,
    sender,
    subject,
    tracker,
    key,
    acceptedWallMs: bytes.readDoubleBE(1),
    expiresWallMs: bytes.readDoubleBE(9),
    notBeforeWallMs: bytes.readDoubleBE(17),
    deadlineWallMs: bytes.readDoubleBE(25),
    priority: bytes.readUInt8(33),
    job: bytes[34] === 1,
    attempts: bytes.readUInt16BE(35),
    failures: more.failures ?? [],
    wants: more.wants,
    content,
  };
}
