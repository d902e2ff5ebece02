// What a body is taken for, from its bytes alone.
import { encode } from '@msgpack/msgpack';
import { viewOf } from '../../../client/commands/shared/body.js';

const packed = (value: unknown): Buffer => Buffer.from(encode(value, { useBigInt64: true }));
const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex');

describe('text', () => {
  it.each([
    'hello',
    'a line\n',
    '1',
    'true',
    '"quoted"',
    'naïve',
    'قط',
    'ābc',
    '日本',
    '',
    '{not json',
    '[1,',
  ])('%j', (text) => {
    expect(viewOf(Buffer.from(text))).toEqual({ kind: 'text', text });
  });

  it('with some escape sequences in it', () => {
    const text = 'a log line with \u001b[31mcolour\u001b[0m';
    expect(viewOf(Buffer.from(text))).toEqual({ kind: 'text', text });
  });
});

describe('JSON', () => {
  it.each(['{"a":1}', ' [1, 2]\n', '{}', '[]', '{"a": "\\u001b"}'])('%j', (text) => {
    expect(viewOf(Buffer.from(text))).toEqual({ kind: 'json', text });
  });

  it('nested beyond all reason is left a text', () => {
    const text = '['.repeat(200_000) + ']'.repeat(200_000);
    expect(viewOf(Buffer.from(text)).kind).toBe('text');
  });
});

describe('MessagePack', () => {
  it.each([
    ['a map', { celsius: 4.5 }],
    ['a list', [1, 'two', null]],
    ['a short string', 'hello'],
    ['a string whose header looks like a letter', 'x'.repeat(150)],
    ['a longer one', 'x'.repeat(40_000)],
    ['nil', null],
    ['true', true],
    ['a negative number', -1],
    ['a fraction', 0.1],
    ['a small number that is no text', 7],
    ['a number beyond doubles', 9007199254740993n],
  ])('%s', (_what, value) => {
    expect(viewOf(packed(value))).toEqual({ kind: 'msgpack', value });
  });

  it('with bytes in it', () => {
    const view = viewOf(packed({ picture: Buffer.from([1, 2]) }));
    expect(view).toMatchObject({ kind: 'msgpack', value: { picture: Uint8Array.of(1, 2) } });
  });
});

describe('bytes', () => {
  it.each([
    ['the beginning of a picture', '89 50 4e 47 0d 0a 1a 0a'],
    ['a value with something after it', '93 01 02 03 04'],
    ['a value that is cut off', '93 01 02'],
    ['a list that claims four billion items', 'dd ff ff ff ff 01'],
    ['octets that MessagePack never uses', 'c1 c1'],
    ['mostly control characters', '01 02 03 41'],
  ])('%s', (_what, octets) => {
    expect(viewOf(hex(octets))).toEqual({ kind: 'binary' });
  });

  it('nested beyond all reason are not decoded', () => {
    const lists = Buffer.concat([Buffer.alloc(1_000_000, 0x91), Buffer.from([0x01])]);
    expect(viewOf(lists)).toEqual({ kind: 'binary' });
  });
});
