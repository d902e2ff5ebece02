// Gathers the messages that one sender is about to send to a stream into
// sections (records.ts has the layout): the hot path of publishing, so it takes
// no object per message and copies each body once. Sequences and times are the
// broker's to fill in and stay zero; nothing here knows about streams or sockets.
// A large body has memory of its own, which may be used again: new memory costs
// more than the copy.
import { SECTION_FIXED_BYTES } from './records.js';
import { textBytes, writeText } from './strings.js';

/** Memory is taken in chunks, which grow: a client may have many writers that write little. */
const CHUNK_BYTES_MIN = 4 * 1024;
const CHUNK_BYTES_MAX = 256 * 1024;
/** Memory of large sections is taken in multiples of this. */
const LARGE_STEP_BYTES = 256 * 1024;
/** How much memory of large sections is kept to be used again, while more are under way and later. */
const SPARE_BYTES_MAX = 64 * 1024 * 1024;
const IDLE_BYTES_MAX = 8 * 1024 * 1024;
const NO_CHUNK = Buffer.alloc(0);

export class SectionWriter {
  readonly #sender: Buffer;
  #chunk: Buffer = NO_CHUNK;
  #spare: Buffer[] = [];
  #spareBytes = 0;
  /** Where the section that gathers begins, and where its last octet ends. */
  #start = 0;
  #end = 0;
  #count = 0;

  /** @param sender the address that every section names */
  constructor(sender: string) {
    this.#sender = Buffer.from(sender);
  }

  /** Messages since the last `take`. */
  get count(): number {
    return this.#count;
  }

  /** Octets since the last `take`. */
  get bytes(): number {
    return this.#end - this.#start;
  }

  /** Adds a message with a body of one frame. @returns the octets it takes */
  append(subject: string, frame: Uint8Array): number {
    const subjectBytes = textBytes(subject);
    const recordBytes = 5 + subjectBytes + frame.length;
    const start = this.#reserve(4 + recordBytes);
    const chunk = this.#chunk;
    chunk.writeUInt32BE(recordBytes, start);
    chunk[start + 4] = subjectBytes;
    const at = chunk.writeUInt32BE(frame.length, writeText(chunk, subject, start + 5));
    chunk.set(frame, at);
    this.#end = at + frame.length;
    return 4 + recordBytes;
  }

  /** Adds a message with a body of any number of frames. @returns the octets it takes */
  appendFrames(subject: string, frames: readonly Uint8Array[]): number {
    const subjectBytes = textBytes(subject);
    let recordBytes = 1 + subjectBytes;
    for (const frame of frames) recordBytes += 4 + frame.length;
    const start = this.#reserve(4 + recordBytes);
    const chunk = this.#chunk;
    chunk.writeUInt32BE(recordBytes, start);
    chunk[start + 4] = subjectBytes;
    let at = writeText(chunk, subject, start + 5);
    for (const frame of frames) {
      at = chunk.writeUInt32BE(frame.length, at);
      chunk.set(frame, at);
      at += frame.length;
    }
    this.#end = at;
    return 4 + recordBytes;
  }

  /** Hands over what has gathered, as one section; undefined where there is nothing. */
  take(): Buffer | undefined {
    if (this.#count === 0) return undefined;
    const chunk = this.#chunk;
    chunk.writeUInt32BE(this.#end - this.#start - 4, this.#start);
    chunk.writeUInt32BE(this.#count, this.#start + 4);
    const section = chunk.subarray(this.#start, this.#end);
    this.#start = this.#end;
    this.#count = 0;
    // A large chunk is the section's alone.
    if (chunk.length > CHUNK_BYTES_MAX) this.#forgetChunk();
    return section;
  }

  /**
   * Takes back what `take` handed over, and nobody will look at again.
   *
   * @param isLast true where nothing that was handed over is still looked at
   */
  reuse(section: Buffer, isLast: boolean): void {
    const { byteLength } = section.buffer;
    if (byteLength > CHUNK_BYTES_MAX) {
      this.#spare.push(Buffer.from(section.buffer));
      this.#spareBytes += byteLength;
    }
    const bytesMax = isLast ? IDLE_BYTES_MAX : SPARE_BYTES_MAX;
    while (this.#spareBytes > bytesMax) this.#spareBytes -= this.#spare.shift()?.length ?? 0;
  }

  /** Gives its memory back, which it needs to have nothing gathered in. What was handed over stays. */
  release(): void {
    this.#forgetChunk();
    this.#spare = [];
    this.#spareBytes = 0;
  }

  #forgetChunk(): void {
    this.#chunk = NO_CHUNK;
    this.#start = this.#end = 0;
  }

  /** Makes room for a message, and opens a section where none gathers. @returns where it goes */
  #reserve(bytes: number): number {
    const header = this.#count === 0 ? SECTION_FIXED_BYTES + 1 + this.#sender.length : 0;
    if (this.#end + header + bytes > this.#chunk.length) this.#renew(header + bytes);
    if (this.#count++ > 0) return this.#end;
    const chunk = this.#chunk;
    const senderStart = this.#start + SECTION_FIXED_BYTES + 1;
    chunk.fill(0, this.#start, senderStart);
    chunk[senderStart - 1] = this.#sender.length;
    chunk.set(this.#sender, senderStart);
    return senderStart + this.#sender.length;
  }

  /** Goes on in new memory; what was handed over stays where it is. */
  #renew(bytes: number): void {
    const gathered = this.bytes;
    const grown = Math.min(CHUNK_BYTES_MAX, Math.max(CHUNK_BYTES_MIN, 4 * this.#chunk.length));
    const chunk = this.#newChunk(Math.max(grown, 2 * gathered + bytes));
    if (gathered > 0) this.#chunk.copy(chunk, 0, this.#start, this.#end);
    this.#chunk = chunk;
    this.#start = 0;
    this.#end = gathered;
  }

  #newChunk(bytes: number): Buffer {
    if (bytes <= CHUNK_BYTES_MAX) return Buffer.allocUnsafeSlow(bytes);
    const at = this.#spare.findIndex(({ length }) => length >= bytes && length <= 2 * bytes);
    const [spare] = at === -1 ? [] : this.#spare.splice(at, 1);
    if (spare === undefined) {
      return Buffer.allocUnsafeSlow(Math.ceil(bytes / LARGE_STEP_BYTES) * LARGE_STEP_BYTES);
    }
    this.#spareBytes -= spare.length;
    return spare;
  }
}
