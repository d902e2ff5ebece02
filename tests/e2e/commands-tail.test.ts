// `mlm tail` and `mlm-tail` as real processes, against a real broker.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { MlmClient } from '../../client/index.js';
import type { Child } from '../support/processes.js';
import { resultOf, untilRead, useCommands, type Broker } from './commands-support.js';

const commands = useCommands();
const TIME = '\\d\\d:\\d\\d:\\d\\d\\.\\d\\d\\d';

let broker: Broker;
let sender: MlmClient;
beforeEach(async () => {
  broker = await commands.broker();
  sender = await commands.client(broker.endpoint, 'sender');
});

/** Starts a tail, and waits until the broker has it. */
async function follow(...args: string[]): Promise<Child> {
  const child = await commands.begin(broker.endpoint, ['tail', ...args]);
  await untilRead(sender, args[0]!);
  return child;
}

async function send(subject: string, body?: unknown, stream = 's'): Promise<void> {
  await sender.stream(stream).send(subject, body);
}

describe('it prints', () => {
  it('a line for each message, whatever its body is', async () => {
    const tail = await follow('s');
    await send('text', Buffer.from('hello\nworld'));
    await send('json', Buffer.from('{"celsius":4}'));
    await send('value', { celsius: 4, tags: ['a'] });
    await send('bytes', Buffer.from([0xff, 0x00, 0x1b]));
    await send('frames', [Buffer.from('a'), Buffer.from('b')]);
    await send('nothing');
    for (const end of [
      'text  hello\\\\nworld',
      'json  \\{"celsius": 4\\}',
      'value  \\{"celsius": 4, "tags": \\["a"\\]\\}',
      'bytes  \\(3 bytes\\) ff 00 1b',
      'frames  \\(2 frames\\) a \\| b',
      'nothing  \\(no body\\)',
    ]) {
      expect(await tail.line()).toMatch(new RegExp(`^${TIME}  sender  ${end}$`));
    }
  });

  it('only subjects that match a pattern', async () => {
    const tail = await follow('s', '^temp\\.');
    await send('humidity.moscow', 'no');
    await send('temp.moscow', 'yes');
    expect(await tail.line()).toContain('temp.moscow');
    expect(tail.stdout).not.toContain('humidity');
  });

  it('so many messages as -n says, then ends', async () => {
    const tail = await follow('s', '-n', '2');
    for (const subject of ['a', 'b', 'c']) await send(subject);
    const { code, stdout, stderr } = await resultOf(tail);
    expect(stdout.split('\n').map((line) => line.split('  ')[2])).toEqual(['a', 'b', undefined]);
    expect([code, stderr]).toEqual([0, '']);
  });

  it('JSON objects with --json', async () => {
    const tail = await follow('s', '--json', '-n', '3');
    await send('text', Buffer.from('hello'));
    await send('value', [1, null]);
    await send('bytes', Buffer.from([0xff, 0x00]));
    const { stdout } = await resultOf(tail);
    const lines = stdout.trimEnd().split('\n');
    expect(lines.map((line): unknown => JSON.parse(line))).toEqual(
      [
        { subject: 'text', encoding: 'text', body: 'hello' },
        { subject: 'value', encoding: 'msgpack', body: [1, null] },
        { subject: 'bytes', encoding: 'base64', body: '/wA=' },
      ].map((fields) => ({
        time: expect.stringMatching(/^\d{4}-.*Z$/) as string,
        stream: 's',
        sequence: expect.any(Number) as number,
        sender: 'sender',
        ...fields,
      })),
    );
  });

  it('bodies byte for byte with --raw', async () => {
    const file = join(commands.folder(), 'body');
    const bytes = Buffer.alloc(300_000, Buffer.from([0x89, 0x50, 0x0a, 0x00, 0xff]));
    const ended = commands.shell(broker.endpoint, `$MLM_TAIL s -n 1 --raw > ${file}`);
    await untilRead(sender, 's');
    await send('picture', bytes);
    expect((await ended).code).toBe(0);
    expect(readFileSync(file).equals(bytes)).toBe(true);
  });

  it('nothing that a terminal would obey', async () => {
    const tail = await follow('s\u001b[1m');
    await sender
      .stream('s\u001b[1m')
      .send('a\u001b[2J\r\n', Buffer.from('\u0007\u001b]0;x\u0007 text'));
    const line = await tail.line();
    expect(line).toMatch(/a\\x1b\[2J\\r\\n {2}\\x07\\x1b\]0;x\\x07 text$/);
  });
});

