// Cuts what a process prints into lines, and keeps the end of it for messages.
// It bounds what it holds, whatever the process prints; what lines mean is not
// known here.

const NEWLINE = 0x0a;
const RETURN = 0x0d;

/** Tells of each line, without its end. A line that is too long comes in pieces. */
export class LineCutter {
  readonly #onLine: (line: Buffer) => void;
  readonly #lineBytesMax: number;
  #held: Buffer[] = [];
  #heldBytes = 0;

  constructor(lineBytesMax: number, onLine: (line: Buffer) => void) {
    this.#lineBytesMax = lineBytesMax;
    this.#onLine = onLine;
  }

  write(chunk: Buffer): void {
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      this.#hold(chunk.subarray(start, end));
      this.#cut();
      start = end + 1;
    }
    this.#hold(chunk.subarray(start));
  }

  /** The output is over: a last line may have no end. */
  end(): void {
    if (this.#heldBytes > 0) this.#cut();
  }

  #hold(piece: Buffer): void {
    let rest = piece;
    while (this.#heldBytes + rest.length > this.#lineBytesMax) {
      const room = this.#lineBytesMax - this.#heldBytes;
      this.#push(rest.subarray(0, room));
      this.#cut();
      rest = rest.subarray(room);
    }
    this.#push(rest);
  }

  #push(piece: Buffer): void {
    if (piece.length === 0) return;
    this.#held.push(piece);
    this.#heldBytes += piece.length;
  }

  #cut(): void {
    const line = this.#held.length === 1 ? (this.#held[0] as Buffer) : Buffer.concat(this.#held);
    this.#held = [];
    this.#heldBytes = 0;
    this.#onLine(line.at(-1) === RETURN ? line.subarray(0, -1) : line);
  }
}

/** The last octets of an output. */
export class Tail {
  readonly #bytesMax: number;
  #held: Buffer = Buffer.alloc(0);

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  write(chunk: Buffer): void {
    const both = chunk.length >= this.#bytesMax ? chunk : Buffer.concat([this.#held, chunk]);
    // A copy, so that a small tail does not keep a large chunk.
    this.#held = Buffer.from(both.subarray(-this.#bytesMax));
  }

  get bytes(): Buffer {
    return this.#held;
  }

  /** As text; octets that are none become a sign for that. */
  toString(): string {
    return this.#held.toString('utf8').trim();
  }
}
