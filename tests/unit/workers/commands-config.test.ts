// workers.yaml: what it may say, and what is said about it where it is wrong:
// all of it at once, with file, line, column and key.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { loadConfigFile } from '../../../workers/commands/config/load.js';
import { ConfigError } from '../../../workers/commands/config/problems.js';
import { parseDuration, parseSize } from '../../../workers/commands/config/units.js';
import { configOf, problemsOf, serviceOf, specOf } from './commands-support.js';

/** The problems of one service, without the name of the file and the way to it. */
function problems(lines: string): string[] {
  const yaml = `services:\n  s:\n${lines.replaceAll(/^/gm, '    ')}`;
  return problemsOf(yaml).map((line) => line.replace(/^workers\.yaml:\d+:\d+: services\.s\.?/, ''));
}

it('a command has defaults', () => {
  const service = serviceOf('command: [cat]');
  expect(service).toMatchObject({
    kind: 'command',
    service: 's',
    pattern: '',
    capacity: 1,
    labels: {},
    persistent: false,
    command: {
      program: 'cat',
      args: [],
      folder: undefined,
      output: { stdout: 'binary', files: undefined },
      progress: 'stderr',
      outputBytesMax: 64 * 1024 * 1024,
      timeLimitMs: undefined,
      memoryBytesMax: undefined,
      graceMs: 5000,
    },
  });
  expect(specOf('command: [cat]').input.stdin?.written).toBe('body');
  expect(specOf('command: [cat, "{{body.x}}"]').input.stdin).toBeUndefined();
});

it('everything may be said', () => {
  const config = configOf(`
broker: tcp://127.0.0.1:5555
address: forge-1
drain: 30s
services:
  draw:
    service: art
    pattern: ^png/
    capacity: 2
    labels: {gpu: true, vramMb: 24000, models: [a, b]}
    cache: {version: "2", maxAge: 1h}
    command: [sh, -c, "true"]
    timeLimit: 5min
    memoryLimit: 4GiB
    outputMax: 1MiB
    grace: 1s
    folder: .
    progress: none
    input: {stdin: json, files: {a.png: frame 0}}
    output: {files: [out.png]}
    env: {A: x}
    exitCodes: {3: bad-input}
    errors: {transient: busy}
`);
  expect(config).toMatchObject({
    broker: 'tcp://127.0.0.1:5555',
    address: 'forge-1',
    drainMs: 30_000,
  });
  expect(config.services).toMatchObject([
    {
      service: 'art',
      pattern: '^png/',
      capacity: 2,
      labels: { gpu: true, vramMb: 24000, models: ['a', 'b'] },
      cache: { version: '2', maxAgeMs: 3_600_000 },
      command: {
        folder: process.cwd(),
        timeLimitMs: 300_000,
        memoryBytesMax: 4 * 2 ** 30,
        outputBytesMax: 2 ** 20,
        graceMs: 1000,
        progress: 'none',
        output: { stdout: 'none', files: { patterns: ['out.png'], single: false } },
      },
    },
  ]);
});

/** So many labels, as YAML. */
function labels(count: number): string {
  return `{${Array.from({ length: count }, (_, at) => `l${at}: 1`).join(', ')}}`;
}

