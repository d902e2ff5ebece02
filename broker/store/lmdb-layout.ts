// How the store's tables look inside of a database: keys and small values as
// octets. It knows no database.
//
//   logs       u32 stream | u64 first sequence | u32 octets -> block
//   streams    name                                         -> u32 id | f64 octets | f64 last sequence
//   kept       u16 octets of queue | queue | u64 sequence   -> kept-codec.ts
//   documents  kind | 00 | name                             -> the value
import { readUInt64, writeUInt64 } from '../../protocol/records.js';

const LOG_KEY_BYTES = 16;
const SEQUENCE_BYTES = 8;
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

/** The length comes first, so that no queue's keys lie among those of another, whatever its name holds. */
export function keptKey(queue: string, sequence: number): Buffer {
  const length = Buffer.byteLength(queue);
  const key = Buffer.allocUnsafe(2 + length + SEQUENCE_BYTES);
  key.writeUInt16BE(length, 0);
  key.write(queue, 2);
  writeUInt64(key, sequence, 2 + length);
  return key;
}

/** What all keys of a queue begin with; a part of the key, not a copy. */
export const queuePrefixOf = (key: Buffer): Buffer => key.subarray(0, key.length - SEQUENCE_BYTES);

/** Whether a key is of the queue whose keys begin with `prefix`. */
export function isOfQueue(key: Buffer, prefix: Buffer): boolean {
  return (
    key.length === prefix.length + SEQUENCE_BYTES && prefix.compare(key, 0, prefix.length) === 0
  );
}

/** The name of the queue whose keys begin with `prefix`. */
export const queueOfPrefix = (prefix: Buffer): string => prefix.toString('utf8', 2);

export const sequenceOfKept = (key: Buffer): number => readUInt64(key, key.length - SEQUENCE_BYTES);

export function documentKey(kind: string, name: string): Buffer {
  return Buffer.from(`${kind}\0${name}`);
}
