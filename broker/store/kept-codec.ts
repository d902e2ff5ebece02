// Kept messages as octets, for stores that have a disk.
//
//   u8 version (1) | f64 accepted, ms since 1970 | f64 expires, ms since 1970, 0 never
//   | string sender | string subject | string tracker
//   | frames, each u32 octets + octets
import { readText, textBytes, writeText } from '../../protocol/strings.js';
import type { KeptMessage } from './store.js';

const VERSION = 1;
const FIXED_BYTES = 17;

export function encodeKept(message: KeptMessage): Buffer {
  const { sender, subject, tracker, content } = message;
  let size = FIXED_BYTES + 3 + textBytes(sender) + textBytes(subject) + textBytes(tracker);
  for (const frame of content) size += 4 + frame.length;
  const bytes = Buffer.allocUnsafe(size);
  bytes[0] = VERSION;
  bytes.writeDoubleBE(message.acceptedWallMs, 1);
  bytes.writeDoubleBE(message.expiresWallMs, 9);
  let at = FIXED_BYTES;
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
  const texts: string[] = [];
  let at = FIXED_BYTES;
  while (texts.length < 3) {
    const start = at + 1;
    at = start + bytes.readUInt8(at);
    texts.push(readText(bytes, start, at) ?? '');
  }
  const content: Buffer[] = [];
  while (at < bytes.length) {
    const start = at + 4;
    at = start + bytes.readUInt32BE(at);
    if (at > bytes.length) throw new RangeError('a kept message that ends inside a frame');
    content.push(bytes.subarray(start, at));
  }
  const [sender = '', subject = '', tracker = ''] = texts;
  const acceptedWallMs = bytes.readDoubleBE(1);
  const expiresWallMs = bytes.readDoubleBE(9);
  return { sequence, sender, subject, tracker, acceptedWallMs, expiresWallMs, content };
}
