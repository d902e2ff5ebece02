// How the store's tables look inside of a database: keys and small values as
// octets. It knows no database.
//
//   logs       u32 stream | u64 first sequence | u32 octets -> block
//   streams    name                                         -> u32 id | f64 octets | f64 last sequence
//   kept       queue | 00 | u64 sequence                    -> kept-codec.ts
//   documents  kind | 00 | name                             -> the value
import { readUInt64, writeUInt64 } from '../../protocol/records.js';

const LOG_KEY_BYTES = 16;
/** Octets of what stands behind the queue's name in a key. */
const KEPT_TAIL_BYTES = 9;
const OCTETS_MAX = 0xffffffff;

/** The key of a block; the octets of one that is not known are the largest there can be. */
export function logKey(stream: number, first: number, bytes = OCTETS_MAX): Buffer {
  const key = Buffer.allocUnsafe(LOG_KEY_BYTES);
  key.writeUInt32BE(stream, 0);
  writeUInt64(key, first, 4);
  key.writeUInt32BE(bytes, 12);
  return key;
}

/** What the key of a block says. */
export const streamOf = (key: Buffer): number => key.readUInt32BE(0);
export const firstSequenceOf = (key: Buffer): number => readUInt64(key, 4);
export const blockBytesOf = (key: Buffer): number => key.readUInt32BE(12);

/** How far a log goes. */
export interface LogExtent {
  readonly bytes: number;
  readonly lastSequence: number;
}

export function encodeLog(id: number, { bytes, lastSequence }: LogExtent): Buffer {
  const value = Buffer.allocUnsafe(20);
  value.writeUInt32BE(id, 0);
  value.writeDoubleBE(bytes, 4);
  value.writeDoubleBE(lastSequence, 12);
  return value;
}

export function decodeLog(value: Buffer): LogExtent & { readonly id: number } {
  return {
    id: value.readUInt32BE(0),
    bytes: value.readDoubleBE(4),
    lastSequence: value.readDoubleBE(12),
  };
}

export function keptKey(queue: string, sequence: number): Buffer {
  const length = Buffer.byteLength(queue);
  const key = Buffer.allocUnsafe(length + KEPT_TAIL_BYTES);
  key.write(queue);
  key[length] = 0;
  writeUInt64(key, sequence, length + 1);
  return key;
}

export function decodeKeptKey(key: Buffer): { readonly queue: string; readonly sequence: number } {
  const end = key.length - KEPT_TAIL_BYTES;
  return { queue: key.toString('utf8', 0, end), sequence: readUInt64(key, end + 1) };
}

export function documentKey(kind: string, name: string): Buffer {
  return Buffer.from(`${kind}\0${name}`);
}
