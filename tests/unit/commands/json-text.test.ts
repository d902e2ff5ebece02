// JSON laid out on a line, and written from decoded values.
import fc from 'fast-check';
import {
  addJson,
  compactJson,
  isShallowJson,
  jsonOf,
} from '../../../client/commands/shared/json-text.js';
import { Line } from '../../../client/commands/shared/line.js';
import { unpainted, type Paint } from '../../../client/commands/shared/styles.js';

const asHex = (bytes: Uint8Array): string => `"${Buffer.from(bytes).toString('hex')}"`;

/** A line in which each piece shows its role. */
const roles: Paint = (role, text) => (role === 'plain' ? text : `<${role} ${text}>`);

function layOut(json: string, paint: Paint = unpainted): string {
  const line = new Line(paint);
  addJson(line, json);
  return line.toString();
}

it('is laid out on one line', () => {
  const json = '{\n  "a" : [1,2.5e3 ,-0],\t"b":{"c":null,"d":"x, y: {z}"},"e":[],"f":{}}\n';
  expect(layOut(json)).toBe(
    '{"a": [1, 2.5e3, -0], "b": {"c": null, "d": "x, y: {z}"}, "e": [], "f": {}}',
  );
});

it('keeps numbers and repeated keys as they were sent', () => {
  expect(layOut('{"n":12345678901234567890,"n":1.000}')).toBe(
    '{"n": 12345678901234567890, "n": 1.000}',
  );
});

it('tells keys from texts, numbers and words', () => {
  expect(layOut('{"k":"v","n":-1,"w":true,"l":["s"]}', roles)).toBe(
    '{<key "k">: <string "v">, <key "n">: <number -1>, <key "w">: <literal true>, <key "l">: [<string "s">]}',
  );
});

it('escapes what is not to be shown', () => {
  expect(layOut('["\u202e\u007f"]')).toBe('["\\u{202e}\\x7f"]');
});

it('means the same, whatever the document', () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.nat(3), (value, indent) => {
      const json = JSON.stringify(value, null, indent);
      expect(compactJson(json)).toBe(JSON.stringify(value));
    }),
  );
});

it('tells how deep a text is, whatever the text', () => {
  expect(isShallowJson('[[{"a":"[[[["}]]', 3)).toBe(true);
  expect(isShallowJson('[[{"a":"[[[["}]]', 2)).toBe(false);
  fc.assert(
    fc.property(fc.string(), (text) => {
      expect(typeof isShallowJson(text, 3)).toBe('boolean');
    }),
  );
});

describe('from decoded values', () => {
  it.each<[unknown, string]>([
    [{ a: [1, 'x', null, true] }, '{"a":[1,"x",null,true]}'],
    [9007199254740993n, '9007199254740993'],
    [NaN, '"NaN"'],
    [-Infinity, '"-Infinity"'],
    [new Date(0), '"1970-01-01T00:00:00.000Z"'],
    [new Date(NaN), '"invalid time"'],
    [Uint8Array.of(1, 255), '"01ff"'],
    [{ 'a"b': undefined }, '{"a\\"b":null}'],
  ])('%p', (value, json) => {
    expect(jsonOf(value, asHex)).toBe(json);
  });
});
