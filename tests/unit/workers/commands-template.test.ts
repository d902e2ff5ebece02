// Templates in arguments: what they become, and everything that a hostile
// request could try to become with them.
import fc from 'fast-check';
import { RequestBody } from '../../../workers/commands/request-body.js';
import { templateValues } from '../../../workers/commands/job-input.js';
import {
  fillAll,
  parseTemplate,
  TemplateError,
  type Template,
} from '../../../workers/commands/template.js';
import { bodyOf, specOf } from './commands-support.js';

const FOLDER = '/tmp/job/files';

type Written = string | readonly string[];

function filled(args: readonly Written[], body?: unknown, subject = ''): string[] {
  const templates = args.map((one): Template | Template[] =>
    typeof one === 'string' ? parseTemplate(one) : one.map(parseTemplate),
  );
  const values = templateValues(subject, new RequestBody(bodyOf(body)), FOLDER, '/here');
  return fillAll(templates, values);
}

function refusal(template: string, body?: unknown): string {
  try {
    return `it became ${JSON.stringify(filled([template], body))}`;
  } catch (error) {
    expect(error).toMatchObject({ code: 'bad-input' });
    return (error as Error).message;
  }
}

describe('a template', () => {
  const body = { title: 'two words', size: { w: 640, big: true }, list: ['a', 'b'] };

  it.each([
    ['plain', 'plain'],
    ['{{subject}}', 'sub'],
    ['{{ body.title }}', 'two words'],
    ['{{body.size.w}}x{{body.size.w}}', '640x640'],
    ['--big={{body.size.big}}', '--big=true'],
    ['{{body.list.1}}', 'b'],
    ['{{folder}}/out.png', `${FOLDER}/out.png`],
    ['{{here}}/model', '/here/model'],
    ['{{body.voice ?? en}}', 'en'],
    ['{{body.voice ?? -1}}', '-1'],
    ['\\{{.Id}}', '{{.Id}}'],
    ['100%', '100%'],
  ])('%s becomes %s', (template, argument) => {
    expect(filled([template], body, 'sub')).toEqual([argument]);
  });

  it('takes fields of JSON as it does those of MessagePack', () => {
    expect(filled(['{{body.a.0}}'], Buffer.from('{"a": ["x"]}'))).toEqual(['x']);
  });

  it('takes the body where that is text', () => {
    expect(filled(['{{body}}'], Buffer.from('héllo'))).toEqual(['héllo']);
    expect(filled(['{{body}}'], 'héllo')).toEqual(['héllo']);
    expect(refusal('{{body}}', Buffer.from([0xff, 0xfe]))).toBe('the body is not text');
  });

  it('takes fields of the first of several frames', () => {
    const frames = [Buffer.from('{"a":1}'), Buffer.from([1, 2])];
    expect(filled(['{{body.a}}'], frames)).toEqual(['1']);
  });

  it('a list is left out as a whole where a value is missing', () => {
    const args = ['run', ['--size', '{{body.w}}x{{body.h}}'], ['--seed', '{{body.seed}}']];
    expect(filled(args, { w: 1, seed: 0 })).toEqual(['run', '--seed', '0']);
    expect(filled(args, { w: 1, h: 2, seed: null })).toEqual(['run', '--size', '1x2']);
    expect(filled([['--subject', '{{subject}}']], {})).toEqual([]);
  });

  it('names what the request lacks', () => {
    expect(refusal('{{body.size.depth}}', body)).toBe('the body has no size.depth');
    expect(refusal('{{body.title}}')).toBe('the body has no title');
    expect(refusal('{{subject}}')).toBe('the subject is empty');
    expect(refusal('{{body.list}}', body)).toContain('body.list must be a text');
    expect(refusal('{{body.constructor}}', body)).toBe('the body has no constructor');
    expect(refusal('{{body.title.length}}', body)).toBe('the body has no title.length');
  });
});

