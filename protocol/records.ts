// Runs of stream messages as octets: the one layout in which messages are kept
// in a log, read back and, between native peers, sent. A run that one sender
// wrote within one millisecond is a section; a section can be handed on whole.
//
//   section:  u32 octets after this field | u32 records | u64 first sequence
//             | u64 time, ms since 1970 | string sender | records
//   record:   u32 octets after this field | string subject
//             | frames, each u32 octets + octets
//
// Nothing here knows about sockets, files or streams.
import { readText, textBytes, writeText } from './strings.js';

export const SECTION_FIXED_BYTES = 24;
const TWO_32 = 0x1_0000_0000;

/** Consecutive messages of one stream, as octets: one or more whole sections. */
export interface Block {
  /** The sequence of the first message. */
  readonly first: number;
  /** The sequence of the last message. */
  readonly last: number;
  readonly bytes: Buffer;
}

/**
 * Gathers messages into blocks. Memory is taken in chunks; blocks that follow
 * one another in a chunk lie side by side in it, so that a store can join them
 * without copying.
 */
export class BlockWriter {
  readonly #chunkBytes: number;
  #chunk = Buffer.alloc(0);
  /** Where the block that gathers begins, and where its last octet ends. */
  #start = 0;
  #end = 0;
  #first = 0;
  #last = 0;
  /** The section that gathers: its offset, or -1. */
  #section = -1;
  #sectionSender = '';
  #sectionTime = 0;
  #sectionCount = 0;
  #full: Block[] = [];

  /** @param chunkBytes how much memory to take at a time */
  constructor(chunkBytes = 256 * 1024) {
    this.#chunkBytes = chunkBytes;
  }

