// Wrapped commands, run for one request each as real processes: what they are
// given, what becomes the reply, and how their ends are read. What hostile
// requests and misbehaving commands can do stands in commands-hostile.test.ts.
import { decode } from '@msgpack/msgpack';
import { contextOf, failureOf, nodeCommand, useRunner, yaml } from './commands-support.js';

const { run } = useRunner();

/** A command that prints its arguments as JSON. */
const ARGUMENTS = 'console.log(JSON.stringify(process.argv.slice(1)))';

describe('input', () => {
  it('is the body as it is, on standard input, unless said', async () => {
    const bytes = Buffer.from([0, 255, 10, 13, 0]);
    expect(await run('command: [cat]', { body: bytes })).toEqual(bytes);
    expect(await run('command: [cat]')).toEqual(Buffer.alloc(0));
  });

  it('may be JSON, whatever the body was sent as', async () => {
    const json = 'command: [cat]\ninput: json\noutput: json';
    const body = { name: 'x', bytes: Buffer.from('hi'), list: [1, null, true] };
    expect(await run(json, { body })).toEqual({ ...body, bytes: { base64: 'aGk=' } });
    expect(await run(json, { body: Buffer.from(' ["a"]') })).toEqual(['a']);
    expect(await run(json)).toBeNull();
  });

  it('may be text', async () => {
    const text = 'command: [cat]\ninput: text\noutput: text';
    expect(await run(text, { body: 'a value' })).toEqual(Buffer.from('a value'));
    expect(await run(text, { body: Buffer.from('bytes') })).toEqual(Buffer.from('bytes'));
  });

  it('may be a part of the request, and another one where that is missing', async () => {
    const part = 'command: [cat]\ninput: body.picture ?? frame 1 ?? body';
    const picture = Buffer.from([1, 2, 3]);
    expect(await run(part, { body: { picture } })).toEqual(picture);
    expect(await run(part, { body: [Buffer.from('{}'), picture] })).toEqual(picture);
    expect(await run(part, { body: picture })).toEqual(picture);
    const base64 = { picture: { base64: picture.toString('base64') } };
    expect(await run(part, { body: Buffer.from(JSON.stringify(base64)) })).toEqual(picture);
  });

  it('may be files in the folder in which the command runs', async () => {
    const lines =
      'command: [sh, -c, "pwd; cat in/a.bin b.json frame-*.txt"]\n' +
      'input: {files: {in/a.bin: body.a, b.json: body.b, frame-*.txt: frames 1..}}\noutput: text';
    const first = Buffer.from('{"a": "A", "b": [1]}');
    const printed = await run(lines, { body: [first, Buffer.from('x'), Buffer.from('y')] });
    const [folder, ...content] = String(printed).split('\n');
    expect(folder).toMatch(/\/job-\w+\/files$/);
    expect(content).toEqual(['A[1]xy']);
  });

  it('may be arguments', async () => {
    const lines = `${nodeCommand(ARGUMENTS, '{{subject}}', ['-n', '{{body.n}}'], 7)}\noutput: json`;
    expect(await run(lines, { subject: 's', body: { n: 2 } })).toEqual(['s', '-n', '2', '7']);
    expect(await run(lines, { subject: 'two words', body: {} })).toEqual(['two words', '7']);
  });

  it('that is not read harms nobody', async () => {
    const body = Buffer.alloc(1_000_000);
    expect(await run('command: ["true"]', { body })).toEqual(Buffer.alloc(0));
  });

  it.each([
    ['input: json', Buffer.from('{"a":'), 'neither JSON nor'],
    ['input: json', Buffer.from('plain'), 'neither JSON nor'],
    ['input: text', Buffer.from([0xc3, 0x28]), 'the body is not text'],
    ['input: binary', [Buffer.from('a'), Buffer.from('b')], 'the body is not bytes but 2 frames'],
    ['input: body.picture ?? body', { sound: 'x' }, 'the request has no body.picture and no body'],
    ['input: frame 1', Buffer.from('a'), 'the request has no frame 1'],
    ['input: {files: {a: body.a}}', { a: { base64: '%' } }, 'a base64 that is none'],
  ])('that cannot be is refused: %s', async (input, body, message) => {
    const failure = await failureOf(run(`command: [cat]\n${input}`, { body }));
    expect(failure.code).toBe('bad-input');
    expect(failure.message).toContain(message);
  });
});

