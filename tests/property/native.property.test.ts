// The native wire under arbitrary values and octets: decode undoes encode, and
// whatever comes is read or refused with a ProtocolError, nothing else.
import fc from 'fast-check';
import {
  BatchReader,
  BatchWriter,
  BlockReader,
  BlockWriter,
  checkSections,
  countSections,
  NATIVE_COMMANDS,
  ProtocolError,
  SectionWriter,
  selectSections,
  stampSections,
  textBytes,
  type NativeCommand,
  type NativeCommandName,
  type NativeFieldType,
} from '../../protocol/index.js';

const text = fc
  .string({ unit: 'binary', maxLength: 260 })
  .filter((value) => textBytes(value) <= 255);
const frame = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes));
const largeFrame = fc.integer({ min: 16_000, max: 17_000 }).map((size) => Buffer.alloc(size, 7));
const frames = fc.array(fc.oneof({ weight: 9, arbitrary: frame }, largeFrame), { maxLength: 4 });
const map = fc.dictionary(
  fc.string({ maxLength: 8 }).filter((key) => key !== '__proto__'),
  fc.oneof(fc.string(), fc.integer(), fc.boolean()),
);
const values: Record<NativeFieldType, fc.Arbitrary<unknown>> = {
  u8: fc.nat(0xff),
  u16: fc.nat(0xffff),
  u32: fc.nat(0xffffffff),
  u64: fc.maxSafeNat(),
  string: text,
  packed: fc.option(map, { nil: undefined }),
  map: fc.option(map, { nil: undefined }),
  sections: fc.oneof(frame, largeFrame),
  frames,
};

function commandArbitrary(name: NativeCommandName): fc.Arbitrary<NativeCommand> {
  const row = Object.entries<NativeFieldType>(NATIVE_COMMANDS[name].fields);
  const shape = Object.fromEntries(row.map(([key, type]) => [key, values[type]]));
  return fc.record(
    { name: fc.constant(name), ...shape },
    { noNullPrototype: true },
  ) as unknown as fc.Arbitrary<NativeCommand>;
}

const names = Object.keys(NATIVE_COMMANDS) as NativeCommandName[];
const batch = fc.array(fc.oneof(...names.map(commandArbitrary)), { minLength: 1, maxLength: 8 });
const mutations = fc.array(fc.tuple(fc.nat(600), fc.nat(255)), { minLength: 1, maxLength: 4 });

function write(commands: readonly NativeCommand[]): Buffer[] {
  const writer = new BatchWriter();
  for (const command of commands) writer.add(command);
  return writer.take() as Buffer[];
}

function read(octets: readonly Buffer[]): NativeCommand[] {
  const reader = new BatchReader(octets);
  const commands: NativeCommand[] = [];
  for (let next = reader.next(); next !== undefined; next = reader.next()) commands.push(next);
  return commands;
}

/** @returns what `attempt` gives, or undefined where it throws a ProtocolError; nothing else may be thrown */
function orRefusal<T>(attempt: () => T): T | undefined {
  try {
    return attempt();
  } catch (error) {
    expect(error).toBeInstanceOf(ProtocolError);
    return undefined;
  }
}

function mutate(octets: Buffer, changes: readonly (readonly [number, number])[], from = 0): Buffer {
  const changed = Buffer.from(octets);
  for (const [at, octet] of changes) {
    if (changed.length > from) changed[from + (at % (changed.length - from))] = octet;
  }
  return changed;
}

it('reading a batch undoes writing it', () => {
  fc.assert(fc.property(batch, (commands) => expect(read(write(commands))).toEqual(commands)));
});

it('one writer makes many batches, and none disturbs another', () => {
  fc.assert(
    fc.property(fc.array(batch, { maxLength: 5 }), (batches) => {
      const writer = new BatchWriter();
      const written = batches.map((commands) => {
        for (const command of commands) writer.add(command);
        return writer.take() as Buffer[];
      });
      expect(written.map(read)).toEqual(batches);
      expect(writer.take()).toBeUndefined();
    }),
  );
});

it('mutated batches are read or refused', () => {
  fc.assert(
    fc.property(batch, mutations, fc.nat(3), (commands, changes, cut) => {
      const [head, ...own] = write(commands);
      orRefusal(() => read([mutate(head!, changes, 2), ...own.slice(0, own.length - cut)]));
    }),
    { numRuns: 1000 },
  );
});

it('arbitrary octets behind the signature are read or refused', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 200 }),
      fc.array(frame, { maxLength: 3 }),
      (tail, own) => {
        orRefusal(() => read([Buffer.concat([Buffer.from([0xaa, 0xa9]), tail]), ...own]));
      },
    ),
    { numRuns: 2000 },
  );
});

