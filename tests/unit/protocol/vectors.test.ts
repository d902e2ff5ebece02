import { compilePattern, decode, encode, ProtocolError } from '../../../protocol/index.js';
import { commandOf, frameVectors, fromHex, patternVectors } from '../../support/vectors.js';

describe('frames that the C codec wrote', () => {
  it.each(frameVectors.map((vector, index) => [`${index} ${vector.message}`, vector] as const))(
    '%s is read and written alike',
    (_, { message, fields, frames }) => {
      const command = commandOf(message, fields);
      expect(decode(fromHex(frames))).toEqual(command);
      expect(encode(command).map((frame) => frame.toString('hex'))).toEqual(frames);
    },
  );

  it('has a vector for every command', () => {
    expect(new Set(frameVectors.map((vector) => vector.message)).size).toBe(18);
  });
});

describe('subject patterns', () => {
  const { subjects, patterns } = patternVectors;
  const defined = patterns.filter((row) => Array.isArray(row.expected));
  const undefinedOnes = patterns.filter((row) => !Array.isArray(row.expected));

  it.each(defined.map((row) => [row.pattern, row.expected] as const))(
    '%s matches what was recorded',
    (source, expected) => {
      const pattern = compilePattern(source);
      expect(subjects.filter((subject) => pattern.matches(subject))).toEqual(expected);
    },
  );

  it.each(undefinedOnes.map((row) => [row.pattern]))(
    '%s is refused or matches, at once',
    (source) => {
      try {
        const pattern = compilePattern(source);
        for (const subject of subjects) expect(typeof pattern.matches(subject)).toBe('boolean');
      } catch (error) {
        expect(error).toBeInstanceOf(ProtocolError);
        expect(error).toMatchObject({ fault: 'pattern' });
      }
    },
  );

  it('understands \\a and \\A inside brackets', () => {
    expect(compilePattern('^[\\a.]+$').matches('abc.d')).toBe(true);
    expect(compilePattern('^[\\a.]+$').matches('abc1')).toBe(false);
    expect(compilePattern('^[\\A]+$').matches('12.3')).toBe(true);
    expect(compilePattern('^[\\A]+$').matches('12a')).toBe(false);
    expect(compilePattern('^[]a]+$').matches('a]a')).toBe(true);
  });

  it.each([
    ['^temp\\.m', ['temp.m', 'temp.moscow'], ['tempXm', 'xtemp.m', '']],
    ['^ab?c', ['abc', 'ac'], ['bc', 'ab']],
    ['^ab*', ['a', 'abb'], ['b']],
    ['^a{2}b', ['aab'], ['ab', 'b']],
    ['^ab+$', ['ab', 'abb'], ['a', 'abc']],
    ['^(a|b)c', ['ac', 'bc'], ['c']],
    ['^a|b', ['a', 'xb'], ['x']],
    ['^\\$x', ['$x'], ['x', '$y']],
    ['^hé', ['hé!'], ['he']],
  ])('%s matches as its regular expression does, whatever it begins with', (source, yes, no) => {
    const pattern = compilePattern(source);
    for (const subject of yes) expect([subject, pattern.matches(subject)]).toEqual([subject, true]);
    for (const subject of no) expect([subject, pattern.matches(subject)]).toEqual([subject, false]);
  });

  it('takes linear time on a pattern that ruins backtracking engines', () => {
    const pattern = compilePattern('^(a+)+$');
    expect(pattern.matches(`${'a'.repeat(250)}b`)).toBe(false);
  });
});
