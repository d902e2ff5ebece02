import fc from 'fast-check';
import { COMMANDS, decode, encode, ProtocolError, textBytes } from '../../protocol/index.js';
import type { Command, CommandName, FieldType } from '../../protocol/index.js';

const text = fc
  .string({ unit: 'binary', maxLength: 260 })
  .filter((value) => textBytes(value) <= 255);
const values: Record<FieldType, fc.Arbitrary<unknown>> = {
  string: text,
  'number-2': fc.nat(0xffff),
  'number-4': fc.nat(0xffffffff),
};
const frame = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes));

function commandArbitrary(name: CommandName): fc.Arbitrary<Command> {
  const row = COMMANDS[name];
  const fields = Object.entries<FieldType>(row.fields).map(([key, type]) => [key, values[type]]);
  const shape: Record<string, fc.Arbitrary<unknown>> = {
    name: fc.constant(name),
    ...(Object.fromEntries(fields) as Record<string, fc.Arbitrary<unknown>>),
    ...(row.content ? { content: fc.array(frame, { maxLength: 4 }) } : {}),
  };
  return fc.record(shape, { noNullPrototype: true }) as unknown as fc.Arbitrary<Command>;
}

const names = Object.keys(COMMANDS) as CommandName[];
const anyCommand = fc.oneof(...names.map(commandArbitrary));

function readsOrRefuses(frames: Buffer[]): void {
  try {
    decode(frames);
  } catch (error) {
    expect(error).toBeInstanceOf(ProtocolError);
  }
}

it.each(names)('decode undoes encode for %s', (name) => {
  fc.assert(
    fc.property(commandArbitrary(name), (command) => {
      expect(decode(encode(command))).toEqual(command);
    }),
  );
});

it('arbitrary bytes are read or refused, nothing else', () => {
  fc.assert(fc.property(fc.array(frame, { maxLength: 3 }), readsOrRefuses), { numRuns: 2000 });
});

it('mutated commands are read or refused, nothing else', () => {
  const mutation = fc.tuple(fc.nat(400), fc.nat(255), fc.nat(400));
  fc.assert(
    fc.property(anyCommand, mutation, (command, [at, octet, cut]) => {
      const [head, ...content] = encode(command);
      const bytes = Buffer.from(head!.subarray(0, Math.max(0, head!.length - (cut % 8))));
      if (bytes.length > 0) bytes[at % bytes.length] = octet;
      readsOrRefuses([bytes, ...content]);
    }),
    { numRuns: 3000 },
  );
});

it('never reads past the frame: what lies behind it in memory changes nothing', () => {
  fc.assert(
    fc.property(anyCommand, fc.nat(255), fc.nat(300), (command, filler, cut) => {
      const [head] = encode(command);
      const length = cut % (head!.length + 1);
      const results = [0x00, filler].map((behind) => {
        const memory = Buffer.alloc(head!.length + 300, behind);
        head!.copy(memory);
        try {
          return decode([memory.subarray(0, length)]);
        } catch (error) {
          return (error as Error).message;
        }
      });
      expect(results[0]).toEqual(results[1]);
    }),
  );
});
