// What `mlm run` makes of its arguments and of what a run gives, and the diagram,
// without a broker.
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readInputs } from '../../../workers/cli/pipeline-inputs.js';
import { resultLines, resultsOf, writeResults } from '../../../workers/cli/pipeline-results.js';
import { requirePipeline, type Pipeline } from '../../../workers/pipelines/definition.js';
import { drawPipeline } from '../../../workers/pipelines/draw.js';
import type { RunEvent } from '../../../workers/pipelines/events.js';
import { FILES_STREAM, FileValue } from '../../../workers/pipelines/file-value.js';
import { isRunId, jobIdOf, jobOfId, runIdOf } from '../../../workers/pipelines/job-id.js';
import { progressOf, readProgressNote } from '../../../workers/pipelines/progress.js';
import { RunState } from '../../../workers/pipelines/state.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'mlm-pipelines-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const pipelineOf = (more: string): Pipeline =>
  requirePipeline('p.yaml', `name: p\nsteps: {s: {service: s}}\n${more}`);

describe('inputs from a command line', () => {
  const { inputs } = pipelineOf(
    'inputs: {photo: file, text: string, n: {type: number, default: 1}, on: {type: boolean, default: false}, j: {type: json, default: null}, more: files}',
  );
  const fileAt = (name: string, content: string): string => {
    const path = join(folder, name);
    writeFileSync(path, content);
    return path;
  };

  test('by name, from files, and in their order', async () => {
    const photo = fileAt('photo.jpg', 'octets');
    const note = fileAt('note.txt', 'from a file');
    const json = fileAt('j.json', '{"a": [1]}');
    const named = [`text=@${note}`, 'n=2.5', 'on=true', `j=@${json}`];
    const read = await readInputs(inputs, named, [photo, photo, note]);
    expect(read).toEqual({
      photo: { name: 'photo.jpg', content: Buffer.from('octets') },
      text: 'from a file',
      n: 2.5,
      on: true,
      j: { a: [1] },
      more: [
        { name: 'photo.jpg', content: Buffer.from('octets') },
        { name: 'note.txt', content: Buffer.from('from a file') },
      ],
    });
  });

  test('a value may hold = and, doubled, begin with @', async () => {
    const photo = fileAt('p', '');
    const named = [`photo=@${photo}`, 'text=@@a=b', `more=@${photo}`, `more=@${photo}`];
    const read = await readInputs(inputs, named, []);
    expect(read).toMatchObject({ text: '@a=b', n: 1, on: false });
    expect(read['more']).toHaveLength(2);
  });

  test('all that is wrong is told at once', async () => {
    const named = ['photo=photo.jpg', 'text=@/no/such/file', 'n=two', 'on=yes', 'j={', 'x=1', 'y'];
    const reading = readInputs(inputs, named, []);
    await expect(reading).rejects.toMatchObject({ status: 2 });
    const told = await reading.catch((error: unknown) => (error as Error).message.split('; '));
    expect(told).toEqual([
      '-i takes name=value or name=@file, not "y"',
      'input "photo": it is a file: write photo=@PATH',
      expect.stringMatching(/^input "text": cannot read \/no\/such\/file: ENOENT/),
      'input "n": it is a number, not "two"',
      'input "on": it is true or false, not "yes"',
      expect.stringMatching(/^input "j": it is JSON: /),
      'there is no input "x"',
      'there are photo, text, n, on, j, more',
      'input "more" is missing',
    ]);
  });

  test('values that no input is left for, and inputs given twice', async () => {
    const { inputs: one } = pipelineOf('inputs: {text: string}');
    await expect(readInputs(one, [], ['a', 'b'])).rejects.toThrow('there is no input left for "b"');
    await expect(readInputs(one, ['text=a', 'text=b'], [])).rejects.toThrow('was given twice');
  });
});

