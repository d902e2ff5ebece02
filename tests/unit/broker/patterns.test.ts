import { compilePattern, ProtocolError } from '../../../protocol/index.js';

describe('a pattern from a stranger', () => {
  it.each([
    '(.?){1000}'.repeat(20),
    '(a?){500}a{500}',
    '(\\pL|\\pN|\\pS){300}',
    '(abcdefghijklmnopqrstuvwxyz){900}',
    'a{1000}',
    '(a{100}){100}',
    '((\\pL{9}){9}){9}',
    '(x{20,900})'.repeat(20),
  ])('is refused where matching it would keep others waiting: %s', (source) => {
    expect(() => compilePattern(source)).toThrow(ProtocolError);
  });

  it.each([
    ['^[0-9a-f]{64}$', 'c0ffee00'.repeat(8)],
    ['^\\w{1,255}$', 'x'.repeat(255)],
    ['^(a|b|c){3}$', 'cab'],
    ['x{255}', 'x'.repeat(255)],
    [`^${'y'.repeat(250)}$`, 'y'.repeat(250)],
    ['^(?:[a-z]+\\.){2,8}[0-9]{1,6}$', 'temperature.outdoor.42'],
    ['a{1,2', 'a{1,2'],
  ])('is taken where it is sensible: %s', (source, subject) => {
    expect(compilePattern(source).matches(subject)).toBe(true);
  });

  it('says that it repeats too much', () => {
    expect(() => compilePattern('x{999}')).toThrow('"x{999}" repeats too much');
  });
});
