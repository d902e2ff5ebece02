// What is done with whole sections of stream messages without taking them apart:
// checking those that a stranger wrote, filling in what only the broker knows,
// and choosing from them what one reader is to get. The layout is records.ts's.
import { contentBytes } from './content.js';
import { ProtocolError } from './errors.js';
import {
  BlockReader,
  BlockWriter,
  readUInt64,
  SECTION_FIXED_BYTES,
  writeUInt64,
} from './records.js';
import { readText } from './strings.js';

/**
 * Checks sections that a peer sent.
 *
 * @param sender the sender that every section must name
 * @returns how many messages they hold, at least one
 * @throws {ProtocolError} saying what is wrong with them
 */
export function checkSections(bytes: Buffer, sender: string): number {
  let count = 0;
  let at = 0;
  while (at < bytes.length) {
    if (at + SECTION_FIXED_BYTES + 1 > bytes.length)
      throw bad(at, 'a section ends inside its header');
    const end = at + 4 + bytes.readUInt32BE(at);
    const senderStart = at + SECTION_FIXED_BYTES + 1;
    const senderEnd = senderStart + bytes.readUInt8(senderStart - 1);
    if (end > bytes.length || senderEnd > end)
      throw bad(at, 'a section is longer than its message');
    if (readText(bytes, senderStart, senderEnd) !== sender)
      throw bad(at, 'a section names another sender');
    const records = checkRecords(bytes, senderEnd, end);
    if (records === 0 || records !== bytes.readUInt32BE(at + 4)) {
      throw bad(at, 'a section holds another number of messages than it says');
    }
    count += records;
    at = end;
  }
  if (count === 0) throw bad(0, 'no sections');
  return count;
}

function checkRecords(bytes: Buffer, start: number, end: number): number {
  let count = 0;
  let at = start;
  while (at < end) {
    const subjectStart = at + 5;
    const stop = subjectStart <= end ? at + 4 + bytes.readUInt32BE(at) : Infinity;
    if (stop > end) throw bad(at, 'a message is longer than its section');
    const subjectEnd = subjectStart + bytes.readUInt8(subjectStart - 1);
    if (subjectEnd > stop) throw bad(at, 'a subject is longer than its message');
    if (readText(bytes, subjectStart, subjectEnd) === undefined)
      throw bad(at, 'a subject is not UTF-8');
    at = subjectEnd;
    while (at < stop) {
      if (at + 4 > stop) throw bad(at, 'a message ends inside a frame');
      at += 4 + bytes.readUInt32BE(at);
    }
    if (at !== stop) throw bad(at, 'a frame is longer than its message');
    count++;
  }
  return count;
}

function bad(offset: number, message: string): ProtocolError {
  return new ProtocolError('truncated', `octet ${offset} of the sections`, message);
}

/**
 * How many messages sections say they hold, by their headers alone.
 *
 * @throws {ProtocolError} where the headers do not follow one another to the end
 */
export function countSections(bytes: Buffer): number {
  let count = 0;
  let at = 0;
  while (at < bytes.length) {
    if (at + SECTION_FIXED_BYTES + 1 > bytes.length)
      throw bad(at, 'a section ends inside its header');
    count += bytes.readUInt32BE(at + 4);
    at += 4 + bytes.readUInt32BE(at);
  }
  if (at !== bytes.length) throw bad(at, 'a section is longer than its message');
  return count;
}

/** The octets of the largest body in sections that `checkSections` has passed. */
export function largestContent(bytes: Buffer): number {
  let largest = 0;
  const reader = new BlockReader(bytes);
  while (reader.next()) {
    largest = Math.max(largest, contentBytes(reader.content()));
  }
  return largest;
}

/** Fills in the sequences and the time of sections that `checkSections` has passed. */
export function stampSections(bytes: Buffer, first: number, timeMs: number): void {
  let sequence = first;
  for (let at = 0; at < bytes.length; at += 4 + bytes.readUInt32BE(at)) {
    writeUInt64(bytes, sequence, at + 8);
    writeUInt64(bytes, timeMs, at + 16);
    sequence += bytes.readUInt32BE(at + 4);
  }
}

/** What a reader wants of a block. */
export interface Wanted {
  /** The first sequence. */
  readonly from: number;
  /** How many messages, at most. */
  readonly max: number;
  /** Which subjects; undefined for all. */
  readonly matches: ((subject: string) => boolean) | undefined;
  /** A sender whose messages are left out; undefined for none. */
  readonly without: string | undefined;
}

/** What a block holds of what is wanted. */
export interface Selection {
  /** The messages, as sections; empty where there are none. */
  readonly bytes: Buffer;
  readonly count: number;
  /** The first sequence that was not looked at. */
  readonly next: number;
}

/** Chooses from sections; hands them on as they are where all of them are wanted. */
export function selectSections(bytes: Buffer, wanted: Wanted): Selection {
  return wholeBlock(bytes, wanted) ?? copyWanted(bytes, wanted);
}

function wholeBlock(bytes: Buffer, { from, max, matches, without }: Wanted): Selection | undefined {
  if (matches !== undefined || readUInt64(bytes, 8) < from) return undefined;
  let count = 0;
  let next = from;
  for (let at = 0; at < bytes.length; at += 4 + bytes.readUInt32BE(at)) {
    if (without !== undefined && senderOf(bytes, at) === without) return undefined;
    const records = bytes.readUInt32BE(at + 4);
    count += records;
    next = readUInt64(bytes, at + 8) + records;
  }
  return count > max ? undefined : { bytes, count, next };
}

function senderOf(bytes: Buffer, section: number): string | undefined {
  const start = section + SECTION_FIXED_BYTES + 1;
  return readText(bytes, start, start + bytes.readUInt8(start - 1));
}

function copyWanted(bytes: Buffer, { from, max, matches, without }: Wanted): Selection {
  const writer = new BlockWriter(bytes.length + 64);
  const reader = new BlockReader(bytes);
  reader.seek(from);
  let count = 0;
  let next = from;
  while (count < max && reader.next()) {
    next = reader.sequence + 1;
    if (reader.sender === without || matches?.(reader.subject) === false) continue;
    writer.copy(reader);
    count++;
  }
  const blocks = writer.take();
  const [only] = blocks;
  if (blocks.length === 1 && only !== undefined) return { bytes: only.bytes, count, next };
  return { bytes: Buffer.concat(blocks.map((block) => block.bytes)), count, next };
}
