// Who wants a subject, against the plain answer: match every pattern of everybody.
import fc from 'fast-check';
import { Interests, type Interest } from '../../../broker/streams/interests.js';
import { range } from '../../support/sessions.js';

const PATTERNS = ['', 'a', '^a', '^a$', '^b$', 'b$', '^ab$', '^a\\.b$', '[ab]'];
const SUBJECTS = ['', 'a', 'b', 'ab', 'a.b', 'c'];
const READERS = ['r1', 'r2', 'r3', 'r4'];

const step = fc.oneof(
  fc.record({ add: fc.constantFrom(...PATTERNS), reader: fc.constantFrom(...READERS) }),
  fc.record({ remove: fc.constantFrom(...PATTERNS), reader: fc.constantFrom(...READERS) }),
  fc.record({ ask: fc.constantFrom(...SUBJECTS) }),
);

it('is who asked for a pattern that matches, whoever came and went', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60, size: 'max' }), (steps) => {
      const interests = new Interests<string>();
      const held = new Map<string, Interest<string>>();
      for (const one of steps) {
        if ('add' in one) {
          const interest = interests.add(one.add, one.reader);
          held.set(`${one.reader} ${one.add}`, interest as Interest<string>);
        } else if ('remove' in one) {
          const key = `${one.reader} ${one.remove}`;
          const interest = held.get(key);
          if (interest !== undefined) interests.remove(interest, one.reader);
          held.delete(key);
        } else {
          const expected = [...held.keys()]
            .map((key) => key.split(' '))
            .filter(([, pattern]) => new RegExp(pattern!).test(one.ask))
            .map(([reader]) => reader!);
          const readers = interests.readersFor(one.ask);
          expect([...readers].sort()).toEqual([...new Set(expected)].sort());
        }
      }
    }),
    { numRuns: 500 },
  );
});

describe('a subject is matched', () => {
  /** Interests in patterns that count how often they are matched. */
  function counted(interests: Interests<string>, source: string, reader: string) {
    const interest = interests.add(source, reader) as Interest<string>;
    const { pattern } = interest;
    const matches = pattern.matches.bind(pattern);
    const count = { matches: 0, interest };
    Object.assign(pattern, {
      matches: (subject: string) => {
        count.matches++;
        return matches(subject);
      },
    });
    return count;
  }

  it('once with each pattern, however many read it, come and go', () => {
    const interests = new Interests<string>();
    const some = counted(interests, 'a', 'first');
    for (const n of range(1, 50)) {
      interests.add('a', `r${n}`);
      expect(interests.readersFor('abc')).toHaveLength(n + 1);
    }
    for (const n of range(1, 50)) {
      interests.remove(some.interest, `r${n}`);
      expect(interests.readersFor('abc')).toHaveLength(51 - n);
    }
    interests.add('b', 'other');
    expect(interests.readersFor('abc')).toEqual(['first', 'other']);
    expect(some.matches).toBe(1);
  });

  it('not at all with patterns that match one other subject only', () => {
    const interests = new Interests<string>();
    const counts = range(1, 100).map((n) => counted(interests, `^s/${n}$`, `r${n}`));
    for (const n of range(1, 200)) {
      expect(interests.readersFor(`s/${n}`)).toEqual(n <= 100 ? [`r${n}`] : []);
    }
    expect(counts.every(({ matches }) => matches === 0)).toBe(true);
  });

  it('by as much as it takes, however many subjects there are', () => {
    const interests = new Interests<string>();
    interests.add('7$', 'r');
    for (const n of range(1, 25_000)) {
      expect(interests.readersFor(`s/${n}`)).toHaveLength(n % 10 === 7 ? 1 : 0);
    }
  });
});

it('a pattern that is none is refused, and leaves nothing behind', () => {
  const interests = new Interests<string>();
  expect(interests.add('(', 'r')).toMatchObject({ statusCode: 300 });
  expect(interests.readersFor('(')).toEqual([]);
});
