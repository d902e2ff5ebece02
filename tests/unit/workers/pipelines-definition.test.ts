// A pipeline file as it is read: what is right becomes a pipeline, and everything
// that is wrong is told at once, with line, column and key.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { readPipeline, requirePipeline } from '../../../workers/pipelines/definition.js';
import { checkInputs } from '../../../workers/pipelines/inputs.js';
import { PipelineError, problemLine } from '../../../workers/pipelines/problem.js';
import { FUNCTIONS, REFUSED } from '../../../workers/pipelines/references.js';

/** What is wrong with a pipeline, as lines. */
function problemsOf(text: string): string[] {
  return readPipeline('p.yaml', text).problems.map(problemLine);
}

const STUDIO = `
name: studio
version: 2
inputs:
  photo: file
  voice: {type: string, default: en, description: who speaks}
steps:
  read: {service: ocr, input: "\${{ inputs.photo }}", outputAs: text}
  speak:
    service: speech
    subject: \${{ inputs.voice }}
    input: {text: "\${{ steps.read.output }}", speed: 3}
    outputAs: file
    timeLimit: 10min
    retry: {attempts: 3, delayMs: 100}
  cut:
    service: cut
    after: speak
    forEach: \${{ $split(steps.read.output, " ") }}
    parallel: 4
    when: \${{ inputs.voice = "en" }}
    worker: {needs: {gpu: true, vramMb: {min: 8000}}, prefers: {models: [sam3, sam2]}, settle: 5s}
    input: \${{ item }}
outputs:
  text: \${{ steps.read.output }}
  speech: {value: "\${{ steps.speak.output }}", file: speech.wav}
`;

describe('a right pipeline', () => {
  test('is read with its defaults, each step after those that it waits for', () => {
    const pipeline = requirePipeline('p.yaml', STUDIO);
    expect(pipeline).toMatchObject({ name: 'studio', version: '2' });
    expect([...pipeline.steps.keys()]).toEqual(['read', 'speak', 'cut']);
    expect(pipeline.steps.get('speak')).toMatchObject({
      needs: ['read'],
      after: [],
      outputAs: 'file',
      timeLimitMs: 600_000,
      retry: { attempts: 3, delayMs: 100 },
    });
    expect(pipeline.steps.get('cut')).toMatchObject({
      needs: ['read'],
      after: ['speak'],
      parallel: 4,
    });
    expect(pipeline.steps.get('cut')?.wants).toEqual({
      needs: { gpu: true, vramMb: { min: 8000 } },
      prefers: { models: ['sam3', 'sam2'] },
      settleMs: 5000,
    });
    expect(pipeline.steps.get('read')).toMatchObject({
      wants: {},
      parallel: 10,
      retry: { attempts: 1, delayMs: 0 },
    });
    expect(pipeline.outputs.get('speech')).toMatchObject({ file: 'speech.wav' });
  });

  test('a step that is named in "after" is not needed, though its output is used', () => {
    const pipeline = requirePipeline(
      'p.yaml',
      'name: p\nsteps:\n  b: {service: s, after: [a], input: "${{ steps.a.output }}"}\n  a: {service: s}',
    );
    expect(pipeline.steps.get('b')).toMatchObject({ needs: [], after: ['a'] });
    expect([...pipeline.steps.keys()]).toEqual(['a', 'b']);
  });

  test('files written with JSON and with comments are read as well', () => {
    expect(problemsOf('# hello\n{"name": "p", "steps": {"a": {"service": "s"}}}')).toEqual([]);
  });
});