describe('filters', () => {
  it.each([
    ['{{body.x | number}}', -2.5, '-2.5'],
    ['{{body.x | number}}', '1e3', '1e3'],
    ['{{body.x | integer 1 100}}', '100', '100'],
    ['{{body.x | word}}', 'en-GB', 'en-GB'],
    ['{{body.x | oneof png jpg}}', 'jpg', 'jpg'],
    ['{{body.x | text}}', '/r/funny and ../more', '/r/funny and ../more'],
    ['{{body.x | dash}}', '-v', '-v'],
    ['{{body.x | text | dash}}', '-/etc', '-/etc'],
    ['{{body.x | replace % %%}}', '50% of $&', '50%% of $&'],
  ])('%s lets %p pass', (template, x, argument) => {
    expect(filled([template], { x })).toEqual([argument]);
  });

  it.each([
    ['{{body.x | number}}', '5; rm', 'body.x must be a number'],
    ['{{body.x | number}}', NaN, 'body.x must be a number'],
    ['{{body.x | integer}}', 1.5, 'body.x must be a whole number'],
    ['{{body.x | integer 1 100}}', 101, 'body.x must be a whole number from 1 to 100'],
    ['{{body.x | integer 1 100}}', -1, 'body.x must be a whole number from 1 to 100'],
    ['{{body.x | word}}', '-v', 'body.x must be a word'],
    ['{{body.x | word}}', 'a.b', 'body.x must be a word'],
    ['{{body.x | word}}', 'a\n', 'body.x must be a word'],
    ['{{body.x | oneof png jpg}}', 'gif', 'body.x must be one of png, jpg'],
    ['{{body.x | text}}', '-v', 'begins with a dash'],
    ['{{body.x | dash}}', '/etc', 'could be a path outside'],
  ])('%s refuses %p', (template, x, message) => {
    expect(refusal(template, { x })).toContain(message);
  });
});

