// `mlm send`, `mail`, `inbox`, `request`, `ls`, `stats` and `ping` as real
// processes, against a real broker.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { encode } from '@msgpack/msgpack';
import type { Message, MlmClient } from '../../client/index.js';
import { PATIENCE_MS } from '../support/processes.js';
import { resultOf, useCommands, type Broker, type Result } from './commands-support.js';
import { until } from '../support/until.js';

const commands = useCommands();

let broker: Broker;
let client: MlmClient;
beforeEach(async () => {
  broker = await commands.broker();
  client = await commands.client(broker.endpoint, 'tester');
});

const run = (...args: string[]): Promise<Result> => commands.run(broker.endpoint, args);
const done = { code: 0, signal: null, stdout: '', stderr: '' };

/** The next message of an iteration. */
async function next<M extends Message>(messages: AsyncIterator<M, undefined>): Promise<M> {
  const result = await messages.next();
  if (result.done === true) throw new Error('there is no next message');
  return result.value;
}

describe('mlm send', () => {
  let received: AsyncIterator<Message, undefined>;
  beforeEach(async () => {
    const reader = client.stream('s').read();
    await reader.ready;
    received = reader;
  });

  it('sends a text', async () => {
    expect(await run('send', 's', 'hello.world', 'it works: é')).toEqual(done);
    const message = await next(received);
    expect([message.subject, message.text()]).toEqual(['hello.world', 'it works: é']);
    expect(message.sender).toMatch(/^mlm-send-/);
  });

  it.each([['42'], ['007'], ['"quoted"'], [''], ['a=b'], ['-5']])(
    'leaves the text %j as it is',
    async (text) => {
      expect(await run('send', 's', text === '' ? 'x' : text, text)).toEqual(done);
      const message = await next(received);
      expect(message.content).toEqual([Buffer.from(text)]);
    },
  );

  it('sends what begins with a dash, after --', async () => {
    expect(await run('send', '--', 's', '--subject', '--json')).toEqual(done);
    const message = await next(received);
    expect([message.subject, message.text()]).toEqual(['--subject', '--json']);
  });

  it('sends a value', async () => {
    expect(await run('send', 's', 'value', '--json', '{"celsius": 4.5, "tags": [null]}')).toEqual(
      done,
    );
    expect((await next(received)).value()).toEqual({ celsius: 4.5, tags: [null] });
  });

  it('sends its input, byte for byte, with and without a dash', async () => {
    const file = join(commands.folder(), 'body');
    const bytes = Buffer.alloc(1_000_000, Buffer.from([0xff, 0x00, 0x0d, 0x0a, 0x1b]));
    writeFileSync(file, bytes);
    for (const line of [`$MLM send s a - < ${file}`, `cat ${file} | $MLM send s b`]) {
      expect(await commands.shell(broker.endpoint, line)).toEqual(done);
      const { content } = await next(received);
      expect(content).toHaveLength(1);
      expect(content[0]!.equals(bytes)).toBe(true);
    }
  });

  it('sends no body where there is none', async () => {
    expect(await commands.shell(broker.endpoint, '$MLM send s nothing < /dev/null')).toEqual(done);
    expect((await next(received)).content).toEqual([]);
  });

  it('has sent the message when it ends', async () => {
    for (const text of ['1', '2', '3']) await run('send', 's', 'n', text);
    const stats = (await client.request('$broker', 'stats')).value();
    expect(stats).toMatchObject({ streamMessages: 3 });
    for (const text of ['1', '2', '3']) expect((await next(received)).text()).toBe(text);
  });
});

describe('mlm mail', () => {
  it('sends mail that waits for its receiver', async () => {
    expect(await run('mail', 'alice', 'hello', 'see you')).toEqual(done);
    const alice = await commands.client(broker.endpoint, 'alice');
    const mail = await next(alice.mailbox());
    expect([mail.subject, mail.text(), mail.tracker]).toEqual(['hello', 'see you', '']);
  });

  it('waits for the confirmation', async () => {
    const command = await commands.begin(broker.endpoint, [
      'mail',
      'alice',
      'hello',
      'x',
      '--confirm',
    ]);
    const alice = await commands.client(broker.endpoint, 'alice');
    const mail = await next(alice.mailbox());
    expect(command.exit).toBeUndefined();
    await mail.confirm();
    expect(await resultOf(command)).toEqual(done);
  });

  it('fails where the receiver refuses, or says nothing', async () => {
    const command = await commands.begin(broker.endpoint, [
      'mail',
      'alice',
      'hello',
      'x',
      '--confirm',
    ]);
    const alice = await commands.client(broker.endpoint, 'alice');
    await (await next(alice.mailbox())).reject('not today');
    const refused = await resultOf(command);
    expect([refused.code, refused.stdout]).toEqual([1, '']);
    expect(refused.stderr).toMatch(/^mlm: .*refused.*not today\n$/);

    const silent = await run('mail', 'bob', 'hello', 'x', '--confirm', '--timeout', '200');
    expect(silent.code).toBe(1);
    expect(silent.stderr).toMatch(
      /^mlm: ("bob" did not confirm the mail in time|nobody took the mail to "bob" in time: it is discarded)\n$/,
    );
  });

  it('ends at Ctrl-C while it waits', async () => {
    const command = await commands.begin(broker.endpoint, [
      'mail',
      'bob',
      'hello',
      'x',
      '--confirm',
    ]);
    await until(async () => {
      const rows = (await client.request('$broker', 'mailboxes')).value();
      return (rows as { mailbox: string }[]).some(({ mailbox }) => mailbox === 'bob');
    }, 'mail for bob');
    command.signal('SIGINT');
    expect(await resultOf(command)).toEqual({ ...done, code: 130 });
  });
});