describe('what is wrong is told at once, and where', () => {
  test('shapes: unknown keys, missing ones, wrong kinds', () => {
    const text = [
      'name: p',
      'stepz: 1',
      'inputs: {a: strin}',
      'steps:',
      '  one: {servise: x}',
      '  two:',
      '    service: 3',
      '    parallel: 0',
      '    retry: {attempts: two, often: 1}',
      '    timeLimit: 30',
      '  three: nothing',
    ].join('\n');
    expect(problemsOf(text)).toEqual([
      'p.yaml:2:1: stepz: there is no such key; there are name, version, description, inputs, steps, outputs',
      'p.yaml:3:10: inputs.a.type: must be one of string, number, boolean, json, file, files',
      'p.yaml:5:3: steps.one.service: is missing',
      'p.yaml:5:9: steps.one.servise: there is no such key; there are service, subject, description, input, inputAs, outputAs, needs, after, when, forEach, parallel, retry, timeLimit, worker',
      'p.yaml:7:14: steps.two.service: must be a text',
      'p.yaml:8:15: steps.two.parallel: must be a whole number from 1 to 1000',
      'p.yaml:9:23: steps.two.retry.attempts: must be a whole number from 1 to 100',
      'p.yaml:9:28: steps.two.retry.often: there is no such key; there are attempts, delayMs',
      'p.yaml:10:16: steps.two.timeLimit: must be a duration as 500ms, 90s, 5min or 2h',
      'p.yaml:11:10: steps.three: must be a map with "service"',
    ]);
  });

  test('what a step wants of its worker', () => {
    const text = [
      'name: p',
      'steps:',
      '  a:',
      '    service: s',
      '    worker:',
      '      need: {gpu: true}',
      '      prefers: {models: {least: 3}, vramMb: {}, gpu: null}',
      '      settle: 5',
      '  b: {service: s, worker: gpu}',
      '  c: {service: s, worker: {needs: [gpu]}}',
      '  d: {service: s, worker: {needs: {model: "${{ inputs.model }}"}}}',
    ].join('\n');
    const kinds =
      'must be a text, a number, true or false, a list of these, or a map of "min" and "max"';
    expect(problemsOf(text)).toEqual([
      'p.yaml:6:7: steps.a.worker.need: there is no such key; there are needs, prefers, settle',
      `p.yaml:7:25: steps.a.worker.prefers.models: ${kinds}`,
      `p.yaml:7:45: steps.a.worker.prefers.vramMb: ${kinds}`,
      `p.yaml:7:54: steps.a.worker.prefers.gpu: ${kinds}`,
      'p.yaml:8:15: steps.a.worker.settle: must be a duration as 500ms, 90s, 5min or 2h',
      'p.yaml:9:27: steps.b.worker: must be a map of "needs", "prefers" and "settle"',
      'p.yaml:10:35: steps.c.worker.needs: must be a map of labels',
      'p.yaml:11:43: steps.d.worker.needs.model: cannot be an expression',
    ]);
    const later = [
      'name: p',
      'steps:',
      '  a: {service: s, worker: {needs: {gpu: true}, settle: 5s}}',
      `  b: {service: s, worker: {needs: {${'x'.repeat(101)}: 1}}}`,
    ].join('\n');
    expect(problemsOf(later)).toEqual([
      'p.yaml:3:56: steps.a.worker.settle: means nothing without "prefers"',
      "p.yaml:4:27: steps.b.worker: needs: a label's name has 1 to 100 characters",
    ]);
  });

  test('names of steps and inputs that do not exist, and steps that wait for themselves', () => {
    const text = [
      'name: p',
      'inputs: {photo: file}',
      'steps:',
      '  a: {service: s, needs: [b, zoo], after: a}',
      '  b:',
      '    service: s',
      '    input: "${{ inputs.foto }} and ${{ steps.c.output }}"',
      '  b-2: {service: s, input: "${{ steps.b.caption }}"}',
      'outputs:',
      '  x: ${{ steps.b }}',
    ].join('\n');
    expect(problemsOf(text)).toEqual([
      'p.yaml:4:26: steps.a.needs: there is no step "zoo"; there are a, b, b-2',
      'p.yaml:4:43: steps.a.after: a step cannot wait for itself',
      'p.yaml:7:24: steps.b.input: there is no input "foto"; there are photo',
      'p.yaml:7:46: steps.b.input: there is no step "c"; there are a, b, b-2',
      'p.yaml:8:3: steps.b-2: a name begins with a letter and has up to 40 letters, digits and _',
      'p.yaml:8:39: steps.b-2.input: write steps.b.output: a step has nothing else',
      'p.yaml:10:16: outputs.x: write steps.b.output: a step has nothing else',
    ]);
  });

  test('cycles are named', () => {
    const text = [
      'name: p',
      'steps:',
      '  a: {service: s, needs: c}',
      '  b: {service: s, input: "${{ steps.a.output }}"}',
      '  c: {service: s, after: [b]}',
      '  d: {service: s, needs: a}',
    ].join('\n');
    expect(problemsOf(text)).toEqual([
      'p.yaml:3:3: steps.a: these steps wait for each other: a → c → b → a',
    ]);
  });

  test('expressions: syntax, wherever in the file they stand', () => {
    const text = [
      'name: p',
      'inputs: {n: number}',
      'steps:',
      '  a:',
      '    service: s',
      '    when: ${{ inputs.n > }}',
      '    input:',
      '      quoted: "say \\"hi\\" ${{ inputs.n + }}"',
      "      single: 'it''s ${{ $uppercas(inputs.n) }}'",
      '      block: |',
      '        first line',
      '        ${{ inputs.n',
      '            * }}',
      '      open: ${{ inputs.n',
      '      list: [1, "${{ foo.bar }}"]',
    ].join('\n');
    expect(problemsOf(text)).toEqual([
      'p.yaml:6:26: steps.a.when: Unexpected end of expression',
      'p.yaml:8:42: steps.a.input.quoted: Unexpected end of expression',
      'p.yaml:9:26: steps.a.input.single: there is no $uppercas',
      'p.yaml:13:15: steps.a.input.block: Unexpected end of expression',
      'p.yaml:14:17: steps.a.input.open: "${{" without "}}"',
      'p.yaml:15:22: steps.a.input.list[1]: there is no "foo"; there are inputs, steps, item, index and run',
    ]);
  });

  test('what a run could not repeat, or a check not see', () => {
    const wrongs = (expression: string): string[] =>
      problemsOf(
        `name: p\ninputs: {n: json}\nsteps:\n  a: {service: s}\n  b:\n    service: s\n    input: |\n      \${{ ${expression} }}`,
      ).map((line) => line.replace(/^.*?input: /, ''));
    expect(wrongs('$random()')).toEqual([
      '$random() cannot be used: it would give something else when the run goes on elsewhere',
    ]);
    expect(wrongs('$eval("1")')).toEqual([
      '$eval() cannot be used: what it would refer to cannot be checked',
    ]);
    expect(wrongs('$lookup(steps, "a")')).toEqual(['name the step: steps.NAME.output']);
    expect(wrongs('$$.*')).toEqual(['this hides which steps are used: name them']);
    expect(wrongs('inputs.n[size > inputs.n]')).toEqual([
      'inputs is a field of what is there; ours is $inputs',
    ]);
    expect(wrongs('inputs.n[size > $inputs.m]')).toEqual(['there is no input "m"; there are n']);
    expect(wrongs('($inputs := 1; $inputs)')).toContain('$inputs has a meaning here already');
    expect(wrongs('item')).toEqual([
      '"item" has a meaning in "input" and "subject" of a step with "forEach"',
    ]);
    expect(wrongs('run.name')).toEqual(['a run has run.id and run.pipeline']);
    expect(wrongs('$match(inputs.n, /(?=a)/)')[0]).toMatch(
      /^this regular expression cannot be used/,
    );
    expect(wrongs('inputs.n.steps & $map(inputs.n, function($v, $i) { $v.inputs & $i })')).toEqual(
      [],
    );
    expect(wrongs('{"a": {"b": "}}"}}')).toEqual([]);
    expect(wrongs('inputs.n ~> $sum()')).toEqual([]);
  });

  test('keys that do not go together', () => {
    const text = [
      'name: p',
      'steps:',
      '  a: {service: s, parallel: 3}',
      '  b: {service: s, forEach: all of them}',
      '  c: {service: "${{ run.id }}", when: sometimes}',
      'outputs: {x: {value: 1, file: ../x}}',
    ].join('\n');
    expect(problemsOf(text)).toEqual([
      'p.yaml:3:19: steps.a.parallel: is for steps with "forEach"',
      'p.yaml:4:28: steps.b.forEach: must be an expression that gives a list, or a list',
      'p.yaml:5:16: steps.c.service: cannot be an expression',
      'p.yaml:5:39: steps.c.when: must be an expression that gives true or false',
      'p.yaml:6:31: outputs.x.file: must be the name of a file, without a folder',
    ]);
  });

  test('YAML that is none, with a hint where an expression is the cause', () => {
    expect(problemsOf('')).toEqual(['p.yaml:1:1: must be a map with "name" and "steps"']);
    const [line] = problemsOf(
      'name: p\nsteps:\n  a:\n    service: s\n    when: ${{ 1 > 2 ? true : false }}',
    );
    expect(line).toMatch(/^p\.yaml:5:\d+: .*put the whole value in quotes/);
    const bomb = [
      'a: &a [x, x, x]',
      'b: &b [*a, *a, *a]',
      'c: &c [*b, *b, *b]',
      'd: &d [*c, *c, *c]',
      'e: [*d, *d, *d]',
    ];
    expect(problemsOf(bomb.join('\n'))[0]).toMatch(/alias/i);
    expect(problemsOf(`name: p # ${'x'.repeat(300_000)}`)[0]).toMatch(/longer than/);
  });

  test('requirePipeline throws all of it', () => {
    const read = (): unknown => requirePipeline('p.yaml', 'name: p\nsteps: {a: {}, b: {}}');
    expect(read).toThrow(PipelineError);
    expect(read).toThrow(/steps\.a\.service: is missing\n.*steps\.b\.service: is missing/);
  });
});