describe('environment', () => {
  const print = `${nodeCommand('console.log(JSON.stringify(process.env))')}\noutput: json`;

  it('has PATH, HOME, LANG, a folder for temporary files and a mark, and nothing else', async () => {
    const { PATH, HOME, LANG } = process.env;
    process.env['MLM_TEST_SECRET'] = 'secret';
    const variables = (await run(print)) as Record<string, string>;
    delete process.env['MLM_TEST_SECRET'];
    const { TMPDIR, MLM_COMMAND: mark, ...others } = variables;
    expect(mark).toMatch(new RegExp(`^${process.pid}-`));
    expect(TMPDIR).toMatch(/\/job-\w+\/tmp$/);
    const known = Object.entries({ PATH, HOME, LANG }).filter(([, value]) => value !== undefined);
    expect(others).toEqual(Object.fromEntries(known));
  });

  it.each(['{A: "1", B: 2, MLM_TEST_GIVEN: }', '[A=1, B=2, MLM_TEST_GIVEN]'])(
    'has what is set and what is passed on: %s',
    async (env) => {
      process.env['MLM_TEST_GIVEN'] = 'given';
      const variables = await run(`${print}\nenv: ${env}`);
      delete process.env['MLM_TEST_GIVEN'];
      expect(variables).toMatchObject({ A: '1', B: '2', MLM_TEST_GIVEN: 'given' });
    },
  );
});

describe('output', () => {
  it.each([
    ['binary', Buffer.from('{"a": [1]}\n')],
    ['text', Buffer.from('{"a": [1]}\n')],
    ['json', { a: [1] }],
    ['lines', Buffer.from('{"a": [1]}\n')],
    ['jsonl', [{ a: [1] }]],
    ['none', undefined],
  ])('may be standard output as %s', async (form, reply) => {
    const lines = `command: [echo, '{"a": [1]}']\noutput: ${form}`;
    expect(await run(lines)).toEqual(reply);
  });

  it('as lines is partial results, too', async () => {
    const text = contextOf();
    await run('command: [printf, "one\\ntwo\\r\\n\\nlast"]\noutput: lines', text);
    expect(text.emitted.map(String)).toEqual(['one', 'two', '', 'last']);
    const values = contextOf();
    expect(await run('command: [printf, "1\\n[2]\\n"]\noutput: jsonl', values)).toEqual([1, [2]]);
    expect(values.emitted).toEqual([1, [2]]);
  });

  it('comes while the command runs', async () => {
    const script = 'console.log("first"); process.stdin.resume().on("end", () => {})';
    const over = new AbortController();
    const context = contextOf({ signal: over.signal, onEmit: () => over.abort() });
    // The command never ends by itself: its input does.
    const lines = `${nodeCommand(`${script}; setInterval(() => {}, 1000)`)}\noutput: lines`;
    await failureOf(run(lines, context));
    expect(context.emitted.map(String)).toEqual(['first']);
  });

  it('may be one file', async () => {
    const lines = 'command: [sh, -c, "echo chatter; printf x > out.txt"]\noutput: {files: out.txt}';
    expect(await run(lines)).toEqual(Buffer.from('x'));
  });

  it('may be many files: their names, then each', async () => {
    const script = 'mkdir d; for n in 10 9 1; do printf $n > d/clip-$n.txt; done; touch d/other a';
    const lines = `command: ${yaml(['sh', '-c', script])}\noutput: {files: [d/clip-*.txt, a]}`;
    const [names, ...frames] = (await run(lines)) as Buffer[];
    expect(decode(names!)).toEqual(['a', 'd/clip-1.txt', 'd/clip-9.txt', 'd/clip-10.txt']);
    expect(frames.map(String)).toEqual(['', '1', '9', '10']);
    const none = `command: ["true"]\noutput: {files: "*.png"}`;
    expect(((await run(none)) as Buffer[]).map((frame) => decode(frame))).toEqual([[]]);
  });

  it.each([
    ['output: json', 'not JSON', 'standard output is not JSON'],
    ['output: json', '', 'standard output is not JSON'],
    ['output: jsonl', '{"a":1}\n{"b', 'a line of standard output is not JSON'],
    ['output: text', '\\377\\376', 'standard output is not UTF-8 text'],
    ['output: lines', 'ok\n\\377\n', 'a line of standard output is not UTF-8 text'],
    ['output: {files: out.png}', '', 'the command has not made the file "out.png"'],
  ])('that is not what was said fails: %s of %p', async (output, printed, message) => {
    const failure = await failureOf(run(`command: ${yaml(['printf', printed])}\n${output}`));
    expect(failure.code).toBe('failed');
    expect(failure.message).toContain(message);
  });
});

