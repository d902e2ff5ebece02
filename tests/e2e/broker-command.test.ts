// `mlm-broker` as a real process: what it says where it is called wrongly or
// cannot start, with which status it ends, and that it lives on where its log,
// its disk or its file descriptors give out.
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect as dial, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { connect, type MlmClient } from '../../client/index.js';
import { BROKER, startBrokerProcess } from '../support/broker-process.js';
import { PATIENCE_MS, readReadyFile, useProcesses, type Child } from '../support/processes.js';
import { useRawClients } from '../support/raw-client.js';
import { failureOf, range } from '../support/sessions.js';
import { until } from '../support/until.js';

const MLM = join(process.cwd(), 'dist', 'client', 'commands', 'mlm.js');
const ANY_PORT = ['--bind', 'tcp://127.0.0.1:*'];
const HELP = '"mlm-broker --help" lists the options';
const LISTENING = /^listening on tcp:/;

const clients = new Set<MlmClient>();
const sockets = new Set<Socket>();

afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  sockets.clear();
  await Promise.all([...clients].map((client) => client.close()));
  clients.clear();
});
const rawClients = useRawClients();
// The broker is ended last.
const processes = useProcesses();

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

async function run(args: readonly string[], env: Record<string, string> = {}): Promise<Ended> {
  const child = await processes.start(process.execPath, [BROKER, ...args], { env });
  const { code } = await child.waitForExit();
  return { code, stdout: child.stdout, stderr: child.stderr };
}

/** What it says on one line, with which status it ends, and that it says nothing else. */
async function fails(args: readonly string[], env?: Record<string, string>) {
  const { code, stdout, stderr } = await run(args, env);
  expect(stdout).toBe('');
  expect(stderr).toMatch(/^mlm-broker: [^\n]+\n$/);
  return { code, line: stderr.slice('mlm-broker: '.length, -1) };
}

async function client(endpoint: string): Promise<MlmClient> {
  const made = await connect(endpoint, { connectTimeoutMs: PATIENCE_MS });
  clients.add(made);
  return made;
}

it('says its version', async () => {
  const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
  expect(await run(['--version'])).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' });
});

it.each([
  [['--log-levle', 'debug'], `there is no option --log-levle; did you mean --log-level?; ${HELP}`],
  [['--timeout', '1', '--timeout', '2'], '--timeout: give it once'],
  [['--ephemeral=maybe'], '--ephemeral: "maybe" is not true or false'],
])('called with %j it says what is wrong, with status 2', async (args, line) => {
  expect(await fails(args)).toEqual({ code: 2, line });
});

it('a wrong value in its environment or its config file has status 2 too, and a wrong rule', async () => {
  const file = join(processes.folder(), 'broker.yaml');
  writeFileSync(file, `data: ${file}.data\nstreams:\n  - match: "["\n`);
  expect(await fails([], { MLM_TIMEOUT: 'soon' })).toEqual({
    code: 2,
    line: 'MLM_TIMEOUT: "soon" is not a whole number from 100 to 86400000',
  });
  const wrong = await fails(['--config', file]);
  expect(wrong).toMatchObject({ code: 2 });
  expect(wrong.line).toContain(`${file}: streams[0]: `);
});

it('what it cannot do has status 1, and a line that says why', async () => {
  const server = createServer();
  const port = await new Promise<number>((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve((server.address() as { port: number }).port));
  });
  const used = `tcp://127.0.0.1:${port}`;
  const inUse = await fails(['--ephemeral', '--bind', used]);
  server.close();
  expect(inUse).toMatchObject({ code: 1 });
  expect(inUse.line).toContain(`cannot listen on ${used}: the address is in use`);

  const nowhere = await fails([...ANY_PORT, '--data', '/proc/nothing/here']);
  expect(nowhere).toMatchObject({ code: 1 });
  expect(nowhere.line).toContain('cannot make the data directory /proc/nothing/here: ENOENT');

  const readyFile = join(processes.folder(), 'nowhere', 'ready.json');
  const unready = await fails([...ANY_PORT, '--ephemeral', '--ready-file', readyFile]);
  expect(unready).toMatchObject({ code: 1 });
  expect(unready.line).toContain(`cannot write the ready file ${readyFile}: ENOENT`);
});

it('names the commands as a shell finds them', async () => {
  const bin = processes.folder();
  writeFileSync(join(bin, 'mlm-tail'), '#!/bin/sh\n');
  chmodSync(join(bin, 'mlm-tail'), 0o755);
  const child = await processes.start(process.execPath, [BROKER, ...ANY_PORT, '--ephemeral'], {
    env: { PATH: bin },
    readyLine: LISTENING,
  });
  expect(await child.line(/mlm-tail/)).toContain('  mlm-tail -e tcp');
});

const isListening = ({ stdout }: Child): boolean => stdout.startsWith('listening on tcp:');

it('of brokers that start on one data directory at the same moment one runs', async () => {
  const data = join(processes.folder(), 'data');
  const args = [BROKER, ...ANY_PORT, '--data', data];
  const children = await Promise.all(
    Array.from({ length: 4 }, () => processes.start(process.execPath, args)),
  );
  const running = (): Child[] => children.filter(({ exit }) => exit === undefined);
  await until(() => running().length <= 1 && children.some(isListening));
  expect(running()).toHaveLength(1);
  for (const child of children) {
    if (child === running()[0]) continue;
    expect(child.exit?.code).toBe(1);
    expect(child.stderr).toContain('data is in use by another broker; stop that one, or choose');
  }
});

