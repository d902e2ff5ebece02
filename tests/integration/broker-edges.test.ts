// The broker where its surroundings are unlucky: endpoints that others have, a
// data directory that goes away under it, a disk without room at the start.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startBroker, type Logger } from '../../broker/index.js';
import { failureOf, World } from '../support/sessions.js';
import { until, untilPasses } from '../support/until.js';

const world = new World();
let folder = '';

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'malamute-test-'));
});
afterEach(async () => {
  await world.close();
  rmSync(folder, { recursive: true, force: true });
});

describe('an endpoint', () => {
  it('that is the local path of a broker that runs stays with it', async () => {
    world.endpoint = `ipc://${join(folder, 'broker')}`;
    await world.broker();
    const client = await world.client();
    await expect(startBroker({ bind: [world.endpoint] })).rejects.toThrow(
      `cannot listen on ${world.endpoint}: another program listens on it`,
    );
    await client.ping();
    await (await world.client()).ping();
  });

  it('takes the path of a broker that was killed', async () => {
    const path = join(folder, 'broker');
    const listens = `require('net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`;
    spawnSync(process.execPath, ['-e', listens]);
    expect(existsSync(path)).toBe(true);
    world.endpoint = `ipc://${path}`;
    await world.broker();
    await (await world.client()).ping();
  });

  it('does not take the place of a file', async () => {
    const path = join(folder, 'letter.txt');
    writeFileSync(path, 'dear broker');
    await expect(startBroker({ bind: [`ipc://${path}`] })).rejects.toThrow('no socket');
    expect(readFileSync(path, 'utf8')).toBe('dear broker');
  });

  it('that the broker itself listens on already is said to be its own', async () => {
    await untilPasses(async () => {
      // Free a moment ago: where another program has taken it, another one will do.
      const port = await freePort();
      const bind = [`tcp://127.0.0.1:${port}`, `tcp://*:${port}`];
      const { message } = await failureOf(startBroker({ bind }));
      expect(message).toContain(
        `cannot listen on tcp://*:${port}: this broker listens on tcp://127.0.0.1:${port} already`,
      );
    });
  });

  it.each(['ipc:///nowhere/at/all', 'ipc:///proc/broker'])(
    'where nothing can be made is named: %s',
    async (endpoint) => {
      await expect(startBroker({ bind: [endpoint] })).rejects.toThrow(
        `cannot listen on ${endpoint}: there is no such folder, or nothing can be made in it`,
      );
    },
  );
});

describe('a data directory that is removed under a broker', () => {
  it('takes nothing more: senders are told, once in the log, and the broker still stops', async () => {
    const data = join(folder, 'data');
    const errors: string[] = [];
    const broker = await startBroker(
      { bind: ['tcp://127.0.0.1:*'], data, 'drain-timeout': 0 },
      { log: logTo(errors) },
    );
    try {
      world.endpoint = broker.endpoints[0]!;
      const client = await world.client();
      expect(await client.stream('s').send('kept')).toEqual({ sequence: 1 });
      rmSync(data, { recursive: true });
      for (let sent = 0; sent < 3; sent++) {
        const { code, message } = await failureOf(client.stream('s').send('lost'));
        expect(code).toBe('REFUSED');
        expect(message).toContain('fsync.mdb was removed or replaced');
      }
      expect((await failureOf(client.sendTo('absent', 'lost'))).code).toBe('REFUSED');
      expect(
        errors.filter((message) => message.startsWith('the store takes nothing')),
      ).toHaveLength(1);
    } finally {
      await broker.stop();
    }
  });
});

describe('$broker clients', () => {
  it('names each stream once, however often a client reads it', async () => {
    await world.broker();
    const client = await world.client({ address: 'busy' });
    const stream = client.stream('s');
    const readers = ['^a', '^b', ''].map((pattern) => stream.read({ pattern }));
    await Promise.all(readers.map(({ ready }) => ready));
    await stream.send('x');
    const rows = (await client.request('$broker', 'clients')).value() as object[];
    expect(rows).toMatchObject([{ address: 'busy', reads: ['s'], writes: ['s'] }]);
    await Promise.all(readers.map((reader) => reader.cancel()));
  });
});

// Mounting needs root; elsewhere this is what `npm test` leaves out.
(process.getuid?.() === 0 ? describe : describe.skip)('a disk without room', () => {
  let disk = '';

  beforeEach(() => {
    disk = join(folder, 'disk');
    mkdirSync(disk);
  });
  afterEach(() => void spawnSync('umount', ['-l', disk]));

  function mount(...words: string[]): void {
    const { status, stderr } = spawnSync('mount', words, { encoding: 'utf8' });
    if (status !== 0) throw new Error(`mount: ${stderr}`);
  }

  it.each([4, 20, 60, 100])('is said to be full, at %d KiB, and not to be damaged', async (kib) => {
    mount('-t', 'tmpfs', '-o', `size=${kib}k`, 'tmpfs', disk);
    const data = join(disk, 'data');
    const { message } = await failureOf(startBroker({ bind: ['tcp://127.0.0.1:*'], data }));
    expect(message).toMatch(
      /cannot (write to the data directory|open) .*(no space left|disk is full)/,
    );
    mount('-o', 'remount,size=1m', disk);
    await world.broker({ data });
    await (await world.client()).ping();
    await world.close();
  });

  it('lets a broker start on what it has, and readers read', async () => {
    mount('-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', disk);
    const data = join(disk, 'data');
    const first = await world.broker({ data });
    const writer = await world.client();
    await writer.stream('s').send('kept');
    await first.stop();
    writeFileSync(join(disk, 'rest'), '');
    fill(join(disk, 'rest'));

    await world.broker({ data });
    const reader = (await world.client()).stream('s').read({ from: 'earliest' });
    expect((await reader.next()).value?.subject).toBe('kept');
    await reader.cancel();
    rmSync(join(disk, 'rest'));
    await until(async () => (await failureOf(writer.stream('s').send('more'))).code === undefined);
    await world.close();
  });

  /** Takes all room that is left. */
  function fill(file: string): void {
    spawnSync('dd', ['if=/dev/zero', `of=${file}`, 'bs=4k']);
  }
});

async function freePort(): Promise<number> {
  const server = createServer();
  const port = await new Promise<number>((resolve) => {
    server.listen(0, () => resolve((server.address() as { port: number }).port));
  });
  await new Promise((done) => server.close(done));
  return port;
}

/** A log that notes the messages of errors. */
function logTo(errors: string[]): Logger {
  const nothing = (): void => undefined;
  return {
    error: (message) => void errors.push(message),
    warn: nothing,
    info: nothing,
    debug: nothing,
  };
}
