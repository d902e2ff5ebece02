// `mlm work` as a real process beside a real broker: scripts that know of nothing
// become services, are watched, cancelled and drained, and leave nothing behind,
// however the worker ends.
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { MlmClient } from '../../client/index.js';
import { PATIENCE_MS, type Child } from '../support/processes.js';
import { MLM, resultOf, useCommands } from './commands-support.js';
import { isAlive } from '../support/pids.js';
import { failureOf } from '../support/failure.js';
import { until } from '../support/until.js';

const commands = useCommands();
const PATIENT = { timeoutMs: PATIENCE_MS };

type Variables = Readonly<Record<string, string>>;

interface Site {
  readonly client: MlmClient;
  readonly endpoint: string;
  /** Where workers make their temporary folders. */
  readonly temporary: string;
  /** Starts `mlm work` and waits until it offers so many services. @param more variables */
  readonly work: (args: readonly string[], services?: number, more?: Variables) => Promise<Child>;
}

async function site(): Promise<Site> {
  const { endpoint } = await commands.broker();
  const client = await commands.client(endpoint);
  const temporary = commands.folder();
  const work: Site['work'] = async (args, services = 1, more = {}) => {
    const child = await commands.start(process.execPath, [MLM, 'work', ...args], {
      env: { MLM_ENDPOINT: endpoint, TMPDIR: temporary, ...more },
    });
    await child.stderrMatch(new RegExp(`(?:"message":"offering"[^]*){${services}}`));
    return child;
  };
  return { client, endpoint, temporary, work };
}

/** Folders that workers have left. */
function foldersIn(temporary: string): string[] {
  return readdirSync(temporary).filter((name) => name.startsWith('mlm-work-'));
}

/** A command that writes its pid into a file, and then waits. @param by how a shell starts it, where one does */
function hanging(folder: string, by = ''): { args: string[]; pid: () => Promise<number> } {
  const file = join(folder, 'pid');
  const script = `echo $$ > ${file}; exec sleep 1000`;
  return {
    args: [
      '--',
      ...(by === '' ? [] : ['sh', '-c', `${by} exec sleep 1000`, 'sh']),
      'sh',
      '-c',
      script,
    ],
    pid: async () => {
      await until(
        () => existsSync(file) && readFileSync(file, 'utf8').endsWith('\n'),
        'the command',
      );
      return Number(readFileSync(file, 'utf8'));
    },
  };
}

it('a command is a service', async () => {
  const { client, temporary, work } = await site();
  const worker = await work(['upper', '--capacity', '2', '--', 'tr', 'a-z', 'A-Z']);
  expect((await client.request('upper', '', Buffer.from('hello'))).text()).toBe('HELLO');
  worker.signal('SIGTERM');
  expect(await worker.waitForExit()).toEqual({ code: 0, signal: null });
  expect(foldersIn(temporary)).toEqual([]);
});

it('a script of this folder is one, with values of the request', async () => {
  const { client, work } = await site();
  const folder = commands.folder();
  const script = join(folder, 'greet.sh');
  writeFileSync(script, 'printf "%s, %s" "$1" "$2"');
  const config = join(folder, 'workers.yaml');
  writeFileSync(
    config,
    `services:
  greet: {command: [sh, ./greet.sh, "{{body.word ?? hello}}", "{{subject | text}}"], output: text}
  count: {command: [wc, -c], output: json}
`,
  );
  await work(['--config', config], 2);
  const reply = await client.request('greet', '; rm -rf /', { word: 'so long' });
  expect(reply.text()).toBe('so long, ; rm -rf /');
  expect((await client.request('count', '', Buffer.from('four'))).value()).toBe(4);
  const failure = await failureOf(client.request('greet', 'x', { word: '--help' }));
  expect(failure).toMatchObject({ code: 'WORKER_ERROR', workerCode: 'bad-input' });
  expect(failure.message).toContain('body.word begins with a dash');
});

it('SIGTERM lets a command finish', async () => {
  const { client, temporary, work } = await site();
  const gate = join(commands.folder(), 'gate');
  const script = `echo begun >&2; touch ${gate}.begun; while [ ! -e ${gate} ]; do sleep 0.01; done; echo through`;
  const worker = await work(['slow', '--', 'sh', '-c', script]);
  const reply = client.request('slow', '', undefined, PATIENT);
  await until(() => existsSync(`${gate}.begun`), 'the command');
  worker.signal('SIGTERM');
  await worker.stderrMatch(/"message":"stopping"/);
  writeFileSync(gate, '');
  expect((await reply).text()).toBe('through\n');
  expect(await worker.waitForExit()).toEqual({ code: 0, signal: null });
  expect(foldersIn(temporary)).toEqual([]);
});

it('a command that does not finish in time is ended, and its request left to others', async () => {
  const { client, temporary, work } = await site();
  const command = hanging(commands.folder());
  const worker = await work(['slow', '--drain', '50ms', ...command.args]);
  const reply = client.request('slow', '', undefined, PATIENT);
  const pid = await command.pid();
  worker.signal('SIGTERM');
  expect(await worker.waitForExit()).toEqual({ code: 1, signal: null });
  expect(isAlive(pid)).toBe(false);
  expect(foldersIn(temporary)).toEqual([]);
  await work(['slow', '--', 'echo', 'done by another']);
  expect((await reply).text()).toBe('done by another\n');
});