describe('what is wrong', () => {
  it('is told all at once, with its place, in the order of the file', () => {
    expect(
      problemsOf(`services:
  ocr:
    comand: [tesseract]
    timeLimit: 90
    capacity: 0
  speak:
    command: [espeak-ng, "{{body.text}"]
    output: {files: ../x.wav}
brokr: tcp://x:1
`),
    ).toEqual([
      // A key that is missing is told where its map begins.
      'workers.yaml:3:5: services.ocr.command: is missing',
      'workers.yaml:3:5: services.ocr.comand: is not known; did you mean "command"?',
      'workers.yaml:4:16: services.ocr.timeLimit: must be a duration as 500ms, 90s, 5min or 2h, not 90',
      'workers.yaml:5:15: services.ocr.capacity: must be a whole number from 1 to 1000',
      'workers.yaml:7:26: services.speak.command[1]: "{{body.text}": a {{ has no }}; \\{{ means two braces',
      'workers.yaml:8:21: services.speak.output.files: must be the name of a file in the folder of the job, as picture.png or in/picture.png',
      'workers.yaml:9:1: brokr: is not known; did you mean "broker"?',
    ]);
  });

  it('is told where the YAML itself is', () => {
    expect(problemsOf('services:\n  a: [1, 2\n  b: 3\n')[0]).toMatch(/^workers\.yaml:\d+:\d+: /);
    expect(problemsOf('a: 1\na: 2\n')[0]).toMatch(/^workers\.yaml:2:1: .*unique/);
  });

  it.each([
    ['', 'workers.yaml: must be a map of keys'],
    ['- a', 'workers.yaml:1:1: must be a map of keys'],
    ['broker: tcp://x:1', 'workers.yaml:1:1: services: must be a map of keys'],
    ['services: {}', 'workers.yaml:1:11: services: names no service'],
    ['services: {s: }', 'workers.yaml:1:15: services.s: must be a map of keys'],
    [
      'services: {s: {kind: opnai}}',
      'workers.yaml:1:22: services.s.kind: must be one of command, openai; did you mean "openai"?',
    ],
    [
      'broker: x\nservices: {s: {command: [cat]}}',
      'workers.yaml:1:9: broker: must be an endpoint as tcp://HOST:PORT or ipc://PATH',
    ],
  ])('in the file itself: %p', (yaml, problem) => {
    expect(problemsOf(yaml)).toEqual([problem]);
  });

  it.each([
    ['command: tesseract - -', 'command: must be a list: the program'],
    ['command: []', 'command[0]: names no program'],
    ['command: ["{{body.x}}"]', 'command[0]: the program cannot be chosen by a request'],
    ['command: [cat, 1.5]', 'command[1]: put 1.5 in quotes'],
    ['command: [cat, true]', 'command[1]: put true in quotes'],
    ['command: [cat, [-n, 5]]', 'command[1]: a list in the list is left out'],
    ['command: [cat, "./{{body.x}}"]', 'command[1]: '],
    ['command: [cat]\npattern: "("', 'pattern: "(" is not a valid pattern'],
    ['command: [cat]\nlabels: {a: {b: 1}}', 'labels.a: must be a text, a number'],
    [`command: [cat]\nlabels: ${labels(65)}`, 'labels: labels has 65 labels; 64 are the most'],
    ['command: [cat]\nlabels: {"": 1}', "labels: labels: a label's name has 1 to 100 characters"],
    [
      `command: [cat]\nlabels: {${'x'.repeat(101)}: 1}`,
      "labels: labels: a label's name has 1 to 100 characters",
    ],
    [
      `command: [cat]\npersistent: true\nstartLimit: 5s\nlabels: ${labels(64)}\nreadyLabels: {a: 1}`,
      'readyLabels: labels has 65 labels; 64 are the most',
    ],
    ['command: [cat]\ncache: yes', 'cache: must be a map of keys'],
    ['command: [cat]\ncache: {}', 'cache.version: is missing'],
    ['command: [cat]\ncache: {version: 1.10}', 'cache.version: put 1.1 in quotes'],
    ['command: [cat]\ncache: {version: ""}', 'cache.version: must be a text of 191 octets at most'],
    ['command: [cat]\ncache: {version: a, maxAge: 60}', 'cache.maxAge: must be a duration'],
    [
      'command: [cat]\ncache: {version: a, maxage: 1h}',
      'cache.maxage: is not known; did you mean "maxAge"?',
    ],
    ['command: [cat]\nmemoryLimit: 4G', 'memoryLimit: must be a size as 64KiB'],
    ['command: [cat]\ninput: jsn', 'input.stdin: "jsn" is no part of a request'],
    ['command: [cat]\ninput: frames 0..', 'input.stdin: frames N.. can be files only'],
    [
      'command: [cat]\ninput: {files: {/etc/x: body}}',
      'input.files./etc/x: must be the name of a file',
    ],
    [
      'command: [cat]\ninput: {files: {a: frames 1..}}',
      'input.files.a: frames N.. needs a name with one *',
    ],
    ['command: [cat]\ninput: {files: {"a*": body}}', 'input.files.a*: a * stands for'],
    [
      'command: [cat]\noutput: txt',
      'output.stdout: must be one of binary, text, json, lines, jsonl, none; did you mean "text"?',
    ],
    [
      'command: [cat]\noutput: {stdout: text, files: a}',
      'output.stdout: where files are the reply',
    ],
    ['command: [cat]\noutput: {files: []}', 'output.files: names no file'],
    ['command: [cat]\nprogress: stdout', 'progress: on standard output needs an output of'],
    ['command: [cat]\nexitCodes: {300: ok}', 'exitCodes.300: must be a status from 0 to 255'],
    ['command: [cat]\nexitCodes: {3: bad}', 'exitCodes.3: must be one of ok, failed'],
    ['command: [cat]\nerrors: {oops: x}', 'errors.oops: is not known'],
    ['command: [cat]\nerrors: {failed: "("}', 'errors.failed: "(" is not a valid pattern'],
    ['command: [cat]\nenv: [A=1, 5]', 'env[1]: must be NAME or NAME=VALUE'],
    ['command: [cat]\nenv: {A: 1.5}', 'env.A: put 1.5 in quotes'],
    ['command: [cat]\nenv: {"A B": x}', 'env: "A B" is no name of a variable'],
    [
      'command: [cat, "{{body.x}}"]\nfolder: .',
      'command[1]: in a folder of your own, "body.x" could name any file',
    ],
    ['command: [cat]\nstartLimit: 5s', 'startLimit: is for a persistent command only'],
    ['command: [cat]\nreadyLabels: {a: 1}', 'readyLabels: is for a persistent command only'],
    [
      'command: [cat]\npersistent: true\nreadyLabels: {a: 1}',
      'readyLabels: needs a startLimit: then the command says itself when it is ready',
    ],
    [
      'command: [cat, "{{subject}}"]\npersistent: true',
      'command[1]: a persistent command is started before',
    ],
    [
      'command: [cat]\npersistent: true\ninput: json',
      'input: a persistent command gets requests as JSON lines',
    ],
    ['command: [cat]\npersistent: true\noutput: lines', 'output: of a persistent command is json'],
    [
      'command: [cat]\npersistent: true\nprogress: percent',
      'progress: a persistent command says it in its answers',
    ],
  ])('in a command: %p', (lines, problem) => {
    const found = problems(lines);
    expect(found).toHaveLength(1);
    expect(found[0]).toContain(problem);
  });

  it('in models is told, too', () => {
    expect(
      problems(`kind: openai
url: localhost:8000
models:
  - {model: a, api: caht}
  - {api: images, model: b, output: text, tokens: 5}
`),
    ).toEqual([
      'url: must be a URL as http://127.0.0.1:8000/v1',
      'models[0].api: must be one of chat, images, speech, embeddings; did you mean "chat"?',
      expect.stringContaining('models[1].tokens: is not known; there are: '),
    ]);
    expect(
      problems('kind: openai\nurl: http://x/v1\nmodels: [{model: b, api: images, output: text}]'),
    ).toEqual(['models[0].output: is for the api chat only']);
    const own = `{api: chat, model: b, labels: ${labels(64)}}`;
    expect(problems(`kind: openai\nurl: http://x/v1\nmodels: [${own}]`)).toEqual([
      'models[0].labels: labels has 65 labels; 64 are the most',
    ]);
  });

  it('a service that is offered twice needs a pattern', () => {
    const both = (pattern: string) =>
      `services:\n  a: {command: [cat]}\n  b: {service: a, command: [cat]${pattern}}\n`;
    expect(problemsOf(both(''))).toEqual([
      'workers.yaml:3:3: services.b: "a" is offered twice with the same pattern; give one of them a pattern',
    ]);
    expect(configOf(both(', pattern: ^x')).services).toHaveLength(2);
  });

  it('is found behind an alias', () => {
    expect(
      problemsOf(
        'services:\n  a: &a {command: [cat], timeLimit: soon}\n  b: {service: b, command: *a}\n',
      ),
    ).toEqual(
      expect.arrayContaining([
        expect.stringContaining('workers.yaml:2:37: services.a.timeLimit: must be a duration'),
      ]),
    );
  });
});

