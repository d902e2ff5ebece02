// Patterns whose plain beginning is compared first, or which are compared as a
// whole, match what the engine alone matches. (No `a`: after a backslash it is zrex's own.)
import fc from 'fast-check';
import { RE2JS } from 're2js';
import { compilePattern, ProtocolError } from '../../protocol/index.js';

const PIECES = [
  '^',
  '$',
  'x',
  'b',
  '\\',
  '|',
  '.',
  '[',
  ']',
  '(',
  ')',
  '?',
  '*',
  '{2}',
  '😀',
  '\\.',
];
const source = fc
  .tuple(fc.constantFrom('', '^', '^x'), fc.array(fc.constantFrom(...PIECES), { maxLength: 8 }))
  .map(([start, pieces]) => start + pieces.join(''));
const subject = fc
  .array(fc.constantFrom('x', 'b', '.', '|', '\\', '$', '^', '😀', '\n'), { maxLength: 6 })
  .map((pieces) => pieces.join(''));
const literal = fc
  .array(fc.constantFrom('a', '/', '.', '|', '\\', '$', '(', '*', '{', '😀'), { maxLength: 6 })
  .map((pieces) => pieces.join(''));

function escaped(text: string): string {
  return text.replace(/[\\^$.[\](){}|*+?]/g, '\\$&');
}

it('match what the engine matches', () => {
  fc.assert(
    fc.property(source, fc.array(subject, { minLength: 1 }), (text, subjects) => {
      let pattern;
      try {
        pattern = compilePattern(text);
      } catch (error) {
        expect(error).toBeInstanceOf(ProtocolError);
        return;
      }
      const engine = RE2JS.compile(text);
      for (const each of subjects) expect(pattern.matches(each)).toBe(engine.test(each));
      if (pattern.exact === undefined) return;
      expect(engine.test(pattern.exact)).toBe(true);
      expect(subjects.filter((each) => each !== pattern.exact && engine.test(each))).toEqual([]);
    }),
    { numRuns: 3000 },
  );
});

it('know the one subject that they match, where they are its text', () => {
  fc.assert(
    fc.property(literal, fc.array(literal), (text, others) => {
      const pattern = compilePattern(`^${escaped(text)}$`);
      expect(pattern.exact).toBe(text);
      for (const other of others) expect(pattern.matches(other)).toBe(other === text);
    }),
  );
});

it.each(['', 'a', '^a', 'a$', '^a.$', '^a|b$', '^[a]$', '^a*$', '^(a)$', '^a\\$', '^a$b'])(
  'may match other subjects as well: %j',
  (text) => {
    expect(compilePattern(text).exact).toBeUndefined();
  },
);
