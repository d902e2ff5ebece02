// One frame as a MessagePack value or as text, and back. Decoding is exact:
// a frame is a value from its first octet to its last, or an error.
import { isUtf8 } from 'node:buffer';
import { Decoder, Encoder } from '@msgpack/msgpack';
import { MlmError } from './errors.js';

/** Small frames share one decoder: no list or map in such a frame can be longer than it. */
const SMALL_BYTES = 64 * 1024;

const encoder = new Encoder();
const smallDecoder = new Decoder({ maxArrayLength: SMALL_BYTES, maxMapLength: SMALL_BYTES });

/** @throws {MlmError} INVALID_ARGUMENT where MessagePack cannot hold the value */
export function encodeValue(value: unknown): Buffer {
  return Buffer.from(encodeShared(value));
}

/**
 * As `encodeValue`, but the bytes are good only until the next call.
 *
 * @throws {MlmError} INVALID_ARGUMENT where MessagePack cannot hold the value
 */
export function encodeShared(value: unknown): Uint8Array {
  try {
    return encoder.encodeSharedRef(value);
  } catch (cause) {
    const message = `the body does not fit MessagePack: ${textOf(cause)}`;
    throw new MlmError('INVALID_ARGUMENT', message, { cause });
  }
}

/** The same bytes as a Buffer, not copied. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes)
    ? bytes
    : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/**
 * Reads a body as a value: undefined where there is no frame, else one frame of
 * MessagePack.
 *
 * @throws {MlmError} INVALID_BODY
 */
export function decodeValue(content: readonly Buffer[]): unknown {
  const frame = onlyFrame(content, 'a value');
  if (frame === undefined) return undefined;
  try {
    if (frame.length <= SMALL_BYTES) return smallDecoder.decode(frame);
    const lengths = { maxArrayLength: frame.length, maxMapLength: frame.length };
    return new Decoder(lengths).decode(frame);
  } catch (cause) {
    const message = `the body is not a MessagePack value: ${textOf(cause)}`;
    throw new MlmError('INVALID_BODY', message, { cause });
  }
}

/**
 * Reads a body as text: one frame of UTF-8; empty where there is no frame.
 *
 * @throws {MlmError} INVALID_BODY
 */
export function decodeText(content: readonly Buffer[]): string {
  const frame = onlyFrame(content, 'text');
  if (frame === undefined) return '';
  if (!isUtf8(frame)) throw new MlmError('INVALID_BODY', 'the body is not UTF-8 text');
  return frame.toString('utf8');
}

function onlyFrame(content: readonly Buffer[], as: string): Buffer | undefined {
  if (content.length <= 1) return content[0];
  const message = `the body is not ${as} but ${content.length} frames: read them from \`content\``;
  throw new MlmError('INVALID_BODY', message);
}

/** What a caught thing says. */
export function textOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