describe('what this machine lacks', () => {
  it('is told apart from what is wrong', () => {
    const { lacks } = configOf(`services:
  a: {command: [no-such-program]}
  b: {command: [./no-such-script]}
  c: {command: [cat], folder: /no/such/folder}
  d: {kind: openai, url: "http://x/v1", keyFrom: MLM_TEST_UNSET, models: [{model: m, api: chat}]}
`);
    expect(lacks).toEqual([
      'workers.yaml:2:17: services.a.command[0]: there is no program "no-such-program" in the folders of PATH',
      `workers.yaml:3:17: services.b.command[0]: there is no program ${resolve('no-such-script')} that can be run`,
      'workers.yaml:4:31: services.c.folder: there is no folder /no/such/folder',
      'workers.yaml:5:50: services.d.keyFrom: the variable MLM_TEST_UNSET is not set',
    ]);
  });

  it('is not what it has', () => {
    expect(configOf('services: {a: {command: [cat], memoryLimit: 1GiB}}').lacks).toEqual([]);
  });
});

it('what may be a mistake is told', () => {
  const { doubts } = configOf(`services:
  a: {command: [node, package.json, ./package.json, README.txt]}
  b: {command: [cat, package.json], input: {files: {package.json: body}}}
  c: {command: [cat], env: [MLM_TEST_UNSET]}
`);
  expect(doubts).toEqual([
    'workers.yaml:2:23: services.a.command[1]: commands run in a folder of their own, where there is no "package.json"; if you mean the one beside this file, write ./package.json',
    'workers.yaml:4:28: services.c.env: the variable MLM_TEST_UNSET is not set here',
  ]);
});

