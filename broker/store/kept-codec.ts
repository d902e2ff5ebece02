// Kept messages as octets, for stores that have a disk.
//
//   u8 version (1) | f64 accepted | f64 expires, 0 never | f64 not before, 0 at once
//   (all ms since 1970) | u8 priority | u16 attempts
//   | u32 octets of failures | failures as MessagePack, where there are some
//   | string sender | string subject | string tracker
//   | frames, each u32 octets + octets
import { decode as unpack, encode as pack } from '@msgpack/msgpack';
import { readText, textBytes, writeText } from '../../protocol/strings.js';
import type { Failure, KeptMessage } from './store.js';

const VERSION = 1;
const FIXED_BYTES = 32;

export function encodeKept(message: KeptMessage): Buffer {
  const { sender, subject, tracker, content } = message;
  const failures = message.failures.length === 0 ? undefined : pack(message.failures);
  let size = FIXED_BYTES + (failures?.length ?? 0);
  size += 3 + textBytes(sender) + textBytes(subject) + textBytes(tracker);
  for (const frame of content) size += 4 + frame.length;
  const bytes = Buffer.allocUnsafe(size);
  bytes[0] = VERSION;
  bytes.writeDoubleBE(message.acceptedWallMs, 1);
  bytes.writeDoubleBE(message.expiresWallMs, 9);
  bytes.writeDoubleBE(message.notBeforeWallMs, 17);
  bytes[25] = message.priority;
  bytes.writeUInt16BE(Math.min(message.attempts, 0xffff), 26);
  bytes.writeUInt32BE(failures?.length ?? 0, 28);
  let at = FIXED_BYTES;
  if (failures !== undefined) {
    bytes.set(failures, at);
    at += failures.length;
  }
  for (const text of [sender, subject, tracker]) {
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

/**
 * Reads what `encodeKept` wrote.
 *
 * @throws {RangeError} where the octets are not a kept message of this version
 */
export function decodeKept(sequence: number, bytes: Buffer): KeptMessage {
  if (bytes[0] !== VERSION) throw new RangeError('not a kept message of a known version');
  const failuresBytes = bytes.readUInt32BE(28);
  let at = FIXED_BYTES + failuresBytes;
  const failures =
    failuresBytes === 0 ? [] : (unpack(bytes.subarray(FIXED_BYTES, at)) as Failure[]);
  const texts: string[] = [];
  while (texts.length < 3) {
    const start = at + 1;
    at = start + bytes.readUInt8(at);
    texts.push(readText(bytes, start, at) ?? '');
  }
  const [sender = '', subject = '', tracker = ''] = texts;
  const content: Buffer[] = [];
  while (at < bytes.length) {
    const start = at + 4;
    at = start + bytes.readUInt32BE(at);
    if (at > bytes.length) throw new RangeError('a kept message that ends inside a frame');
    content.push(bytes.subarray(start, at));
  }
  return {
    sequence,
    sender,
    subject,
    tracker,
    acceptedWallMs: bytes.readDoubleBE(1),
    expiresWallMs: bytes.readDoubleBE(9),
    notBeforeWallMs: bytes.readDoubleBE(17),
    priority: bytes.readUInt8(25),
    attempts: bytes.readUInt16BE(26),
    failures,
    content,
  };
}