describe('progress', () => {
  const REPORTS = [
    '{"progress": 0.25, "note": "loading"}',
    'an ordinary line',
    '{"progress": 2}',
    '{"event": {"step": 1}}',
    '{"progress": null, "note": "still there"}',
    '{"progress": 1}',
  ];

  it('is JSON lines on standard error; other lines are for the log', async () => {
    const context = contextOf();
    const script = `console.error(${JSON.stringify(REPORTS.join('\n'))}); process.exitCode = 1`;
    const failure = await failureOf(run(nodeCommand(script), context));
    expect(context.told.at(0)).toEqual({ fraction: 0.25, note: 'loading' });
    expect(context.told.at(-1)).toEqual({ fraction: 1, note: undefined });
    expect(context.emitted).toEqual([{ step: 1 }]);
    expect(failure.message).toBe(
      `"${process.execPath}" ended with status 1: {"progress": 2}\nan ordinary line`,
    );
  });

  it('may be JSON lines among those of standard output', async () => {
    const context = contextOf();
    const lines = `command: ${yaml(['echo', REPORTS.join('\n')])}\nprogress: stdout\noutput: text`;
    expect(String(await run(lines, context))).toBe('an ordinary line\n{"progress": 2}\n');
    expect(context.told.at(-1)).toEqual({ fraction: 1, note: undefined });
    expect(context.emitted).toEqual([{ step: 1 }]);
  });

  it('may be percentages, as progress bars have them', async () => {
    const context = contextOf();
    const script = 'printf "10%%|#   |\\r 5" >&2; sleep 0.01; printf "5%%|##\\r100%%|####|\\n" >&2';
    await run(`command: ${yaml(['sh', '-c', script])}\nprogress: percent`, context);
    expect(context.told.at(-1)).toEqual({ fraction: 1, note: undefined });
    expect(context.told.map(({ fraction }) => fraction)).not.toContain(0.05);
  });

  it('may be nothing', async () => {
    const context = contextOf();
    const script = `console.error('{"progress": 0.5}')`;
    await run(`${nodeCommand(script)}\nprogress: none`, context);
    expect(context.told).toEqual([]);
  });
});

describe('the end of a command', () => {
  const ends = (code: number, said = ''): string =>
    `command: ${yaml(['sh', '-c', `printf '%s' "$1" >&2; exit ${code}`, 'sh', said])}`;

  it.each([
    [1, 'failed'],
    [2, 'failed'],
    [64, 'bad-input'],
    [65, 'bad-input'],
    [66, 'bad-input'],
    [69, 'not-ready'],
    [75, 'transient'],
    [78, 'not-ready'],
    [126, 'not-ready'],
    [127, 'not-ready'],
    [137, 'out-of-memory'],
    [143, 'transient'],
    [200, 'failed'],
  ])('status %d means %s', async (code, name) => {
    expect(await failureOf(run(ends(code)))).toMatchObject({
      code: name,
      message: `"sh" ended with status ${code}`,
    });
  });

  it.each([
    ['KILL', 'out-of-memory'],
    ['TERM', 'transient'],
    ['SEGV', 'failed'],
  ])('SIG%s means %s', async (signal, name) => {
    const failure = await failureOf(run(`command: [sh, -c, "kill -${signal} $$"]`));
    expect(failure).toMatchObject({ code: name, message: `"sh" ended by SIG${signal}` });
  });

  it.each([
    'torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB',
    'Traceback\nMemoryError',
    'terminate called after throwing an instance of std::bad_alloc',
  ])('with %p means out of memory', async (said) => {
    expect(await failureOf(run(ends(1, said)))).toMatchObject({ code: 'out-of-memory' });
  });

  it('means what the configuration says', async () => {
    const own = `exitCodes: {1: ok, 3: bad-input, SIGSEGV: transient}\nerrors: {bad-input: "(?i)no face"}`;
    expect(await run(`${ends(1)}\n${own}`)).toEqual(Buffer.alloc(0));
    expect(await failureOf(run(`${ends(3)}\n${own}`))).toMatchObject({ code: 'bad-input' });
    expect(await failureOf(run(`${ends(4, 'No face found')}\n${own}`))).toMatchObject({
      code: 'bad-input',
      message: '"sh" ended with status 4: No face found',
    });
    expect(await failureOf(run(`command: [sh, -c, "kill -SEGV $$"]\n${own}`))).toMatchObject({
      code: 'transient',
    });
  });

  it('is told with the last line of standard error first', async () => {
    const failure = await failureOf(run(ends(1, 'Traceback:\n  line 3\nValueError: bad\n')));
    expect(failure.message).toBe('"sh" ended with status 1: ValueError: bad\nTraceback:\n  line 3');
  });

  it('where there is no such program, is for another worker', async () => {
    expect(await failureOf(run('command: [no-such-program]'))).toMatchObject({
      code: 'not-ready',
      message: 'there is no program "no-such-program" in the folders of PATH',
    });
    expect(await failureOf(run('command: [./package.json]'))).toMatchObject({ code: 'not-ready' });
  });
});
