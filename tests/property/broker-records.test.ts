// Blocks of stream messages: what was written is read back, from any place in
// them, however they were cut into chunks, sections and blocks, and after the
// memory store has joined them.
import fc from 'fast-check';
import {
  BlockReader,
  BlockWriter,
  lastSequenceOf,
  readUInt64,
  writeUInt64,
  type Block,
} from '../../protocol/records.js';
import { MemoryStore } from '../../broker/store/memory.js';

interface Entry {
  sequence: number;
  timeMs: number;
  sender: string;
  subject: string;
  content: Buffer[];
}

const text = fc.oneof(
  fc.constantFrom('', 'a', 'sensor.1', 'x'.repeat(255), 'ü'.repeat(127), '\u{1f43a}'),
  fc.string({ maxLength: 20 }),
);
const frame = fc.oneof(
  fc.constant(Buffer.alloc(0)),
  fc.uint8Array({ maxLength: 40 }).map((octets) => Buffer.from(octets)),
  fc.integer({ min: 0, max: 3000 }).map((size) => Buffer.alloc(size, size & 0xff)),
);
const message = fc.record({
  sender: fc.constantFrom('alice', 'bob', '', 'ü'),
  subject: text,
  content: fc.array(frame, { maxLength: 4 }),
  /** How much later than the one before, and whether a block ends after it. */
  later: fc.constantFrom(0, 0, 0, 1, 1000),
  cut: fc.constantFrom(false, false, false, true),
});
const run = fc.record({
  chunkBytes: fc.constantFrom(1, 64, 300, 4096, 256 * 1024),
  first: fc.constantFrom(1, 2, 1000, 2 ** 32 - 3, 2 ** 45),
  messages: fc.array(message, { minLength: 1, maxLength: 40, size: 'max' }),
});

function written({
  chunkBytes,
  first,
  messages,
}: typeof run extends fc.Arbitrary<infer T> ? T : never) {
  const writer = new BlockWriter(chunkBytes);
  const entries: Entry[] = [];
  const blocks: Block[] = [];
  let timeMs = 1_700_000_000_000;
  messages.forEach(({ sender, subject, content, later, cut }, n) => {
    timeMs += later;
    entries.push({ sequence: first + n, timeMs, sender, subject, content });
    writer.append(first + n, timeMs, sender, subject, content);
    if (cut) blocks.push(...writer.take());
  });
  blocks.push(...writer.take());
  return { entries, blocks };
}

function readAll(reader: BlockReader): Entry[] {
  const entries: Entry[] = [];
  while (reader.next()) {
    const { sequence, timeMs, sender, subject } = reader;
    entries.push({ sequence, timeMs, sender, subject, content: reader.content() });
  }
  return entries;
}

function plain(entries: readonly Entry[]): unknown[] {
  return entries.map(({ content, ...rest }) => ({
    ...rest,
    content: content.map((octets) => octets.toString('hex')),
  }));
}

it('reads back what was written', () => {
  fc.assert(
    fc.property(run, (given) => {
      const { entries, blocks } = written(given);
      const back = blocks.flatMap((block) => readAll(new BlockReader(block.bytes)));
      expect(plain(back)).toEqual(plain(entries));
      let next = given.first;
      for (const block of blocks) {
        expect([block.first, lastSequenceOf(block.bytes)]).toEqual([next, block.last]);
        next = block.last + 1;
      }
      expect(next).toBe(given.first + entries.length);
    }),
  );
});

it('seeks to any sequence: the next message is that one or the first later one', () => {
  fc.assert(
    fc.property(run, fc.nat(45), (given, at) => {
      const { entries, blocks } = written(given);
      const sequence = given.first + at - 2;
      for (const block of blocks) {
        const reader = new BlockReader(block.bytes);
        reader.seek(sequence);
        const expected = entries.filter(
          (entry) =>
            entry.sequence >= Math.max(sequence, block.first) && entry.sequence <= block.last,
        );
        expect(plain(readAll(reader))).toEqual(plain(expected));
      }
    }),
  );
});

it('seeks from any place, but never back', () => {
  fc.assert(
    fc.property(run, fc.nat(40), fc.nat(40), (given, steps, at) => {
      const { blocks } = written(given);
      const [block] = blocks;
      const reader = new BlockReader(block!.bytes);
      let last = block!.first - 1;
      for (let step = 0; step < steps && reader.next(); step++) last = reader.sequence;
      reader.seek(block!.first + at);
      const expected = Math.max(last + 1, block!.first + at);
      expect(reader.next() ? reader.sequence : block!.last + 1).toBe(
        Math.min(expected, block!.last + 1),
      );
    }),
  );
});

it('what a reader copied is what it read', () => {
  fc.assert(
    fc.property(run, fc.nat(6), (given, every) => {
      const { entries, blocks } = written(given);
      const copier = new BlockWriter(given.chunkBytes);
      for (const block of blocks) {
        const reader = new BlockReader(block.bytes);
        while (reader.next()) if (reader.sequence % (every + 1) === 0) copier.copy(reader);
      }
      const copied = copier.take().flatMap((block) => readAll(new BlockReader(block.bytes)));
      const expected = entries.filter(({ sequence }) => sequence % (every + 1) === 0);
      expect(plain(copied)).toEqual(plain(expected));
    }),
  );
});

it('numbers below 2^53 survive', () => {
  fc.assert(
    fc.property(fc.maxSafeNat(), (value) => {
      const octets = Buffer.alloc(8);
      writeUInt64(octets, value, 0);
      expect(readUInt64(octets, 0)).toBe(value);
    }),
  );
});

it('the memory store gives every message back, from any sequence, and none that was trimmed', () => {
  fc.assert(
    fc.property(run, fc.integer({ min: 1, max: 20_000 }), (given, bytesMax) => {
      const { entries, blocks } = written(given);
      const store = new MemoryStore();
      for (const block of blocks) store.appendBlock('s', block);
      const total = blocks.reduce((sum, block) => sum + block.bytes.length, 0);
      expect(store.streamBytes('s')).toBe(total);
      for (const { sequence } of entries) {
        const block = store.readBlock('s', sequence)!;
        expect(block.first <= sequence && sequence <= block.last).toBe(true);
        const reader = new BlockReader(block.bytes);
        reader.seek(sequence);
        expect(plain(readAll(reader))).toEqual(
          plain(
            entries.filter((entry) => entry.sequence >= sequence && entry.sequence <= block.last),
          ),
        );
      }
      expect(store.readBlock('s', given.first + entries.length)).toBeUndefined();
      store.trim('s', { bytesMax }, 0);
      const kept: Entry[] = [];
      for (
        let block = store.readBlock('s', 0);
        block;
        block = store.readBlock('s', block.last + 1)
      ) {
        kept.push(...readAll(new BlockReader(block.bytes)));
      }
      // What is left is the end of the log, whole, and one block may be larger than the bound.
      expect(plain(kept)).toEqual(plain(entries.slice(entries.length - kept.length)));
      expect(kept.length).toBeGreaterThan(0);
      const last = store.readBlock('s', given.first + entries.length - 1)!;
      expect(store.streamBytes('s')).toBeLessThanOrEqual(Math.max(bytesMax, last.bytes.length));
      store.trim('s', { bytesMax: 0 }, 0);
      expect([store.streamBytes('s'), store.readBlock('s', 0)]).toEqual([0, undefined]);
      store.dropStream('s');
      expect([store.streamBytes('s'), store.readBlock('s', 0)]).toEqual([0, undefined]);
    }),
  );
});