describe('mlm inbox', () => {
  it('prints what waits, and what comes', async () => {
    await client.sendTo('alice', 'first', Buffer.from('one'));
    const inbox = await commands.begin(broker.endpoint, ['inbox', 'alice', '-n', '2']);
    expect(await inbox.line()).toMatch(/ {2}tester {2}first {2}one$/);
    await client.sendTo('alice', 'second', { n: 2 });
    expect(await inbox.line()).toMatch(/ {2}tester {2}second {2}\{"n": 2\}$/);
    expect(await resultOf(inbox)).toMatchObject({ code: 0, stderr: '' });
  });

  it('prints JSON', async () => {
    await client.sendTo('alice', 'first', ['x']);
    const { stdout } = await run('inbox', 'alice', '-n', '1', '--json');
    expect(JSON.parse(stdout)).toMatchObject({
      mailbox: 'alice',
      sender: 'tester',
      subject: 'first',
      encoding: 'msgpack',
      body: ['x'],
    });
  });

  it('confirms what it has printed', async () => {
    const sent = client.sendTo('alice', 'hello', 'x', { confirm: true, timeoutMs: PATIENCE_MS });
    expect((await run('inbox', 'alice', '-n', '1')).code).toBe(0);
    await expect(sent).resolves.toBeUndefined();
  });

  it('leaves what it does not print in the mailbox', async () => {
    for (const subject of ['a', 'b', 'c']) await client.sendTo('alice', subject, 'x');
    for (const subject of ['a', 'b', 'c']) {
      const { code, stdout, stderr } = await run('inbox', 'alice', '-n', '1');
      expect([code, stderr]).toEqual([0, '']);
      expect(stdout).toMatch(new RegExp(`^\\S+ {2}tester {2}${subject} {2}"x"\\n$`));
    }
  });

  it('leaves mail in the mailbox that nobody could read', async () => {
    await client.sendTo('alice', 'first', 'x');
    const { code } = await commands.shell(broker.endpoint, '$MLM inbox alice -n 1 > /dev/full');
    expect(code).toBe(1);
    expect((await run('inbox', 'alice', '-n', '1')).stdout).toContain('first');
  });

  it('ends at Ctrl-C', async () => {
    await client.sendTo('alice', 'first', 'x');
    const inbox = await commands.begin(broker.endpoint, ['inbox', 'alice']);
    await inbox.line(/first/);
    inbox.signal('SIGINT');
    expect(await resultOf(inbox)).toMatchObject({ code: 0, stderr: '' });
  });
});