it('a worker that is killed takes its command with it; the next one tidies up', async () => {
  const { client, temporary, work } = await site();
  const command = hanging(commands.folder());
  // With the address of one that was killed, a worker has its place at once.
  const address = { MLM_ADDRESS: 'hands' };
  const worker = await work(['slow', ...command.args], 1, address);
  const reply = client.request('slow', '', undefined, PATIENT);
  const pid = await command.pid();
  const left = foldersIn(temporary);
  expect(left).toHaveLength(1);
  await worker.stop('SIGKILL');
  await until(() => !isAlive(pid), 'the end of the command');
  await work(['slow', '--', 'echo', 'done by another'], 1, address);
  expect((await reply).text()).toBe('done by another\n');
  expect(foldersIn(temporary)).not.toContain(left[0]);
});

it.each([
  ['the command', ''],
  ['a process that has left its group', 'setsid "$@" &'],
])('a second signal ends all at once: %s', async (_, by) => {
  const { client, temporary, work } = await site();
  const command = hanging(commands.folder(), by);
  const worker = await work(['slow', '--drain', '10min', ...command.args]);
  void failureOf(client.request('slow', ''));
  const pid = await command.pid();
  worker.signal('SIGINT');
  await worker.stderrMatch(/"message":"stopping"/);
  expect((await worker.signalAgain('SIGINT')).code).toBe(130);
  await until(() => !isAlive(pid), 'the end of the command');
  expect(foldersIn(temporary)).toEqual([]);
});

describe('a call that is wrong', () => {
  it('names all that is wrong with a configuration', async () => {
    const config = join(commands.folder(), 'workers.yaml');
    writeFileSync(config, 'services:\n  a: {comand: [cat], timeLimit: 5}\nbrokr: x\n');
    const { code, stdout, stderr } = await commands.run(undefined, ['work', '-c', config]);
    expect(stderr.split('\n')).toEqual([
      `mlm: ${config}:2:6: services.a.command: is missing`,
      expect.stringContaining(`${config}:2:7: services.a.comand: is not known`),
      expect.stringContaining(`${config}:2:33: services.a.timeLimit: must be a duration`),
      `mlm: ${config}:3:1: brokr: is not known; did you mean "broker"?`,
      '',
    ]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  });

  it.each([
    [[], 'say --config FILE, or SERVICE -- COMMAND'],
    [['ocr'], 'the command is missing: write mlm work ocr -- COMMAND ARGUMENTS'],
    [['-c', 'x.yaml', '--capacity', '2'], '--capacity: the configuration says that'],
  ])('%j', async (args, message) => {
    const { code, stderr } = await commands.run(undefined, ['work', ...args]);
    expect(stderr).toContain(message);
    expect(code).toBe(2);
  });

  it('or a program that is not there, offers nothing', async () => {
    const { code, stderr } = await commands.run(undefined, ['work', 'x', '--', 'no-such-program']);
    expect(stderr).toContain('there is no program "no-such-program" in the folders of PATH');
    expect(code).toBe(1);
  });

  it('or no broker, says so, and starts no command', async () => {
    const args = ['work', 'x', '-e', 'tcp://127.0.0.1:1', '--connect-timeout', '100', '--', 'cat'];
    const { code, stderr } = await resultOf(await commands.begin(undefined, args));
    expect(stderr).toContain('tcp://127.0.0.1:1');
    expect(code).toBe(1);
  });
});

describe('--check', () => {
  it('shows what would be offered; what is missing is a warning', async () => {
    const config = join(commands.folder(), 'workers.yaml');
    // Nobody listens there, and nobody can without being root.
    const url = 'http://127.0.0.1:2/v1';
    writeFileSync(
      config,
      `services:
  a: {command: [cat], timeLimit: 90s, labels: {gpu: true}}
  b: {command: [no-such-program], input: json, output: {files: [x-*.png]}}
  d: {command: [cat], persistent: true, startLimit: 5s, readyLabels: {models: [sam3]}}
  c: {kind: openai, url: "${url}", models: [{model: m, api: chat}]}
`,
    );
    const { code, stdout, stderr } = await commands.run(undefined, [
      'work',
      '-c',
      config,
      '--check',
    ]);
    expect(code).toBe(0);
    expect(stderr).toContain('services.b.command[0]: there is no program "no-such-program"');
    expect(stderr).toContain(`there is no server at ${url}`);
    expect(stdout.split('\n').map((line) => line.replaceAll(/ {2,}/g, ' | '))).toEqual([
      expect.stringMatching(/^SERVICE \| PATTERN \| CAPACITY \| RUNS \| FOUND \| GETS/),
      'a | - | 1 | cat | yes | body | binary | 1 min 30 s | - | gpu=true',
      'b | - | 1 | no-such-program | no | json | x-*.png | - | - | -',
      'd | - | 1 | cat | yes | JSON lines | json | - | - | models=sam3 (when ready)',
      `m | - | 1 | m at ${url} | - | chat | text | - | - | models=m`,
      '',
    ]);
  });

  it('prints JSON for programs', async () => {
    const args = [
      'work',
      'up',
      '--memory-limit',
      '1GiB',
      '--check',
      '--json',
      '--',
      'tr',
      'a',
      'b',
    ];
    const { stdout } = await commands.run(undefined, args);
    expect(JSON.parse(stdout)).toMatchObject([
      { service: 'up', runs: 'tr', found: true, memoryLimitBytes: 2 ** 30 },
    ]);
  });

  it.each(['studio', 'forge'])('is content with the example %s', async (name) => {
    const config = `workers/examples/${name}/workers.yaml`;
    const { code, stdout } = await commands.run(undefined, ['work', '-c', config, '--check']);
    expect(code).toBe(0);
    expect(stdout.split('\n').length).toBeGreaterThan(4);
  });
});
