// How messages look, whatever a stranger puts in them.
import { encode } from '@msgpack/msgpack';
import fc from 'fast-check';
import { MessageView, readable, type Form } from '../../../client/commands/shared/message-view.js';
import { safeText } from '../../../client/commands/shared/safe-text.js';
import { painted, unpainted } from '../../../client/commands/shared/styles.js';
import { Message } from '../../../client/message.js';

const TIME = new Date(2026, 4, 6, 7, 8, 9, 42);
const pipe = { paint: unpainted, isTerminal: false };
const terminal = { paint: painted, isTerminal: true };

function message(content: Buffer[], subject = 'temp.moscow', sender = 'sensor'): Message {
  return new Message(subject, sender, content);
}

function show(form: Form, content: Buffer[], screen = pipe): string {
  const shown = new MessageView(form, screen, { stream: 'weather' }).show(message(content), TIME);
  return String(shown);
}

const ESCAPE = String.fromCharCode(0x1b);
const COLOURS = new RegExp(`${ESCAPE}\\[(?:1|2|3[2-6]|22|39)m`, 'g');

/** Without the colours that we give ourselves. */
function withoutColours(text: string): string {
  return text.replace(COLOURS, '');
}

describe('a line', () => {
  it.each([
    ['text', [Buffer.from('mild\n')], 'mild\\n'],
    ['JSON', [Buffer.from('{"c":4}')], '{"c": 4}'],
    [
      'MessagePack',
      [Buffer.from(encode({ c: 4, raw: Buffer.from([0, 255]) }))],
      '{"c": 4, "raw": "(2 bytes) 00 ff"}',
    ],
    ['bytes', [Buffer.from([0x89, 0x50])], '(2 bytes) 89 50'],
    ['one byte', [Buffer.from([0xc1])], '(1 byte) c1'],
    ['many bytes', [Buffer.alloc(2000, 0xff)], `(2,000 bytes) ${'ff '.repeat(24)}…`],
    [
      'several frames',
      [Buffer.from('a'), Buffer.alloc(0), Buffer.from('[1]')],
      '(3 frames) a | (empty) | [1]',
    ],
    ['no frame', [], '(no body)'],
    ['an empty frame', [Buffer.alloc(0)], '(empty)'],
  ])('shows %s', (_what, content, body) => {
    expect(show('line', content)).toBe(`07:08:09.042  sensor  temp.moscow  ${body}\n`);
  });

  it('shows that there is no sender or no subject', () => {
    const view = new MessageView('line', pipe, {});
    expect(view.show(message([Buffer.from('x')], '', ''), TIME)).toBe('07:08:09.042  -  -  x\n');
  });

  it('is cut on a terminal, and not elsewhere', () => {
    const long = [Buffer.alloc(100_000, 'x')];
    expect(withoutColours(show('line', long, terminal))).toMatch(/x… \(98 KiB\)\n$/);
    expect(show('line', long).length).toBeGreaterThan(100_000);
  });

  it('is aligned on a terminal', () => {
    const view = new MessageView('line', { ...terminal, paint: unpainted }, {});
    view.show(message([], 'a.long.subject', 'a-long-sender'), TIME);
    expect(view.show(message([], 's', 'x'), TIME)).toBe(
      '07:08:09.042  x              s               (no body)\n',
    );
  });
});

