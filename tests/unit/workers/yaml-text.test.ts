// YAML with the places of its parts: keys, values, what is not there, what an anchor
// stands for, and characters within a text.
import { dotted } from '../../../workers/yaml/place.js';
import { YamlText } from '../../../workers/yaml/yaml-text.js';

const TEXT = `first:
  list: [a, {b: 1}]
  empty:
shared: &shared
  deep: 2
again: *shared
folded: >-
  one two
  three
quoted: "a\\tb c"
`;
const yaml = new YamlText(TEXT);

it('has a value', () => {
  expect(yaml.faults).toEqual([]);
  expect(yaml.value).toMatchObject({
    first: { list: ['a', { b: 1 }], empty: null },
    again: { deep: 2 },
    folded: 'one two three',
  });
});

it.each([
  [['first', 'list'], 'value', 2, 9],
  [['first', 'list'], 'key', 2, 3],
  [['first', 'list', 1, 'b'], 'value', 2, 17],
  [['first', 'list', 1, 'b'], 'key', 2, 14],
  [['again', 'deep'], 'value', 5, 9],
  [['again', 'deep'], 'key', 5, 3],
] as const)('knows where %j stands, its %s', (path, at, line, column) => {
  expect(yaml.placeOf(path, at, 'key')).toEqual({ line, column });
});

it.each([
  [['first', 'none'], 'key', 1, 1],
  [['first', 'none'], 'value', 2, 3],
  [['first', 'list', 7, 'deeper'], 'key', 2, 3],
  [['first', 'list', 7, 'deeper'], 'value', 2, 9],
  [['nothing'], 'key', 1, 1],
] as const)('knows what %j would stand in, by its %s', (path, otherwise, line, column) => {
  expect(yaml.placeOf(path, 'value', otherwise)).toEqual({ line, column });
});

it('finds characters of a text, however that is written', () => {
  expect(yaml.placeInText(['folded'], 'one two '.length)).toEqual({ line: 9, column: 3 });
  expect(yaml.placeInText(['quoted'], 'a\tb '.length)).toMatchObject({ line: 10 });
  expect(yaml.placeInText(['first'], 0)).toBeUndefined();
});

it('tells what is no YAML, and where', () => {
  const broken = new YamlText('a: [1\nb: 2');
  expect(broken.value).toBeUndefined();
  expect(broken.faults[0]?.place?.line).toBe(2);
  expect(new YamlText('').placeOf(['a'], 'value', 'key')).toBeUndefined();
});

it('does not grow without end', () => {
  const lines = ['a0: &a0 [x, x, x, x, x, x, x, x, x]'];
  for (let n = 1; n < 9; n++) {
    lines.push(
      `a${n}: &a${n} [${Array(9)
        .fill(`*a${n - 1}`)
        .join(', ')}]`,
    );
  }
  const { value, faults } = new YamlText(lines.join('\n'));
  expect([value, faults.length, faults[0]?.place]).toEqual([undefined, 1, undefined]);
});

it('a path has a name', () => {
  expect(dotted(['services', 'ocr', 'command', 2, 'x'])).toBe('services.ocr.command[2].x');
});
