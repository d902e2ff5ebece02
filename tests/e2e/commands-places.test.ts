// `mlm tail` from, up to and into places, as real processes against a real
// broker: the log of a stream, a cursor, a file.
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { MlmClient } from '../../client/index.js';
import { PATIENCE_MS, type Child } from '../support/processes.js';
import { range } from '../support/sessions.js';
import {
  MLM,
  resultOf,
  untilRead,
  useCommands,
  type Broker,
  type Result,
} from './commands-support.js';

const commands = useCommands();

let broker: Broker;
let client: MlmClient;
beforeEach(async () => {
  broker = await commands.broker();
  client = await commands.client(broker.endpoint, 'sender');
});

const tail = (...args: string[]): Promise<Result> =>
  commands.run(broker.endpoint, ['tail', ...args]);

/** Sends messages with the subjects `n.1`, `n.2` and so on. */
async function send(first: number, last: number): Promise<void> {
  for (let n = first; n <= last; n++) await client.stream('s').send(`n.${n}`, { n });
}

/** The subjects of the lines that a command printed. */
function subjects({ stdout }: { readonly stdout: string }): string[] {
  return stdout.split('\n').flatMap((line) => /n\.\d+/.exec(line)?.[0] ?? []);
}

it('prints what lies between two places, and ends', async () => {
  await send(1, 3);
  const betweenMs = Date.now() + 1;
  while (Date.now() <= betweenMs) await client.ping();
  await send(4, 5);
  const between = new Date(betweenMs).toISOString();
  for (const [args, expected] of [
    [
      ['n.[234]', '--from', 'earliest', '--until', 'now', '--json'],
      [2, 3, 4],
    ],
    [
      ['--from', '1h', '--until', between],
      [1, 2, 3],
    ],
    [['--from', 'last:2', '-n', '1', '--until', '5'], [4]],
  ] as const) {
    const result = await tail('s', ...args);
    expect(result).toMatchObject({ code: 0, stderr: '' });
    expect(subjects(result)).toEqual(expected.map((n) => `n.${n}`));
  }
});

it('prints what is there, then what comes, until it is ended', async () => {
  await send(1, 2);
  const child = await commands.begin(broker.endpoint, ['tail', 's', '--from', '2']);
  await child.line(/n\.2/);
  await send(3, 3);
  await child.line(/n\.3/);
  child.signal('SIGINT');
  expect((await resultOf(child)).code).toBe(0);
  const early = await commands.begin(broker.endpoint, ['tail', 's', '--from', '1', '--until', '9']);
  await early.line(/n\.3/);
  early.signal('SIGINT');
  expect((await resultOf(early)).code).toBe(130);
});

it('goes on after what a cursor has seen', async () => {
  await send(1, 3);
  const since = ['s', '--cursor', 'c', '--from', 'earliest', '--until', 'now'];
  expect(subjects(await tail(...since, '-n', '2'))).toEqual(['n.1', 'n.2']);
  expect(await client.cursors('s')).toMatchObject([{ name: 'c', sequence: 2 }]);
  await send(4, 4);
  expect(subjects(await tail(...since))).toEqual(['n.3', 'n.4']);
  expect(await tail(...since)).toEqual({ code: 0, signal: null, stdout: '', stderr: '' });
  const following = await commands.begin(broker.endpoint, ['mlm-tail', 's', '--cursor', 'c']);
  await untilRead(client, 's');
  await send(5, 5);
  await following.line(/n\.5/);
  following.signal('SIGTERM');
  await resultOf(following);
  expect(await client.cursors('s')).toMatchObject([{ name: 'c', sequence: 5 }]);
});