const message = fc.record({ subject: text, content: fc.array(frame, { maxLength: 3 }) });
const messages = fc.array(message, { minLength: 1, maxLength: 20 });

/** What a block holds. */
function walk(bytes: Buffer): { sequence: number; subject: string; content: Buffer[] }[] {
  const reader = new BlockReader(bytes);
  const all: { sequence: number; subject: string; content: Buffer[] }[] = [];
  while (reader.next()) {
    all.push({ sequence: reader.sequence, subject: reader.subject, content: reader.content() });
  }
  return all;
}

it('what a sender writes as sections is accepted, stamped and read back', () => {
  fc.assert(
    fc.property(messages, text, fc.integer({ min: 1, max: 2 ** 40 }), (sent, sender, first) => {
      const writer = new SectionWriter(sender);
      let octets = 0;
      for (const { subject, content } of sent) {
        const [only] = content;
        octets +=
          content.length === 1
            ? writer.append(subject, only!)
            : writer.appendFrames(subject, content);
      }
      expect(writer.count).toBe(sent.length);
      const sections = writer.take() as Buffer;
      expect(sections.length).toBe(octets + 25 + textBytes(sender));
      expect(checkSections(sections, sender)).toBe(sent.length);
      expect(countSections(sections)).toBe(sent.length);
      stampSections(sections, first, 1234);
      const wanted = sent.map((one, at) => ({ sequence: first + at, ...one }));
      expect(walk(sections)).toEqual(wanted);
      expect(writer.take()).toBeUndefined();
    }),
  );
});

it('what a section writer hands over stays as it is, whatever is written later', () => {
  const writer = new SectionWriter('me');
  const sections: Buffer[] = [];
  const body = Buffer.alloc(1000);
  for (let n = 0; n < 2000; n++) {
    writer.append(String(n), body.fill(n));
    if (writer.bytes > 100_000) sections.push(writer.take()!);
  }
  sections.push(writer.take()!);
  const all = sections.flatMap(walk);
  expect(all.map(({ subject }) => Number(subject))).toEqual(
    Array.from({ length: 2000 }, (_, n) => n),
  );
  expect(all.every(({ content }, n) => content[0]!.every((octet) => octet === n % 256))).toBe(true);
});

it('memory of large sections is used again, and only that which was given back', () => {
  const size = fc.oneof(
    fc.integer({ min: 1, max: 2000 }),
    fc.integer({ min: 200_000, max: 900_000 }),
  );
  const step = fc.record({ size, takes: fc.boolean(), givesBack: fc.nat(5) });
  // One history in seven has memory used again; in this one that is certain.
  const reusing = [5, 5, 1, 1, 1].map((givesBack) => ({ size: 500_000, takes: true, givesBack }));
  let reused = 0;
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const writer = new SectionWriter('me');
      const held: { section: Buffer; copy: Buffer }[] = [];
      const givenBack = new Set<ArrayBufferLike>();
      for (const [n, each] of steps.entries()) {
        writer.append('s', Buffer.alloc(each.size, n));
        if (!each.takes) continue;
        const section = writer.take()!;
        if (givenBack.delete(section.buffer)) reused++;
        held.push({ section, copy: Buffer.from(section) });
        if (each.givesBack > held.length) continue;
        for (const { section: done } of held.splice(0, each.givesBack)) {
          writer.reuse(done, held.length === 0);
          givenBack.add(done.buffer);
        }
      }
      for (const { section, copy } of held) expect(section.equals(copy)).toBe(true);
    }),
    { numRuns: 40, examples: [[reusing]] },
  );
  expect(reused).toBeGreaterThan(0);
});

it('mutated sections are accepted or refused; what is accepted can be read and chosen from', () => {
  fc.assert(
    fc.property(messages, mutations, fc.nat(50), (sent, changes, cut) => {
      const writer = new BlockWriter();
      for (const { subject, content } of sent) writer.append(1, 2, 'me', subject, content);
      const whole = mutate(Buffer.concat(writer.take().map(({ bytes }) => bytes)), changes);
      const bytes = whole.subarray(0, whole.length - (cut % whole.length));
      orRefusal(() => countSections(bytes));
      const count = orRefusal(() => checkSections(bytes, 'me'));
      if (count === undefined) return;
      expect(walk(bytes)).toHaveLength(count);
      stampSections(bytes, 1, 1);
      const wanted = { from: 1, max: count, without: undefined };
      const chosen = selectSections(bytes, { ...wanted, matches: () => true });
      expect(walk(chosen.bytes)).toEqual(walk(bytes));
      expect(chosen.next).toBe(count + 1);
    }),
    { numRuns: 2000 },
  );
});