describe('a file', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'malamute-test-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it('is where its own paths begin', () => {
    const path = join(folder, 'workers.yaml');
    writeFileSync(path, 'services: {a: {command: [python3, ./x.py], folder: data}}');
    const [service] = loadConfigFile(path, process.env).services;
    expect(service).toMatchObject({
      command: {
        here: folder,
        folder: join(folder, 'data'),
        args: [{ source: join(folder, 'x.py') }],
      },
    });
  });

  it('that is not there is named', () => {
    const path = join(folder, 'none.yaml');
    expect(() => loadConfigFile(path, {})).toThrow(ConfigError);
    expect(() => loadConfigFile(path, {})).toThrow(`cannot read ${path}`);
  });
});

it('durations and sizes have units', () => {
  expect(['500ms', '1.5s', '2 min', '1h'].map(parseDuration)).toEqual([
    500, 1500, 120_000, 3_600_000,
  ]);
  expect(['1B', '64KiB', '1.5 MiB', '2GB'].map(parseSize)).toEqual([1, 65_536, 1_572_864, 2e9]);
  for (const text of ['', '5', '-1s', '1 S', '0s', '1d', '99999h', 's']) {
    expect(parseDuration(text)).toBeUndefined();
  }
  for (const text of ['', '5', '0B', '1kb', '1 TiB']) expect(parseSize(text)).toBeUndefined();
});
