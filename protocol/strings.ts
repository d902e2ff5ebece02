// Short strings between buffers and JavaScript. Names and subjects repeat, so
// decoding goes through a small fixed table of strings seen before: it is five
// times faster than asking the runtime, and equal names become the same string
// object, whose hash is then computed once. Nothing here knows about commands.

/** The longest string that one length octet can announce. */
export const STRING_BYTES_MAX = 255;

interface Entry {
  readonly hash: number;
  readonly bytes: Uint8Array;
  readonly text: string;
}

const SLOTS = 4096;
const table = new Array<Entry | undefined>(SLOTS);
const REPLACEMENT = '\ufffd';

/**
 * Reads `frame[start, end)` as UTF-8.
 *
 * @returns the text, or undefined where the bytes are not UTF-8
 */
export function readText(frame: Buffer, start: number, end: number): string | undefined {
  if (start === end) return '';
  let hash = end - start;
  for (let at = start; at < end; at++) hash = (Math.imul(hash, 31) + (frame[at] as number)) | 0;
  const slot = hash & (SLOTS - 1);
  const seen = table[slot];
  if (seen?.hash === hash && sameBytes(seen.bytes, frame, start, end)) {
    return seen.text;
  }
  const text = frame.toString('utf8', start, end);
  if (
    text.includes(REPLACEMENT) &&
    Buffer.compare(Buffer.from(text), frame.subarray(start, end)) !== 0
  ) {
    return undefined;
  }
  table[slot] = { hash, bytes: Uint8Array.prototype.slice.call(frame, start, end), text };
  return text;
}

function sameBytes(bytes: Uint8Array, frame: Buffer, start: number, end: number): boolean {
  if (bytes.length !== end - start) return false;
  for (let at = 0; at < bytes.length; at++) if (bytes[at] !== frame[start + at]) return false;
  return true;
}

/** How many octets `text` takes as UTF-8. */
export function textBytes(text: string): number {
  for (let at = 0; at < text.length; at++) {
    if (text.charCodeAt(at) > 0x7f) return Buffer.byteLength(text);
  }
  return text.length;
}

/**
 * As much of the beginning of a text as a string of the wire holds. It ends between
 * two characters: a pair of surrogates stays whole or goes.
 */
export function fittingText(text: string, bytesMax = STRING_BYTES_MAX): string {
  if (text.length <= bytesMax && textBytes(text) <= bytesMax) return text;
  let bytes = 0;
  let end = 0;
  for (const character of text) {
    bytes += textBytes(character);
    if (bytes > bytesMax) break;
    end += character.length;
  }
  return text.slice(0, end);
}

/**
 * Writes `text` as UTF-8 at `offset`, which must have room for it.
 *
 * @returns the offset after the last octet written
 */
export function writeText(target: Buffer, text: string, offset: number): number {
  const length = text.length;
  if (length > 64) return offset + target.write(text, offset);
  for (let at = 0; at < length; at++) {
    const code = text.charCodeAt(at);
    if (code > 0x7f) return offset + target.write(text, offset);
    target[offset + at] = code;
  }
  return offset + length;
}