describe('results', () => {
  const fileOf = (name: string, sequence: number): FileValue =>
    new FileValue(name, 3, { stream: FILES_STREAM, sequence, frame: 0 });
  const fetch = (file: FileValue): Promise<Buffer> =>
    Promise.resolve(Buffer.from(`octets ${FileValue.at(file).sequence}`));

  test('are written to files: by the name that the pipeline gives, or their own', async () => {
    const pipeline = pipelineOf(
      'outputs: {speech: {value: x, file: speech.wav}, clips: x, t: x, d: x}',
    );
    const made = join(folder, 'made', 'here');
    const outputs = {
      speech: fileOf('', 1),
      clips: [fileOf('clip.mp4', 2), fileOf('clip.mp4', 3)],
      t: 'a text',
      d: { inner: fileOf('in.png', 4), n: 5 },
    };
    const results = await writeResults(made, pipeline, outputs, fetch);
    const names = ['clip-2.mp4', 'clip.mp4', 'd.json', 'in.png', 'speech.wav', 't.txt'];
    expect(readdirSync(made).sort()).toEqual(names);
    expect(readFileSync(join(made, 'clip-2.mp4'), 'utf8')).toBe('octets 3');
    expect(JSON.parse(readFileSync(join(made, 'd.json'), 'utf8'))).toMatchObject({
      inner: { path: join(made, 'in.png') },
      n: 5,
    });
    expect(resultLines(results)).toContain(
      `clips: ${join(made, 'clip.mp4')}, ${join(made, 'clip-2.mp4')}`,
    );
  });

  test('no name of a file leads out of the folder', async () => {
    const names = [
      '../../out.txt',
      '/etc/passwd',
      '..',
      '.hidden',
      'a\\..\\b.txt',
      'x\u001b[31m.txt',
    ];
    const outputs = { files: names.map((name, at) => fileOf(name, at)) };
    const made = join(folder, 'made');
    await writeResults(made, pipelineOf('outputs: {files: x}'), outputs, fetch);
    expect(readdirSync(folder)).toEqual(['made']);
    expect(existsSync(join(folder, '..', 'out.txt'))).toBe(false);
    expect(readdirSync(made).sort()).toEqual(
      ['b.txt', 'file', 'hidden', 'out.txt', 'passwd', 'x_[31m.txt'].sort(),
    );
  });

  test('are shown in lines that are harmless', () => {
    const results = resultsOf({ file: fileOf('a\u001b.txt', 1), text: 'two\nlines\u001b', n: [1] });
    expect(resultLines(results)).toEqual([
      'file: a\\x1b.txt (3 B; --out writes it)',
      'text: two\nlines\\x1b',
      'n: [1]',
    ]);
  });
});

test('ids of runs and of their jobs', () => {
  expect(runIdOf('My Studio_2!', 'abc')).toBe('my-studio-2-abc');
  expect(runIdOf('...', 'abc')).toBe('abc');
  expect(isRunId(runIdOf('x'.repeat(64), '0123456789'))).toBe(true);
  expect([isRunId('a.b'), isRunId('-a'), isRunId(''), isRunId('A')]).toEqual([
    false,
    false,
    false,
    false,
  ]);
  const job = { run: 'a-1', step: 'cut_2', index: 12, attempt: 3 };
  expect(jobOfId(jobIdOf(job))).toEqual(job);
  expect(jobOfId('a-1.again-ff')).toBeUndefined();
});

/** A run of two steps, after these events. */
function stateAfter(pipeline: Pipeline, events: readonly RunEvent[]): RunState {
  const state = new RunState(pipeline.steps.keys());
  const submitted: RunEvent = {
    event: 'submitted',
    file: '',
    source: '',
    inputs: {},
    request: 'r',
  };
  for (const event of [submitted, { event: 'taken', jobsAfter: 0 } as const, ...events]) {
    const head = { event: event.event, pipeline: 'p', since: 1, holding: 'h' };
    state.apply({ sequence: 1, timeMs: 1, head, event });
  }
  return state;
}

const instance = (index: number) => ({ step: 'cut', index, attempt: 1 });
const RUNNING: RunEvent[] = [
  { event: 'opened', step: 'cut', items: 4 },
  { event: 'started', ...instance(0), service: 's' },
  { event: 'started', ...instance(1), service: 's' },
  { event: 'succeeded', ...instance(0), worker: 'w', output: {} },
];
const TWO_STEPS = requirePipeline(
  'p.yaml',
  'name: p\nversion: "a\\\\N<b>&"\nsteps: {cut: {service: "a\\\\N<b>&\\"", forEach: [1]}, join: {service: j, after: cut}}',
);

test('how far a run is, in a note that programs read too', () => {
  const state = stateAfter(TWO_STEPS, RUNNING);
  const { fraction, note } = progressOf('r', state, new Map([['r.cut.1.1', 0.6]]));
  expect(note).toBe('cut 1/4 (40 %)');
  expect(fraction).toBeCloseTo(0.2);
  expect([...readProgressNote(`${note}, join 0/1 (100 %)`)]).toEqual([
    ['cut', 0.4],
    ['join', 1],
  ]);
});

describe('the diagram', () => {
  test('has a box for each step, with its state in words, and names as they are', async () => {
    const svg = await drawPipeline(TWO_STEPS, {
      run: 'p-1',
      state: stateAfter(TWO_STEPS, RUNNING),
    });
    expect(svg).toContain('<svg');
    const texts = [...svg.matchAll(/<text[^>]*>([^<]*)<\/text>/g)].map(([, text]) => text);
    expect(texts).toEqual(
      expect.arrayContaining([
        'p a\\N&lt;b&gt;&amp;',
        'p&#45;1: running',
        'cut',
        'service a\\N&lt;b&gt;&amp;&quot;',
        'running, 1 of 4 done',
        'join',
        'waiting',
      ]),
    );
    expect(svg).toContain('cut&#45;&gt;join');
  });

  test('of a pipeline alone says nothing of states', async () => {
    const svg = await drawPipeline(TWO_STEPS);
    expect(svg).toContain('for each item');
    expect(svg).not.toContain('waiting');
  });
});
