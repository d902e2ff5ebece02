// Sessions over real sockets: opening, heartbeats, silence, a broker that comes
// back, and the endpoints on which all that happens.
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startBroker } from '../../broker/index.js';
import { useBrokers } from '../support/brokers.js';
import { FakeClock } from '../support/fake-clock.js';
import { useRawClients } from '../support/raw-client.js';
import { onceFree } from '../support/scripted-broker.js';
import {
  brief,
  CLOSE,
  mail,
  offer,
  open,
  PING,
  read,
  request,
  send,
  write,
} from '../support/v1-commands.js';
import { until } from '../support/until.js';

const start = useBrokers();
const clients = useRawClients();

describe('heartbeats', () => {
  const TIMEOUT_MS = 10_000;
  const STEP_MS = TIMEOUT_MS / 10;

  // The broker's time goes on when the test says so: no machine is too slow for who is there.
  it('keep a session, and silence ends it', async () => {
    const clock = new FakeClock();
    const { broker, endpoint } = await start({ timeout: TIMEOUT_MS }, { clock });
    const silent = await clients.open(endpoint, 'silent');
    await silent.ask(read('s'), 'OK 200');
    await silent.ask(offer('svc'), 'OK 200');
    const lively = await clients.open(endpoint, 'lively');
    for (let steps = 0; broker.counters.sessionsExpired === 0; steps++) {
      expect(steps).toBeLessThanOrEqual(2 * 10);
      clock.advance(STEP_MS);
      await lively.barrier();
    }
    clock.advance(STEP_MS);
    await lively.barrier();
    expect(broker.counters.sessionsExpired).toBe(1);
    expect(await lively.view('clients')).toMatchObject([{ address: 'lively' }]);
    expect(await lively.view('stats')).toMatchObject({ streams: 0, services: 0, sessions: 1 });
    await silent.ask(PING, 'ERROR 500');
    await silent.ask(open('silent'), 'OK 200');
  });

  it('are any command, though nothing answers it', async () => {
    const clock = new FakeClock();
    const { broker, endpoint } = await start({ timeout: TIMEOUT_MS }, { clock });
    const { counters } = broker;
    const silent = await clients.open(endpoint, 'silent');
    const writer = await clients.open(endpoint, 'writer');
    await writer.ask(write('s'), 'OK 200');
    for (let sent = 1; counters.sessionsExpired === 0; sent++) {
      expect(sent).toBeLessThanOrEqual(2 * 10);
      clock.advance(STEP_MS);
      await writer.send(send('x'));
      await until(() => counters.streamMessages === sent, 'the broker has it');
    }
    await writer.barrier();
    await silent.ask(PING, 'ERROR 500');
    expect(broker.counters.sessionsExpired).toBe(1);
  });
});

describe('a broker that comes back', () => {
  it('answers the first PING with one ERROR 500, and then everything is as before', async () => {
    const first = await start();
    const { endpoint } = first;
    const reader = await clients.open(endpoint, 'reader');
    await reader.ask(read('s'), 'OK 200');
    await reader.barrier();
    const isBack = reader.reconnected();
    await first.broker.stop();
    await onceFree(() => start({ bind: [endpoint] }));
    // What is sent before is lost where the old connection does not know yet that it is over.
    await isBack;
    await reader.ask(PING, 'ERROR 500');
    await reader.ask(open('reader'), 'OK 200');
    await reader.ask(read('s'), 'OK 200');
    const writer = await clients.open(endpoint, 'writer');
    await writer.ask(write('s'), 'OK 200');
    await writer.send(send('again'));
    await reader.expect('again');
    await reader.barrier();
  });
});