describe('it records', () => {
  it('what it prints, and overwrites no file unasked', async () => {
    const file = join(commands.folder(), 'a.rec');
    await send(1, 2);
    const args = ['s', '--from', 'earliest', '--until', 'now', '--record', file];
    const recorded = await tail(...args, '--raw');
    expect(recorded).toMatchObject({ code: 0, stderr: '' });
    expect(recorded.stdout).not.toBe('');
    const text = readFileSync(file, 'utf8');
    const [head, ...lines] = text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as object);
    expect(head).toMatchObject({ format: 'malamute-recording', version: 1, stream: 's' });
    expect(lines).toMatchObject([
      { sequence: 1, sender: 'sender', subject: 'n.1', frames: ['gaFuAQ=='] },
      { sequence: 2, sender: 'sender', subject: 'n.2', frames: ['gaFuAg=='] },
      { end: true, messages: 2 },
    ]);
    const again = await tail(...args);
    expect(again).toMatchObject({
      code: 1,
      stdout: '',
      stderr: `mlm: ${file} is there already: --force overwrites it\n`,
    });
    expect(readFileSync(file, 'utf8')).toBe(text);
    expect((await tail(...args, '--force', '-n', '1')).code).toBe(0);
    expect(readFileSync(file, 'utf8')).toMatch(/\{"end":true,"messages":1\}\n$/);
  });

  it('no file where there is nothing to read', async () => {
    const file = join(commands.folder(), 'a.rec');
    const { code, stderr } = await tail('none', '--until', 'now', '--record', file);
    expect([code, stderr]).toEqual([1, 'mlm: the broker refused: there is no stream none\n']);
    expect(existsSync(file)).toBe(false);
  });

  it('whole messages only where there is no more room', async () => {
    const file = join(commands.folder(), 'a.rec');
    for (let n = 1; n <= 20; n++) await client.stream('s').send('x', Buffer.alloc(10_000, n));
    // In blocks of 1024 octets.
    const line = `ulimit -f 64; $MLM tail s --from earliest --until now --cursor c --record ${file}`;
    const { code, stderr } = await commands.shell(broker.endpoint, `${line} > /dev/null`);
    expect(code).toBe(1);
    // How many of them come at once is the broker's business.
    const [, count] =
      /^mlm: cannot write .*a\.rec: .*; (\d) messages? are in it\n$/.exec(stderr) ?? [];
    const lines = readFileSync(file, 'utf8').split('\n');
    expect(lines.pop()).toBe('');
    const [head, ...messages] = lines.map((line) => JSON.parse(line) as { sequence: number });
    expect(head).toMatchObject({ format: 'malamute-recording' });
    expect(messages.map(({ sequence }) => sequence)).toEqual(range(1, Number(count)));
    expect(await client.cursors('s')).toMatchObject([{ sequence: Number(count) }]);
  });

  it('into what has no room at all', async () => {
    await send(1, 1);
    const { code, stderr } = await tail('s', '--from', '1', '--record', '/dev/full', '--force');
    expect([code, stderr]).toEqual([
      1,
      'mlm: cannot write /dev/full: there is no room left; 0 messages are in it\n',
    ]);
  });
});

describe('on a terminal', () => {
  /** Runs a tail in a pseudo-terminal. */
  function onTerminal(args: string): Promise<Child> {
    const call = `exec ${process.execPath} ${MLM} tail s -e ${broker.endpoint} ${args}`;
    return commands.start('script', ['-qec', call, '/dev/null']);
  }

  it('it shows how far it has come, and takes that away at the end', async () => {
    const slow = join(commands.folder(), 'slow');
    const many = 20_000;
    for (let n = 1; n <= many; n++) client.stream('s').publish('x', Buffer.alloc(200));
    await client.flush();
    // A reader that takes its time, so that the bar comes whatever the machine is.
    writeFileSync(slow, '');
    const fifo = join(commands.folder(), 'fifo');
    const reading = commands.shell(
      broker.endpoint,
      `mkfifo ${fifo}; { head -c 100000 > /dev/null; until [ ! -e ${slow} ]; do sleep 0.1; done; cat > /dev/null; } < ${fifo}`,
    );
    while (!existsSync(fifo)) await client.ping();
    const child = await onTerminal(`--from earliest --until now > ${fifo}`);
    await child.until(
      'a bar',
      PATIENCE_MS,
      () => /of 20,000 messages, [\d,]+\/s/.exec(child.stdout)?.[0],
      20,
    );
    expect(child.stdout).toMatch(/[█░]{24} \d+ % {2}[\d,]+ of 20,000 messages, /);
    rmSync(slow);
    expect((await child.waitForExit()).code).toBe(0);
    expect((await reading).code).toBe(0);
    // The line is cleared last.
    expect(child.stdout.trimEnd().endsWith('\u001b[2K')).toBe(true);
  });

  it('it shows none where the messages go to the same terminal', async () => {
    await send(1, 2);
    const shown = await resultOf(await onTerminal('--from earliest --until now'));
    expect(subjects(shown)).toEqual(['n.1', 'n.2']);
    expect(shown.stdout).not.toContain('of 2 messages');
  });
});