test('the functions of JSONata are all known: usable, or refused with a reason', () => {
  const library = createRequire(import.meta.url).resolve('jsonata');
  const source = readFileSync(library, 'utf8');
  const bound = [...source.matchAll(/staticFrame\.bind\('(\w+)'/g)].map(([, name = '']) => name);
  expect([...FUNCTIONS, ...REFUSED.keys()].sort()).toEqual([...bound, 'now', 'millis'].sort());
});

describe('inputs', () => {
  const text =
    'name: p\ninputs: {a: string, b: number, c: {type: boolean, default: true}, d: json, e: file, f: files}\nsteps: {s: {service: s}}';
  const { inputs } = requirePipeline('p.yaml', text);
  const file = { name: 'x.png', content: Buffer.from('x') };

  test('of the right types are taken, and defaults put in', () => {
    const given = { a: 'x', b: 1.5, d: { any: [1] }, e: file, f: [file] };
    expect(checkInputs(inputs, given)).toEqual({ values: { ...given, c: true }, wrong: [] });
  });

  test('everything that is wrong with them is told at once', () => {
    const given = { a: 1, b: 'x', c: 'yes', e: 'photo.jpg', f: file, constructor: 1 };
    expect(checkInputs(inputs, given).wrong).toEqual([
      'there is no input "constructor"; there are a, b, c, d, e, f',
      'input "a" must be a text, not the number 1',
      'input "b" must be a number, not a text',
      'input "c" must be true or false, not a text',
      'input "d" is missing',
      'input "e" must be a file, not a text',
      'input "f" must be a list of files, not a file',
    ]);
  });

  test('a default of the wrong type is told with its place', () => {
    const wrong =
      'name: p\ninputs:\n  a: {type: number, default: three}\n  b: {type: file, default: x.png}\nsteps: {s: {service: s}}';
    expect(problemsOf(wrong)).toEqual([
      'p.yaml:3:30: inputs.a.default: must be a number, not a text',
      'p.yaml:4:28: inputs.b.default: a file has no default',
    ]);
  });
});

test('the pipelines of the guide are right', () => {
  const page = readFileSync('docs/pipelines.md', 'utf8');
  const blocks = [...page.matchAll(/^```yaml\n([^]*?)^```$/gm)].map(([, text = '']) => text);
  const whole = blocks.filter((text) => text.startsWith('name:'));
  expect(whole.length).toBeGreaterThan(0);
  for (const text of whole) expect(problemsOf(text)).toEqual([]);
  // Parts of a pipeline: steps alone.
  const parts = blocks.filter((text) => !text.startsWith('name:'));
  const inputs = 'inputs: {photo: file, photos: files, speed: number, words: json}';
  for (const text of parts) expect(problemsOf(`name: p\n${inputs}\n${text}`)).toEqual([]);
});