it('goes on when the broker restarts, and says so', async () => {
  const tail = await follow('s');
  await send('before');
  await tail.line(/before/);
  await broker.child.stop();
  await tail.stderrMatch(/^mlm: lost the broker at tcp:.*; waiting for it to come back$/m);
  await commands.broker(broker.endpoint);
  await tail.stderrMatch(/^mlm: connected again; going on after the last message$/m);
  const other = await commands.client(broker.endpoint);
  await untilRead(other, 's');
  await other.stream('s').send('after');
  expect(await tail.line()).toContain('after');
  expect(tail.exit).toBeUndefined();
});

describe('it ends well', () => {
  it.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)('at %s', async (signal) => {
    const tail = await follow('s');
    tail.signal(signal);
    expect(await resultOf(tail)).toEqual({ code: 0, signal: null, stdout: '', stderr: '' });
    await untilRead(sender, 's', 0);
  });

  it('at SIGINT while the broker is away', async () => {
    const tail = await follow('s');
    await broker.child.stop();
    await tail.stderrMatch(/waiting for it to come back/);
    tail.signal('SIGINT');
    expect((await tail.waitForExit()).code).toBe(0);
  });

  /** Sends again and again, one at a time, until `ended`: nothing is on its way afterwards. */
  async function sendUntil(ended: Promise<unknown>): Promise<void> {
    const over = new AbortController();
    void ended.catch(() => undefined).finally(() => over.abort());
    while (!over.signal.aborted) {
      await send('more');
      await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, 20))]);
    }
  }

  it('when nobody reads what it prints', async () => {
    const tail = await follow('s');
    tail.closeOutput();
    await sendUntil(tail.waitForExit());
    expect(await resultOf(tail)).toMatchObject({ code: 0, stderr: '' });
  });

  it('in a pipe into head', async () => {
    const ended = commands.shell(broker.endpoint, '$MLM_TAIL s | head -1');
    await untilRead(sender, 's');
    await sendUntil(ended);
    const { code, stdout, stderr } = await ended;
    expect(stdout.trimEnd().split('\n')).toHaveLength(1);
    expect([code, stderr]).toEqual([0, '']);
  });
});

it('waits for a reader that stops, and loses nothing meanwhile', async () => {
  const bodies = Array.from({ length: 20_000 }, (_, at) => `message ${at} of many\n`);
  const folder = commands.folder();
  const reader = 'read -r first; echo "$first"; until [ -e go ]; do sleep 0.1; done; cat';
  const ended = commands.shell(
    broker.endpoint,
    `cd ${folder} && $MLM_TAIL s -n ${bodies.length} --raw | { ${reader}; } > out`,
  );
  await untilRead(sender, 's');
  for (const body of bodies) void send('n', Buffer.from(body));
  await sender.ping();
  writeFileSync(join(folder, 'go'), '');
  expect(await ended).toMatchObject({ code: 0, stderr: '' });
  expect(readFileSync(join(folder, 'out'), 'utf8')).toBe(bodies.join(''));
});

describe('on a terminal', () => {
  /**
   * Runs a tail in a pseudo-terminal until it has printed a line, and gives all it showed. It has
   * this environment and no other: what a CI sets (CI, NO_COLOR) would decide about the colours.
   */
  async function look(environment: string): Promise<string> {
    const child = await commands.start('script', [
      '-qec',
      `env -i PATH="$PATH" ${environment} ${process.execPath} dist/client/commands/mlm-tail.js s -n 1 -e ${broker.endpoint}`,
      '/dev/null',
    ]);
    await child.line(/following the stream "s" at tcp:.*; Ctrl-C ends it/);
    await send('subject', Buffer.from('body \u001b[31m\u009b'));
    await child.waitForExit();
    return child.stdout;
  }

  it('it says what it does, and uses colours', async () => {
    const shown = await look('TERM=xterm-256color');
    expect(shown).toContain('\u001b[36msender\u001b[39m');
    expect(shown).toContain('body \u001b[2m\\x1b\u001b[22m[31m\u001b[2m\\x9b\u001b[22m');
  });

  it('it does without colours where NO_COLOR says so', async () => {
    const shown = await look('TERM=xterm-256color NO_COLOR=1');
    expect(shown).toMatch(/sender {2}subject {2}body \\x1b\[31m\\x9b/);
    expect(shown).not.toContain('\u001b');
  });
});
