// Texts that are too long for the wire: as much of them as fits, and never half a
// character.
import fc from 'fast-check';
import { fittingText, textBytes } from '../../../protocol/index.js';

it('a text that fits is left as it is', () => {
  for (const text of ['', 'short', 'x'.repeat(255), 'ä'.repeat(127), '😀'.repeat(63)]) {
    expect(fittingText(text)).toBe(text);
  }
});

it.each([
  ['x', 255],
  ['ä', 127],
  ['日', 85],
  ['😀', 63],
])('of many %s, %i fit', (character, count) => {
  expect(fittingText(character.repeat(300))).toBe(character.repeat(count));
  expect(fittingText(`x${character.repeat(300)}`)).toBe(
    `x${character.repeat(Math.floor(254 / textBytes(character)))}`,
  );
});

it('what is left is a beginning, fits, is UTF-8 again, and has no room for the next character', () => {
  const text = fc.string({ unit: 'binary', minLength: 0, maxLength: 60 });
  fc.assert(
    fc.property(text, fc.integer({ min: 0, max: 100 }), (whole, bytesMax) => {
      const left = fittingText(whole, bytesMax);
      expect(whole.startsWith(left)).toBe(true);
      expect(textBytes(left)).toBeLessThanOrEqual(bytesMax);
      expect(Buffer.from(left).toString()).toBe(left);
      const [next] = whole.slice(left.length);
      if (next !== undefined) expect(textBytes(left + next)).toBeGreaterThan(bytesMax);
    }),
  );
});