describe('an address', () => {
  it('goes from one connection to another, with mail that was not read', async () => {
    const { endpoint } = await start();
    const older = await clients.open(endpoint, 'shared');
    const sender = await clients.open(endpoint, 'sender');
    await sender.send(mail('shared', 'one'));
    await older.expect('one');
    const newer = await clients.open(endpoint, 'shared');
    await sender.send(mail('shared', 'two'));
    await newer.expect('two');
    await older.ask(PING, 'ERROR 500');
    await newer.barrier();
  });

  it('is free again at once when its client closes, and when it vanishes', async () => {
    // Long before it would be given up.
    const { broker, endpoint } = await start({ timeout: 3_600_000 });
    for (const end of ['leave', 'close'] as const) {
      const client = await clients.open(endpoint, 'address');
      await client[end]();
      const next = await clients.open(endpoint, 'address');
      await next.ask(CLOSE, 'OK 200');
    }
    expect(broker.counters.sessionsOpened).toBe(4);
  });

  it('may belong to a client that chose its routing id', async () => {
    const { endpoint } = await start();
    const named = await clients.open(endpoint, 'a', { routingId: 'its-own-id' });
    await named.ask(mail('a', 'hello'), 'hello');
    named.close();
    const again = clients.connect(endpoint, { routingId: 'its-own-id' });
    // To the broker it is the old client, which has a session.
    await again.ask(open('a'), 'ERROR 500');
    await again.ask(open('a'), 'OK 200');
    await again.ask(mail('a', 'hello'), 'hello');
  });
});

describe('endpoints', () => {
  let folder = '';
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'malamute-test-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it('may be several, tcp and ipc, and clients meet across them', async () => {
    const local = `ipc://${join(folder, 'broker')}`;
    const { broker } = await start({ bind: ['tcp://127.0.0.1:*', local, 'tcp://127.0.0.1:*'] });
    expect(broker.endpoints).toHaveLength(3);
    expect(broker.endpoints[1]).toBe(local);
    const [one, two, three] = await Promise.all(
      broker.endpoints.map((endpoint, n) => clients.open(endpoint, `client${n}`)),
    );
    await two!.ask(read('s'), 'OK 200');
    await three!.ask(offer('svc'), 'OK 200');
    await one!.ask(write('s'), 'OK 200');
    await one!.send(send('streamed'), mail('client1', 'mailed'), request('svc', 'asked'));
    expect((await two!.collect(2)).map(brief).sort()).toEqual(['mailed', 'streamed']);
    await three!.expect('asked');
  });

  it('in use by another program are named, with what to do', async () => {
    const server = createServer();
    const port = await new Promise<number>((resolve) => {
      server.listen(0, '127.0.0.1', () => resolve((server.address() as { port: number }).port));
    });
    try {
      const endpoint = `tcp://127.0.0.1:${port}`;
      const bind = ['tcp://127.0.0.1:*', endpoint];
      await expect(startBroker({ bind })).rejects.toThrow(
        `cannot listen on ${endpoint}: the address is in use`,
      );
    } finally {
      server.close();
    }
  });

  it('of another broker are in use', async () => {
    const { endpoint } = await start();
    await expect(startBroker({ bind: [endpoint] })).rejects.toThrow('the address is in use');
  });

  it.each([
    ['nonsense', 'tcp://ADDRESS:PORT or ipc://PATH'],
    ['http://127.0.0.1:80', 'tcp://ADDRESS:PORT or ipc://PATH'],
    ['tcp://127.0.0.1', 'tcp://ADDRESS:PORT or ipc://PATH'],
    ['tcp://127.0.0.1:65536', 'a port is a number from 1 to 65535'],
    ['tcp://192.0.2.1:1', 'this machine has no such address'],
    ['ipc:///nowhere/at/all', 'cannot listen on ipc:///nowhere/at/all'],
  ])('that are none are named: %s', async (endpoint, advice) => {
    await expect(startBroker({ bind: [endpoint] })).rejects.toThrow(
      `cannot listen on ${endpoint}: `,
    );
    await expect(startBroker({ bind: [endpoint] })).rejects.toThrow(advice);
  });

  it('leave nothing behind when the broker stops', async () => {
    const local = `ipc://${join(folder, 'broker')}`;
    for (let round = 0; round < 3; round++) {
      // ZeroMQ lets go of it on another thread, a moment after the broker has stopped.
      const { broker } = await onceFree(() => start({ bind: [local] }));
      const client = await clients.open(local, 'client');
      await client.barrier();
      client.close();
      expect(broker.counters.sessionsOpened).toBe(1);
      await broker.stop();
    }
  });
});
