// What the commands say when they are called wrongly or find no broker: one
// line that says what to do, a status that is not 0, and no stack.
import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { resultOf, startV1Peer, useCommands } from './commands-support.js';

const commands = useCommands();
/** Nobody listens there, and nobody can without being root. */
const NOWHERE = 'tcp://127.0.0.1:1';

async function fail(args: readonly string[], endpoint = NOWHERE): Promise<[number | null, string]> {
  const { code, stdout, stderr } = await commands.run(endpoint, args);
  expect(stdout).toBe('');
  expect(stderr).toMatch(/^[^\n]+\n$/);
  return [code, stderr.trimEnd()];
}

it.each([
  [['tial', 's'], 'mlm: there is no command "tial"; did you mean "tail"?'],
  [['xyzzy'], 'mlm: there is no command "xyzzy"; "mlm --help" lists the commands'],
  [['toString'], 'mlm: there is no command "toString"; "mlm --help" lists the commands'],
  [['--nonsense'], 'mlm: a command is missing; "mlm --help" lists the commands'],
  [['tail'], 'mlm: an argument is missing; "mlm tail --help" shows how it is called'],
  [['mlm-tail'], 'mlm-tail: an argument is missing; "mlm-tail --help" shows how it is called'],
  [['send', 's'], 'mlm: an argument is missing; "mlm send --help" shows how it is called'],
  [['tail', 's', '-n'], 'mlm: -n needs a value; "mlm tail --help" shows how it is called'],
  [
    ['send', 's', 'x', 'two', 'words'],
    'mlm: "words" is too much: put a text with spaces in quotes; "mlm send --help" shows how it is called',
  ],
  [
    ['tail', 's', '--follow'],
    'mlm: there is no option --follow: put -- before a text that begins with a dash; "mlm tail --help" shows how it is called',
  ],
  [
    ['mlm-tail', 's', '--connect-timeuot=4', '--no-thing', 'x'],
    'mlm-tail: there is no option --connect-timeuot, --no-thing: put -- before a text that begins with a dash; "mlm-tail --help" shows how it is called',
  ],
])('called as %j it says what is wrong', async (args, line) => {
  expect(await fail(args)).toEqual([2, line]);
});

it.each([
  [['tail', 's', '['], /"\[" is not a valid pattern: missing closing \]/],
  [['tail', 's', '*'], /"\*" is not a valid pattern/],
  [['tail', 's', '-n', '0'], /-n takes a whole number of messages/],
  [['tail', 's', '-n', 'many'], /-n takes a whole number .* not "many"/],
  [['tail', 's', '--json', '--raw'], /--json and --raw exclude each other/],
  [['inbox', ''], /an address must not be empty/],
  [['mail', 'a', 'b', 'c', '--timeout', '1.5'], /--timeout takes a whole number of milliseconds/],
  [['send', 's', 'x', '--json', '{broken'], /--json: the body is not JSON/],
  [
    ['ls', 'cursors'],
    /there is no list "cursors"; there are clients, streams, services, workers, mailboxes/,
  ],
  [['ping', '-e', 'localhost:9999'], /did you mean tcp:\/\/localhost:9999\?/],
  [
    ['ping', '-e', 'nonsense'],
    /"nonsense" is not an endpoint; write tcp:\/\/HOST:PORT or ipc:\/\/PATH/,
  ],
  [['ping', '-e', 'tcp://*:9999'], /is for listening/],
  [['ping', '-e', NOWHERE, '-e', NOWHERE], /--endpoint: give it once/],
])('called as %j it says what it takes', async (args, reason) => {
  const [code, line] = await fail(args);
  expect(code).toBe(2);
  expect(line).toMatch(reason);
});

it.each([
  [['tail', ''], /stream must not be empty/],
  [['tail', 'x'.repeat(256)], /stream takes 256 octets/],
  [['send', 's', 'x'.repeat(256), 'y'], /subject takes 256 octets/],
])('%j is more or less than the protocol carries', async (args, reason) => {
  const broker = await commands.broker();
  const [code, line] = await fail(args, broker.endpoint);
  expect(code).toBe(2);
  expect(line).toMatch(reason);
});

it.each([
  [['tail', 's']],
  [['mlm-tail', 's']],
  [['send', 's', 'x', 'y']],
  [['mail', 'a', 'x', 'y']],
  [['inbox', 'a']],
  [['request', 'a', 'x', 'y']],
  [['ls']],
  [['stats']],
  [['ping']],
])('%j without a broker says how to come by one', async (args) => {
  const [code, line] = await fail([...args, '--connect-timeout', '200']);
  expect(code).toBe(1);
  expect(line).toMatch(
    /^mlm(-tail)?: no broker answers at tcp:\/\/127\.0\.0\.1:1 \(from MLM_ENDPOINT\); start one with "mlm broker", or name the one that runs with -e ENDPOINT$/,
  );
});

it('an endpoint of the option is not blamed on the environment', async () => {
  const [code, line] = await fail(['ping', '-e', 'tcp://127.0.0.1:2', '--connect-timeout', '200']);
  expect([code, line]).toEqual([
    1,
    'mlm: no broker answers at tcp://127.0.0.1:2; check the endpoint and that the broker runs',
  ]);
});

it('Ctrl-C ends the waiting for a broker', async () => {
  // Something listens, and says nothing: it is no broker.
  const connections: Socket[] = [];
  const listener = createServer((connection) => connections.push(connection)).listen(
    0,
    '127.0.0.1',
  );
  await once(listener, 'listening');
  const { port } = listener.address() as AddressInfo;
  const endpoint = `tcp://127.0.0.1:${port}`;
  const ping = await commands.begin(endpoint, ['ping', '--connect-timeout', '60000']);
  await once(listener, 'connection');
  ping.signal('SIGINT');
  expect(await resultOf(ping)).toEqual({ code: 130, signal: null, stdout: '', stderr: '' });
  for (const connection of connections) connection.destroy();
  listener.close();
});

it('an input that cannot be read is an error', async () => {
  const broker = await commands.broker();
  const { code, stderr } = await commands.shell(broker.endpoint, '$MLM send s x - < .');
  expect([code, stderr]).toEqual([1, 'mlm: cannot read standard input: it is a directory\n']);
});

it('an output that cannot be written is an error', async () => {
  const broker = await commands.broker();
  const { code, stderr } = await commands.shell(broker.endpoint, '$MLM ping > /dev/full');
  expect(code).toBe(1);
  expect(stderr).toMatch(/^mlm: cannot write the output: ENOSPC[^\n]*\n$/);
});

it('help into a closed pipe is no error', async () => {
  const { code, stderr } = await commands.shell(NOWHERE, '$MLM --help | head -1');
  expect([code, stderr]).toEqual([0, '']);
});

it.each([['ls'], ['stats']])('%s: a broker that tells nothing about itself', async (name) => {
  const peer = await startV1Peer();
  try {
    const [code, line] = await fail([name], peer.endpoint);
    expect([code, line]).toEqual([
      1,
      `mlm: the broker at ${peer.endpoint} does not tell about itself: it has no service "$broker", as the C broker`,
    ]);
  } finally {
    await peer.close();
  }
});