it('removes its ready file at SIGTERM, and only its own', async () => {
  const readyFile = join(processes.folder(), 'ready.json');
  const args = [BROKER, ...ANY_PORT, '--ephemeral', '--ready-file', readyFile];
  const first = await processes.start(process.execPath, args, { readyFile });
  expect(await first.stop()).toEqual({ code: 0, signal: null });
  expect(existsSync(readyFile)).toBe(false);
  const second = await processes.start(process.execPath, args, { readyFile });
  writeFileSync(readyFile, '{"pid": 1, "endpoints": []}');
  expect(await second.stop()).toEqual({ code: 0, signal: null });
  expect(existsSync(readyFile)).toBe(true);
});

describe('while a client does not read what waits for it', () => {
  async function startWithDeaf(drainMs: number): Promise<Child> {
    const patient = { timeout: 3_600_000, 'drain-timeout': drainMs };
    const { child, endpoint } = await startBrokerProcess(processes, patient);
    await rawClients.open(endpoint, 'deaf', { receiveHighWaterMark: 1 });
    const sender = await client(endpoint);
    const body = Buffer.alloc(10_000);
    await Promise.all(range(1, 5000).map((n) => sender.sendTo('deaf', `${n}`, body)));
    return child;
  }

  it('ends at once at a second signal', async () => {
    const child = await startWithDeaf(600_000);
    child.signal('SIGTERM');
    expect(await child.signalAgain('SIGTERM')).toEqual({ code: 130, signal: null });
  });

  it('takes a Ctrl-C that npm hands on beside the terminal for one', async () => {
    const child = await startWithDeaf(1000);
    // Both wait for it when it goes on: to it they come at the same moment, however busy we are.
    child.signal('SIGSTOP');
    child.signal('SIGINT');
    child.signal('SIGTERM');
    child.signal('SIGCONT');
    expect(await child.waitForExit()).toEqual({ code: 0, signal: null });
  });
});

it('goes on where nobody reads its output any more', async () => {
  const { child, endpoint } = await startBrokerProcess(processes, { 'log-level': 'debug' });
  child.closeOutput();
  child.closeErrors();
  for (let round = 0; round < 3; round++) await (await client(endpoint)).close();
  await (await client(endpoint)).ping();
  expect(await child.stop()).toEqual({ code: 0, signal: null });
});

it('says once that it has no file descriptor left, and serves those who are there', async () => {
  const readyFile = join(processes.folder(), 'ready.json');
  const words = [process.execPath, BROKER, ...ANY_PORT, '--ephemeral', '--ready-file', readyFile];
  const child = await processes.start('sh', ['-c', 'ulimit -n 256 && exec "$@"', 'sh', ...words], {
    readyFile,
  });
  const { endpoints } = readReadyFile(readyFile) as { endpoints: [string] };
  const first = await client(endpoints[0]);
  const port = Number(endpoints[0].split(':').at(-1));
  for (let n = 0; n < 300; n++) {
    sockets.add(dial(port, '127.0.0.1').on('error', () => undefined));
  }
  await child.stderrMatch(/"level":"warn","message":"no file descriptor is left: who connects/);
  await first.ping();
  expect(await first.stream('s').send('x')).toEqual({ sequence: 1 });
  for (const socket of sockets) socket.destroy();
  await child.stderrMatch(/there are file descriptors again/);
  await (await client(endpoints[0])).ping();
  expect(child.stderr.match(/no file descriptor is left/g)).toHaveLength(1);
});

// Mounting needs root; elsewhere this is what `npm test` leaves out.
(process.getuid?.() === 0 ? it : it.skip)(
  'a full disk is told by lines of the log alone',
  async () => {
    const disk = join(processes.folder(), 'disk');
    mkdirSync(disk);
    spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', disk]);
    try {
      const { child, endpoint } = await startBrokerProcess(processes, { data: join(disk, 'data') });
      const stream = (await client(endpoint)).stream('s');
      const body = Buffer.alloc(100_000);
      await until(async () => (await failureOf(stream.send('x', body))).code === 'REFUSED');
      for (let more = 0; more < 20; more++) await failureOf(stream.send('x', body));
      expect(await child.stop()).toEqual({ code: 0, signal: null });
      const lines = child.stderr.split('\n').filter((line) => line !== '' && !isOfLmdb(line));
      const logged = lines.map((line) => JSON.parse(line) as { message: string });
      const told = logged.filter(({ message }) => message.startsWith('the store takes nothing'));
      expect(told).toMatchObject([{ level: 'error', why: 'the disk is full, or fails' }]);
    } finally {
      spawnSync('umount', ['-l', disk]);
    }
  },
);

/** A line that LMDB's own code writes where the disk takes nothing at all: it cannot be kept from that. */
function isOfLmdb(line: string): boolean {
  return line.startsWith('Write error: ');
}

it('`mlm broker` is the same, by its own name', async () => {
  const child = await processes.start(process.execPath, [MLM, 'broker', '--timeout', 'soon']);
  expect(await child.waitForExit()).toEqual({ code: 2, signal: null });
  expect(child.stderr).toBe(
    'mlm broker: --timeout: "soon" is not a whole number from 100 to 86400000\n',
  );
});