describe('a hostile value', () => {
  it.each(['--option', '-v', '-', '--', '-rf /'])('%p does not become an option', (x) => {
    expect(refusal('{{body.x}}', { x })).toBe(
      'the value of body.x begins with a dash, as an option does',
    );
    expect(refusal('{{body.empty}}{{body.x}}', { x, empty: '' })).toContain('begins with a dash');
    expect(filled(['title={{body.x | text}}'], { x })).toEqual([`title=${x}`]);
  });

  it.each([
    '../../etc/passwd',
    '..',
    'a/../../b',
    '/etc/passwd',
    '//etc/passwd',
    'file:///etc/passwd',
    'concat:/etc/passwd',
    '@/etc/passwd',
    'a,/etc/passwd',
    "'/etc/passwd'",
    'x /etc/passwd',
    'x\n/etc/passwd',
    '~/.ssh/id_rsa',
    '~root',
    'file:../x',
  ])('%p does not become a path outside of the folder', (x) => {
    expect(refusal('{{body.x}}', { x })).toContain('could be a path outside');
    expect(refusal('{{folder}}/{{body.x}}', { x })).toContain('could be a path outside');
    expect(refusal('out/{{body.x}}', { x })).toContain('could be a path outside');
  });

  it('is not put together from harmless ones', () => {
    expect(refusal('{{body.a}}{{body.b}}', { a: '.', b: './etc' })).toContain('a path outside');
    expect(refusal('x/.{{body.a}}/y', { a: '.' })).toContain('a path outside');
    expect(refusal('x/../{{body.a}}{{body.b}}', { a: '.', b: './y' })).toContain('a path outside');
    expect(filled(['../{{body.a}}'], { a: 'x' })).toEqual(['../x']);
  });

  it.each(['a\0b', '\0'])('%p, with a NUL octet, is refused', (x) => {
    expect(refusal('{{body.x}}', { x })).toBe('the value of body.x holds a NUL octet');
  });

  it('that is longer than an argument can be is refused', () => {
    expect(refusal('{{body.x}}', { x: 'é'.repeat(70_000) })).toContain('longer than an argument');
  });

  it.each([
    '; rm -rf ~',
    '$(reboot)',
    '`reboot`',
    'a\nb\r\nc',
    '*',
    '"quoted" \'twice\'',
    '| tee',
    'x && y',
    '{{body.secret}}',
    'and / or',
    '24/7',
    'wait... what',
  ])('%p stays what it is, in one argument', (x) => {
    expect(filled(['say', '{{body.x}}', 'end'], { x, secret: 's' })).toEqual(['say', x, 'end']);
  });

  it('passes as text only where the author says so', () => {
    const x = '; rm -rf /tmp/x';
    expect(refusal('{{body.x}}', { x })).toContain('could be a path outside');
    expect(filled(['{{body.x | text}}{{body.y}}'], { x, y: 'z' })).toEqual([`${x}z`]);
  });

  it('whatever it is, stays one argument, no option, and inside of the folder', () => {
    const pieces = fc.constantFrom('-', '.', '..', '/', 'etc', ' ', ':', '@', 'x', '~', '=', '\n');
    const value = fc.array(pieces, { maxLength: 8 }).map((some) => some.join(''));
    fc.assert(
      fc.property(value, value, (x, y) => {
        let argument: string;
        try {
          const all = filled(['{{body.x}}{{body.y}}'], { x, y });
          expect(all).toHaveLength(1);
          argument = all[0]!;
        } catch (error) {
          expect(error).toMatchObject({ code: 'bad-input' });
          return;
        }
        expect(argument).not.toMatch(/^-/);
        for (const part of argument.split(/[:@=]/)) {
          expect(part).not.toMatch(/^\/|\s\/[\w.]/);
          expect(part.split('/')).not.toContain('..');
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe('a template that cannot be', () => {
  it.each([
    ['{{body.x', 'has no }}'],
    ['{{}}', 'there is no ""'],
    ['{{bodi.x}}', 'did you mean body?'],
    ['{{subject.x}}', 'there is no "subject.x"'],
    ['{{body..x}}', 'write fields of the body as'],
    ['{{body.x | upper}}', 'there is no filter "upper"'],
    ['{{body.x | integer 5}}', 'write the filter as integer [MIN MAX]'],
    ['{{body.x | integer 5 1}}', 'write the filter as integer [MIN MAX]'],
    ['{{body.x | oneof}}', 'write the filter as oneof WORD WORD…'],
    ['-{{body.x}}', 'the request would choose the option'],
    ['--{{subject}}', 'the request would choose the option'],
    ['/data/{{body.x}}', 'the request would choose a file outside'],
    ['--in=/data/{{body.x}}', 'the request would choose a file outside'],
    ['{{here}}/{{body.x}}', 'the request would choose a file outside'],
    ['{{folder}}/{{body.x | text}}', 'the filter text is not for a part of a path'],
    ['a\0b', 'NUL'],
  ])('%p is refused', (template, message) => {
    expect(() => parseTemplate(template)).toThrow(TemplateError);
    expect(() => parseTemplate(template)).toThrow(message);
  });

  it('where the author vouches for it, it can', () => {
    expect(filled(['--{{body.x | word}}'], { x: 'fast' })).toEqual(['--fast']);
    expect(filled(['/data/{{body.x | word}}.pt'], { x: 'kokoro' })).toEqual(['/data/kokoro.pt']);
  });
});

it('a path of the author is that beside the configuration', () => {
  const { program, args } = specOf('command: [./run, ./model.pt, --in=./x, "{{here}}/y"]');
  expect(program).toBe(`${process.cwd()}/run`);
  expect(args.map((one) => ('source' in one ? one.source : ''))).toEqual([
    `${process.cwd()}/model.pt`,
    '--in=./x',
    '{{here}}/y',
  ]);
});
