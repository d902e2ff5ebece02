// The depth of a MessagePack frame, told without decoding it.
import { encode } from '@msgpack/msgpack';
import fc from 'fast-check';
import { isShallow } from '../../../client/commands/shared/msgpack-depth.js';

/** How deep lists and maps stand in each other. */
function depthOf(value: unknown): number {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return 0;
  return 1 + Math.max(0, ...Object.values(value).map(depthOf));
}

const scalars = fc.oneof(
  fc.integer(),
  fc.double(),
  fc.string({ maxLength: 300 }),
  fc.constantFrom(null, true, 'x'.repeat(70_000)),
  fc.uint8Array({ maxLength: 300 }),
);

/** Values in up to four lists or maps around each other. */
const values = [0, 1, 2, 3].reduce<fc.Arbitrary<unknown>>(
  (inner) =>
    fc.oneof(
      scalars,
      fc.array(inner, { maxLength: 20 }),
      fc.dictionary(
        fc.string({ unit: 'grapheme-ascii' }).map((key) => `k${key}`),
        inner,
        {
          maxKeys: 20,
        },
      ),
    ),
  scalars,
);

it('is found exactly', () => {
  fc.assert(
    fc.property(values, (value) => {
      const frame = Buffer.from(encode(value));
      const depth = depthOf(value);
      expect(isShallow(frame, depth)).toBe(true);
      if (depth > 0) expect(isShallow(frame, depth - 1)).toBe(depthOfEmptyEnds(value) < depth);
    }),
  );
});

/** As `depthOf`, without lists and maps that are empty: there is nothing in them to go down to. */
function depthOfEmptyEnds(value: unknown): number {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return 0;
  const items = Object.values(value);
  return items.length === 0 ? 0 : 1 + Math.max(...items.map(depthOfEmptyEnds));
}

it('is found in whatever bytes, at once', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 2000 }), fc.nat(10), (bytes, depthMax) => {
      expect(typeof isShallow(Buffer.from(bytes), depthMax)).toBe('boolean');
    }),
  );
});