  /**
   * Adds one message. Sequences must follow one another.
   *
   * @returns the octets the message takes
   */
  append(
    sequence: number,
    timeMs: number,
    sender: string,
    subject: string,
    content: readonly Buffer[],
  ): number {
    const subjectBytes = textBytes(subject);
    let recordBytes = 1 + subjectBytes;
    for (const frame of content) recordBytes += 4 + frame.length;
    const needed = SECTION_FIXED_BYTES + 1 + textBytes(sender) + 4 + recordBytes;
    if (this.#end + needed > this.#chunk.length) this.#newChunk(needed);
    this.#begin(sequence, timeMs, sender);
    const chunk = this.#chunk;
    let at = chunk.writeUInt32BE(recordBytes, this.#end);
    chunk[at] = subjectBytes;
    at = writeText(chunk, subject, at + 1);
    for (const frame of content) {
      at = chunk.writeUInt32BE(frame.length, at);
      frame.copy(chunk, at);
      at += frame.length;
    }
    this.#end = at;
    return recordBytes + 4;
  }

  /** Adds the message at which a reader stands, as it is. */
  copy(reader: BlockReader): void {
    const record = reader.record();
    const needed = SECTION_FIXED_BYTES + 1 + textBytes(reader.sender) + record.length;
    if (this.#end + needed > this.#chunk.length) this.#newChunk(needed);
    this.#begin(reader.sequence, reader.timeMs, reader.sender);
    record.copy(this.#chunk, this.#end);
    this.#end += record.length;
  }

  /** Hands over what has gathered since the last call, oldest first. */
  take(): Block[] {
    this.#closeBlock();
    const blocks = this.#full;
    if (blocks.length > 0) this.#full = [];
    return blocks;
  }

  /** Opens a section where the message does not continue the one that gathers, and counts it. */
  #begin(sequence: number, timeMs: number, sender: string): void {
    if (this.#end === this.#start) this.#first = sequence;
    const continues =
      this.#section >= 0 &&
      this.#last + 1 === sequence &&
      this.#sectionTime === timeMs &&
      this.#sectionSender === sender;
    if (!continues) this.#openSection(sequence, timeMs, sender);
    this.#last = sequence;
    this.#sectionCount++;
  }

  #openSection(sequence: number, timeMs: number, sender: string): void {
    this.#closeSection();
    this.#section = this.#end;
    this.#sectionSender = sender;
    this.#sectionTime = timeMs;
    this.#sectionCount = 0;
    const chunk = this.#chunk;
    writeUInt64(chunk, sequence, this.#section + 8);
    writeUInt64(chunk, timeMs, this.#section + 16);
    const start = this.#section + SECTION_FIXED_BYTES + 1;
    this.#end = writeText(chunk, sender, start);
    chunk[start - 1] = this.#end - start;
  }

  #closeSection(): void {
    if (this.#section < 0) return;
    this.#chunk.writeUInt32BE(this.#end - this.#section - 4, this.#section);
    this.#chunk.writeUInt32BE(this.#sectionCount, this.#section + 4);
    this.#section = -1;
  }

  #closeBlock(): void {
    this.#closeSection();
    if (this.#end === this.#start) return;
    const bytes = this.#chunk.subarray(this.#start, this.#end);
    this.#full.push({ first: this.#first, last: this.#last, bytes });
    this.#start = this.#end;
  }

  #newChunk(needed: number): void {
    this.#closeBlock();
    this.#chunk = Buffer.allocUnsafeSlow(Math.max(this.#chunkBytes, needed));
    this.#start = 0;
    this.#end = 0;
  }
}

/**
 * Walks the messages of a block. After `next()` returned true, the properties
 * speak of that message; nothing is copied.
 */
export class BlockReader {
  readonly #bytes: Buffer;
  #sectionEnd = 0;
  #nextSequence = 0;
  #start = 0;
  #next: number;
  #frames = 0;
  sequence = 0;
  /** When the message was accepted, in ms since 1970. */
  timeMs = 0;
  sender = '';
  subject = '';

  /** @param bytes whole sections, as `BlockWriter` wrote them */
  constructor(bytes: Buffer) {
    this.#bytes = bytes;
    this.#next = 0;
  }

  /** Steps to the next message. @returns false at the end */
  next(): boolean {
    const bytes = this.#bytes;
    if (this.#next >= this.#sectionEnd) {
      if (this.#next >= bytes.length) return false;
      this.#enterSection(this.#next);
    }
    const start = this.#next;
    const end = start + 4 + bytes.readUInt32BE(start);
    const subjectStart = start + 5;
    const subjectEnd = subjectStart + (bytes[start + 4] as number);
    this.subject = readText(bytes, subjectStart, subjectEnd) as string;
    this.sequence = this.#nextSequence++;
    this.#start = start;
    this.#frames = subjectEnd;
    this.#next = end;
    return true;
  }

  /** Steps over whole sections and messages, so that the next one is `sequence` or later. */
  seek(sequence: number): void {
    const bytes = this.#bytes;
    while (this.#next < bytes.length) {
      if (this.#next >= this.#sectionEnd) {
        const start = this.#next;
        const count = bytes.readUInt32BE(start + 4);
        if (readUInt64(bytes, start + 8) + count <= sequence) {
          this.#next = start + 4 + bytes.readUInt32BE(start);
          continue;
        }
        this.#enterSection(start);
      }
      if (this.#nextSequence >= sequence) return;
      this.#next += 4 + bytes.readUInt32BE(this.#next);
      this.#nextSequence++;
    }
  }

  /** Where the content of the message begins in the block; see `framesBetween`. */
  get contentStart(): number {
    return this.#frames;
  }

  /** Where the content of the message ends in the block. */
  get contentEnd(): number {
    return this.#next;
  }

  /** The content frames of the message, as views of the block. */
  content(): Buffer[] {
    return framesBetween(this.#bytes, this.#frames, this.#next);
  }

  /** The message as it lies in the block, as a view. */
  record(): Buffer {
    return this.#bytes.subarray(this.#start, this.#next);
  }

  #enterSection(start: number): void {
    const bytes = this.#bytes;
    this.#sectionEnd = start + 4 + bytes.readUInt32BE(start);
    this.#nextSequence = readUInt64(bytes, start + 8);
    this.timeMs = readUInt64(bytes, start + 16);
    const senderStart = start + SECTION_FIXED_BYTES + 1;
    const senderEnd = senderStart + (bytes[senderStart - 1] as number);
    this.sender = readText(bytes, senderStart, senderEnd) as string;
    this.#next = senderEnd;
  }
}

/** The content frames that lie between two places of a block, as views of it. */
export function framesBetween(bytes: Buffer, start: number, end: number): Buffer[] {
  const frames: Buffer[] = [];
  let at = start;
  while (at < end) {
    const from = at + 4;
    at = from + bytes.readUInt32BE(at);
    frames.push(bytes.subarray(from, at));
  }
  return frames;
}

/** The sequence of the last message in whole sections. */
export function lastSequenceOf(bytes: Buffer): number {
  let last = 0;
  for (let at = 0; at < bytes.length; at += 4 + bytes.readUInt32BE(at)) {
    last = readUInt64(bytes, at + 8) + bytes.readUInt32BE(at + 4) - 1;
  }
  return last;
}

/** When the last message in whole sections was accepted, in ms since 1970. */
export function lastTimeOf(bytes: Buffer): number {
  let timeMs = 0;
  for (let at = 0; at < bytes.length; at += 4 + bytes.readUInt32BE(at)) {
    timeMs = readUInt64(bytes, at + 16);
  }
  return timeMs;
}

/** Writes a whole number below 2^53 as eight octets. */
export function writeUInt64(target: Buffer, value: number, offset: number): void {
  target.writeUInt32BE(Math.floor(value / TWO_32), offset);
  target.writeUInt32BE(value % TWO_32, offset + 4);
}

/** Reads what `writeUInt64` wrote. */
export function readUInt64(source: Buffer, offset: number): number {
  return source.readUInt32BE(offset) * TWO_32 + source.readUInt32BE(offset + 4);
}
