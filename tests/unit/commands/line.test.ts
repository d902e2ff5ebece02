// One line: its bound, its columns, its colours.
import { Line } from '../../../client/commands/shared/line.js';
import { painted, paintFor, unpainted } from '../../../client/commands/shared/styles.js';

describe('a bound', () => {
  it('cuts the line, and shows that it did', () => {
    const line = new Line(unpainted, { charactersMax: 5 }).add('plain', 'abc').add('plain', 'defg');
    expect([line.toString(), line.isCut, line.length]).toEqual(['abcde…', true, 6]);
    expect(line.add('plain', 'more').toString()).toBe('abcde…');
  });

  it('leaves a line alone that fits exactly', () => {
    const line = new Line(unpainted, { charactersMax: 5 }).add('plain', 'abcde');
    expect([line.toString(), line.isCut]).toEqual(['abcde', false]);
  });
});

it('columns are filled up, and not cut', () => {
  const line = new Line(unpainted).column('plain', 'ab', 4).column('plain', 'abcdef', 4);
  expect(line.toString()).toBe('ab  abcdef');
});

it('escapes look different from the text around them', () => {
  expect(new Line(painted).add('subject', 'a\u001bb').toString()).toBe(
    '\u001b[33ma\u001b[39m\u001b[2m\\x1b\u001b[22m\u001b[33mb\u001b[39m',
  );
});

describe('colours', () => {
  const terminal = { isTTY: true, hasColors: () => true };

  it('are for terminals', () => {
    expect(paintFor(terminal, {})).toBe(painted);
    expect(paintFor({}, {})).toBe(unpainted);
    expect(paintFor({ isTTY: true, hasColors: () => false }, {})).toBe(unpainted);
  });

  it('are left out where NO_COLOR says so', () => {
    expect(paintFor(terminal, { NO_COLOR: '1' })).toBe(unpainted);
    expect(paintFor(terminal, { NO_COLOR: '' })).toBe(painted);
  });
});