describe('JSON', () => {
  const parse = (content: Buffer[]): unknown => JSON.parse(show('json', content));
  const head = {
    time: TIME.toISOString(),
    stream: 'weather',
    sender: 'sensor',
    subject: 'temp.moscow',
  };

  it.each<[string, Buffer[], object]>([
    ['text', [Buffer.from('mild')], { encoding: 'text', body: 'mild' }],
    ['JSON', [Buffer.from('{ "c": 4 }')], { encoding: 'json', body: { c: 4 } }],
    ['MessagePack', [Buffer.from(encode(['é', null]))], { encoding: 'msgpack', body: ['é', null] }],
    [
      'bytes in MessagePack',
      [Buffer.from(encode({ raw: Buffer.from([0, 255]) }))],
      { encoding: 'msgpack', body: { raw: { base64: 'AP8=' } } },
    ],
    ['bytes', [Buffer.from([0xff, 0xfe])], { encoding: 'base64', body: '//4=' }],
    ['no frame', [], { encoding: 'none', body: null }],
    [
      'several frames',
      [Buffer.from('a'), Buffer.from([0xc1])],
      {
        encoding: 'frames',
        body: [
          { encoding: 'text', body: 'a' },
          { encoding: 'base64', body: 'wQ==' },
        ],
      },
    ],
  ])('has %s', (_what, content, fields) => {
    expect(parse(content)).toEqual({ ...head, ...fields });
  });

  it('has numbers of any size as they were sent', () => {
    expect(show('json', [Buffer.from('{"n": 12345678901234567890}')])).toContain(
      '"body":{"n":12345678901234567890}',
    );
    expect(show('json', [Buffer.from(encode(2n ** 63n, { useBigInt64: true }))])).toContain(
      '"body":9223372036854775808',
    );
  });
});

describe('raw', () => {
  const raw = (content: Buffer[]): string | Buffer =>
    new MessageView('raw', pipe, {}).show(message(content), TIME);

  it('is byte for byte', () => {
    const bytes = Buffer.from([0, 1, 0xff, 10]);
    expect(raw([bytes])).toEqual(bytes);
    expect(raw([Buffer.from([0xff]), bytes])).toEqual(Buffer.from([0xff, 0, 1, 0xff, 10]));
  });

  it('ends the lines of texts', () => {
    expect(raw([Buffer.from('a')])).toEqual(Buffer.from('a\n'));
    expect(raw([Buffer.from('a\n')])).toEqual(Buffer.from('a\n'));
    expect(raw([Buffer.from('{}')])).toEqual(Buffer.from('{}\n'));
  });

  it('is harmless on a terminal', () => {
    expect(show('raw', [Buffer.from('a\n\u001b[2Jb')], { ...terminal, paint: unpainted })).toBe(
      'a\n\\x1b[2Jb\n',
    );
    expect(show('raw', [Buffer.from([0xff, 0x1b])], { ...terminal, paint: unpainted })).toBe(
      '(2 bytes) ff 1b\n',
    );
  });
});

describe('whatever strangers send', () => {
  const bodies = fc.array(
    fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc.string({ unit: 'binary' }).map((text) => Buffer.from(text)),
      fc.jsonValue().map((value) => Buffer.from(JSON.stringify(value))),
      fc.jsonValue().map((value) => encode(value)),
    ),
    { maxLength: 4 },
  );
  const messages = fc
    .tuple(bodies, fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }))
    .map(([frames, subject, sender]) =>
      message(
        frames.map((frame) => Buffer.from(frame)),
        subject,
        sender,
      ),
    );

  it('a line stays one line, without control characters but our colours', () => {
    fc.assert(
      fc.property(messages, (received) => {
        const line = new MessageView('line', terminal, {}).show(received, TIME) as string;
        const text = withoutColours(line.slice(0, -1));
        expect(text).toBe(safeText(text));
        expect(line.endsWith('\n')).toBe(true);
      }),
    );
  });

  it('JSON stays one harmless line that can be parsed', () => {
    fc.assert(
      fc.property(messages, (received) => {
        const line = new MessageView('json', pipe, {}).show(received, TIME) as string;
        const text = line.slice(0, -1);
        expect(text).toBe(safeText(text));
        const parsed = JSON.parse(text) as Record<string, unknown>;
        expect(parsed['sender']).toBe(received.sender);
        expect(parsed['subject']).toBe(received.subject);
      }),
    );
  });

  it('a reply has no control characters but ends of lines and tabs', () => {
    fc.assert(
      fc.property(messages, ({ content }) => {
        const text = readable(content, unpainted);
        expect(text).toBe(safeText(text, '\n\t'));
      }),
    );
  });
});
