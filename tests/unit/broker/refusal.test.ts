// Reasons that are longer than the wire takes, or than anybody reads: cut between
// two characters, with a mark where.
import { fitting, shorten } from '../../../broker/refusal.js';
import { textBytes } from '../../../protocol/index.js';

it('a reason goes as it is while it fits the wire', () => {
  for (const reason of ['', 'no room', 'x'.repeat(255), '日'.repeat(85)]) {
    expect(fitting(reason)).toBe(reason);
  }
});

it.each(['x', 'ä', '日', '😀'])('as much of one goes as fits (%s)', (character) => {
  const cut = fitting(`5 attempts failed; the last one: ${character.repeat(300)}`);
  expect(cut).toMatch(new RegExp(`^5 attempts failed; the last one: (${character})+…$`, 'u'));
  expect(textBytes(cut)).toBeLessThanOrEqual(255);
  expect(textBytes(cut) + textBytes(character)).toBeGreaterThan(255);
  expect(Buffer.from(cut).toString()).toBe(cut);
});

it.each(['x', '日', '😀', 'x😀'])(
  'a short reason has 80 letters, and none of them half (%s)',
  (part) => {
    const short = shorten(part.repeat(100));
    expect(short.endsWith(`…`)).toBe(true);
    expect([79, 80]).toContain(short.length);
    expect(Buffer.from(short).toString()).toBe(short);
    expect(textBytes(short)).toBeLessThanOrEqual(255);
  },
);
