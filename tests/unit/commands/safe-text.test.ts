// Strangers' text on a terminal: what is escaped, how, and what is left alone.
import { countControls, safeJson, safeText } from '../../../client/commands/shared/safe-text.js';

describe('safeText', () => {
  it.each([
    ['colours and cursor movements', '\u001b[31mred\u001b[2J', '\\x1b[31mred\\x1b[2J'],
    ['a terminal title', '\u001b]0;owned\u0007', '\\x1b]0;owned\\x07'],
    ['the eight-bit control sequence introducer', '\u009b31m', '\\x9b31m'],
    ['ends of lines and tabs', 'a\r\nb\tc', 'a\\r\\nb\\tc'],
    ['NUL, backspace and DEL', '\0\b\u007f', '\\x00\\x08\\x7f'],
    ['reordering of text', 'abc\u202etxt.exe', 'abc\\u{202e}txt.exe'],
    ['isolates and marks', '\u2066a\u2069\u200f', '\\u{2066}a\\u{2069}\\u{200f}'],
    ['line and paragraph separators', 'a\u2028b\u2029', 'a\\u{2028}b\\u{2029}'],
    ['invisible tags', '\u{e0041}', '\\u{e0041}'],
    ['a byte order mark', '\ufeffx', '\\u{feff}x'],
    ['a lone surrogate', 'a\ud800b', 'a\\u{d800}b'],
  ])('escapes %s', (_what, text, expected) => {
    expect(safeText(text)).toBe(expected);
  });

  it.each(['plain text', 'Привет, мир', '日本語', '👩‍👩‍👧', 'a\\nb', 'می‌خواهم', ''])(
    'leaves %j as it is',
    (text) => {
      expect(safeText(text)).toBe(text);
    },
  );

  it('keeps what it is told to keep', () => {
    expect(safeText('a\n\tb\u001b', '\n\t')).toBe('a\n\tb\\x1b');
  });
});

describe('safeJson', () => {
  it.each([['\u007f\u009b31m'], ['\u202eabc'], ['\u{e0041}'], ['plain'], ['\ufeff']])(
    'writes %j harmlessly, and the same value',
    (value) => {
      const safe = safeJson(JSON.stringify(value));
      expect(safe).toBe(safeText(safe));
      expect(JSON.parse(safe)).toBe(value);
    },
  );

  it('leaves ends of lines between the parts', () => {
    expect(safeJson(JSON.stringify({ a: 'x\n' }, null, 2))).toBe('{\n  "a": "x\\n"\n}');
  });
});

it('counts control characters, but not ends of lines and tabs', () => {
  expect(countControls('a\u001b\0b\u007f\r\n\t')).toBe(3);
  expect(countControls('text\n')).toBe(0);
});