describe('mlm request', () => {
  beforeEach(async () => {
    await client.offer('echo', ({ subject, content }) => {
      if (subject === 'fail') throw new Error('cannot \u001b[2J');
      return subject === 'bytes' ? Buffer.from([0xff, 0x00]) : content;
    });
  });

  it('prints the reply', async () => {
    const text = await run('request', 'echo', 'say', 'two\nlines \u001b[2J');
    expect(text).toEqual({ ...done, stdout: 'two\nlines \\x1b[2J\n' });
    const value = await run('request', 'echo', 'say', '--json', '{"a":[1]}');
    expect(value).toEqual({ ...done, stdout: '{"a": [1]}\n' });
    const bytes = await run('request', 'echo', 'bytes', 'x');
    expect(bytes).toEqual({ ...done, stdout: '(2 bytes) ff 00\n' });
  });

  it('passes bytes in and out', async () => {
    const line = 'printf "\\377\\001\\002" | $MLM request echo say - --raw | od -An -tx1';
    const { stdout } = await commands.shell(broker.endpoint, line);
    expect(stdout.trim()).toBe('ff 01 02');
  });

  it.each([
    ['the worker fails', ['echo', 'fail', 'x'], /^mlm: [^\n]*failed[^\n]*cannot \\x1b\[2J\n$/],
    [
      'there is no worker',
      ['nobody', 'do', 'x', '--timeout', '200'],
      // A command that stands still for a second says first that it waits.
      /^(mlm: no worker offers [^\n]*\n)?mlm: (no worker of the service "nobody" took the request|[^\n]*"nobody": no answer) within 200 ms\n$/,
    ],
  ])('says why where %s', async (_what, args, reason) => {
    const { code, stdout, stderr } = await run('request', ...args);
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(reason);
  });

  it('says so where the broker goes away', async () => {
    const command = await commands.begin(broker.endpoint, ['request', 'nobody', 'do', 'x']);
    await until(async () => {
      const rows = (await client.request('$broker', 'services')).value();
      return (rows as { service: string }[]).some(({ service }) => service === 'nobody');
    }, 'a request');
    await broker.child.stop();
    const { code, stderr } = await resultOf(command);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^(mlm: no worker [^\n]*\n)?mlm: [^\n]*lost[^\n]*\n$/);
  });

  it('says that it waits where no worker takes the request yet', async () => {
    const request = ['request', 'late', 'do', 'x'];
    const command = await commands.begin(broker.endpoint, [...request, '--timeout', '55000']);
    await command.stderrMatch(
      /^mlm: no worker offers the service "late" yet; the request waits for one, 55 s at most$/m,
    );
    await client.offer('late', { pattern: '^other' }, () => 'other');
    const other = await commands.begin(broker.endpoint, request);
    await other.stderrMatch(
      /^mlm: no worker of the service "late" takes the subject "do" yet; .* 30 s at most$/m,
    );
    await (await commands.client(broker.endpoint)).offer('late', () => 'done');
    expect((await resultOf(command)).stdout).toBe('"done"\n');
    expect((await resultOf(other)).stdout).toBe('"done"\n');
  });
});

describe('mlm ls', () => {
  beforeEach(async () => {
    await client.stream('weather').read({ pattern: '^temp' }).ready;
    await client.offer('resize', () => undefined);
    await client.sendTo('evil \u001b[2J', 'x', 'y');
    await client.ping();
  });

  it('lists everything, harmlessly', async () => {
    const { code, stdout } = await run('ls');
    expect(code).toBe(0);
    expect(stdout).toMatch(/^clients\nADDRESS .*\n(.*\n)*tester .* resize .*\n/);
    expect(stdout).toMatch(/\nstreams\nSTREAM .*\nweather /);
    expect(stdout).toMatch(/\nservices\nSERVICE .*\nresize /);
    expect(stdout).toMatch(/\nmailboxes\nMAILBOX .*\nevil \\x1b\[2J /);
  });

  it('lists one kind', async () => {
    const { stdout } = await run('ls', 'services');
    expect(stdout.split('\n')).toHaveLength(3);
    expect(stdout).toMatch(/^SERVICE .*\nresize /);
  });

  it('prints JSON', async () => {
    const list = await run('ls', 'streams', '--json');
    expect(JSON.parse(list.stdout)).toMatchObject([{ stream: 'weather', readers: 1 }]);
    const all = await run('ls', '--json');
    expect(Object.keys(JSON.parse(all.stdout) as object)).toEqual([
      'clients',
      'streams',
      'services',
      'workers',
      'mailboxes',
    ]);
  });
});

it('mlm stats says how the broker is', async () => {
  const { code, stdout } = await run('stats');
  expect(code).toBe(0);
  expect(stdout).toMatch(/^uptime +\d+ (ms|s)/);
  const json = await run('stats', '--json');
  expect(JSON.parse(json.stdout)).toMatchObject({ pid: broker.child.pid, streamMessages: 0 });
});

it('mlm ping says how long the broker takes', async () => {
  const { code, stdout, stderr } = await run('ping');
  expect([code, stderr]).toEqual([0, '']);
  expect(stdout).toMatch(/^tcp:\S+ answers: session open in [\d.]+ ms, ping in [\d.]+ ms\n$/);
});

it('mlm broker starts a broker that the other commands find', async () => {
  const started = await commands.begin(undefined, [
    'broker',
    '--bind',
    'tcp://127.0.0.1:*',
    '--ephemeral',
  ]);
  const [, endpoint] = /listening on (\S+)/.exec(await started.line(/^listening on/)) ?? [];
  const ping = await commands.run(endpoint, ['ping']);
  expect([ping.code, ping.stdout]).toEqual([0, expect.stringContaining(endpoint!)]);
  expect((await started.stop()).code).toBe(0);
});

it('the endpoint of the option is stronger than the environment', async () => {
  const { code } = await commands.run('tcp://127.0.0.1:1', ['ping', '-e', broker.endpoint]);
  expect(code).toBe(0);
});

it('values written elsewhere are read', async () => {
  const frame = Buffer.from(encode({ sent: 'by hand' }));
  await client.sendTo('alice', 'raw', frame);
  const { stdout } = await run('inbox', 'alice', '-n', '1');
  expect(stdout).toContain('{"sent": "by hand"}');
});
