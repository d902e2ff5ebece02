// What users of Malamute reported over the years, each replayed against this
// broker under the number that it has in zeromq/malamute. Clients are raw sockets
// that speak MLM/1, as those who reported were; the SDK where the report is about
// something that MLM/1 cannot say. Reports about a killed broker and killed
// processes stand in tests/e2e/reports.test.ts.
import { limitsOf, resolveOptions } from '../../broker/options.js';
import { connect, type MlmClient, type ServiceRequest } from '../../client/index.js';
import { encode } from '../../protocol/index.js';
import { useWorlds } from '../support/broker-world.js';
import { useBrokers, type BrokerOptions, type RunningBroker } from '../support/brokers.js';
import { useRawClients, type RawClient } from '../support/raw-client.js';
import {
  brief,
  CLOSE,
  credit,
  mail,
  offer,
  PING,
  read,
  request,
  send,
  write,
} from '../support/v1-commands.js';
import { until } from '../support/until.js';

const newBroker = useBrokers();
const startWorld = useWorlds();
const clients = useRawClients();
const sdk = new Set<MlmClient>();

afterEach(async () => {
  await Promise.all([...sdk].map((client) => client.close()));
  sdk.clear();
});

/** A broker that takes nobody for dead, unless it is told: most clients here send no heartbeats. */
async function start(options: BrokerOptions = {}): Promise<RunningBroker> {
  return newBroker({ timeout: 600_000, ...options });
}

async function join(endpoint: string, address: string): Promise<MlmClient> {
  const client = await connect(endpoint, { address, reconnect: false, heartbeatMs: 100 });
  sdk.add(client);
  return client;
}

function numbers(count: number, from = 1): string[] {
  return Array.from({ length: count }, (_, n) => `n${from + n}`);
}

/** Frames of the next delivery, without the first, which says what it is. */
async function nextContent(reader: RawClient): Promise<Buffer[]> {
  const command = await reader.next();
  if (!('content' in command)) throw new Error(`${brief(command)} has no content`);
  return [...command.content];
}

/** Clients that send PING now and then, so that nobody takes them for dead, until their test ends. */
const awake = new Set<RawClient>();
const heartbeat = setInterval(() => {
  for (const client of awake) {
    // One that is busy with another word is awake; one that was closed is not any more.
    void client.send(PING).catch(() => client.socket.closed && awake.delete(client));
  }
}, 50);

afterEach(() => awake.clear());
afterAll(() => clearInterval(heartbeat));

/** The next message that is not the answer to a heartbeat, in brief. */
async function heard(client: RawClient): Promise<string> {
  for (;;) {
    const command = await client.next();
    if (command.name !== 'CONNECTION PONG') return brief(command);
  }
}

describe('messages of a stream', () => {
  const shapes: readonly Buffer[][] = [
    [Buffer.from('ahoy\0')],
    [],
    [Buffer.alloc(0)],
    [Buffer.from('one'), Buffer.alloc(0), Buffer.from([0, 255, 128, 10, 13]), Buffer.alloc(0)],
    [Buffer.from([0xaa, 0xa8, 8]), Buffer.from([0xaa, 0xa9, 1])],
    [Buffer.alloc(1_000_000, 'x'), Buffer.from('after it')],
    Array.from({ length: 100 }, (_, n) => Buffer.alloc(n, n)),
  ];

  it('#35, #87: reach each of three readers, with all their frames', async () => {
    const { endpoint } = await start();
    const readers = [];
    for (const address of ['r1', 'r2', 'r3']) {
      const reader = await clients.open(endpoint, address);
      await reader.ask(read('stream', '^SUBJECT$'), 'OK 200');
      readers.push(reader);
    }
    const native = (await join(endpoint, 'r4')).stream('stream').read();
    await native.ready;
    const writer = await clients.open(endpoint, 'producer');
    await writer.ask(write('stream'), 'OK 200');
    // In bursts of fifty, as they were when frames were lost.
    const sent = Array.from({ length: 50 }, (_, n) => shapes[n % shapes.length]!);
    for (const content of sent) await writer.send(send('SUBJECT', ...content));
    for (const reader of readers) {
      for (const content of sent) {
        const got = await nextContent(reader);
        expect(got.map(({ length }) => length)).toEqual(content.map(({ length }) => length));
        expect(Buffer.concat(got).equals(Buffer.concat(content))).toBe(true);
      }
    }
    for (const content of sent) {
      const { value } = await native.next();
      expect(value!.content.map(({ length }) => length)).toEqual(
        content.map(({ length }) => length),
      );
      expect(Buffer.concat([...value!.content]).equals(Buffer.concat(content))).toBe(true);
    }
  });

  it('#80, #81: all come to a slow reader, however fast several producers are, and others do not wait', async () => {
    const { broker, endpoint } = await start();
    const slow = await clients.open(endpoint, 'slow', { receiveHighWaterMark: 5 });
    const quick = await clients.open(endpoint, 'quick');
    for (const reader of [slow, quick]) await reader.ask(read('s'), 'OK 200');
    const each = 2000;
    const names = ['p1', 'p2', 'p3'];
    await Promise.all(
      names.map(async (name) => {
        const producer = await clients.open(endpoint, name);
        await producer.ask(write('s'), 'OK 200');
        const body = Buffer.alloc(1000, 'x');
        for (const number of numbers(each)) await producer.send(send(`${name} ${number}`, body));
        await producer.barrier();
      }),
    );
    // The slow one has not read a word so far.
    const order = (await quick.collect(each * names.length)).map(brief);
    for (const name of names) {
      const own = order.filter((subject) => subject.startsWith(name));
      expect(own).toEqual(numbers(each).map((number) => `${name} ${number}`));
    }
    const rows = await quick.view<{ address: string; outbox: number }[]>('clients');
    expect(rows.find(({ address }) => address === 'slow')!.outbox).toBeLessThanOrEqual(1000 + 10);
    expect((await slow.collect(each * names.length)).map(brief)).toEqual(order);
    expect(broker.counters.streamGaps).toBe(0);
  });

  it('#45, #88: go on when a second consumer comes under the address of the first', async () => {
    const { endpoint } = await start();
    const producer = await clients.open(endpoint, 'test1/producer');
    await producer.ask(write('s'), 'OK 200');
    const first = await clients.open(endpoint, 'test1/consumer');
    await first.ask(read('s'), 'OK 200');
    await producer.send(send('one'));
    await first.expect('one');
    const second = await clients.open(endpoint, 'test1/consumer');
    await second.ask(read('s'), 'OK 200');
    for (const subject of ['two', 'three']) await producer.send(send(subject));
    await second.expect('two', 'three');
    await producer.barrier();
    // The first hears nothing more, but that its session is over.
    await first.ask(PING, 'ERROR 500');
  });

  it('#217: go on when somebody asks for the pattern *', async () => {
    const { endpoint } = await start();
    const streams = ['FIRST', 'WORLD'];
    const producers = [];
    const consumers = [];
    for (const stream of streams) {
      const producer = await clients.open(endpoint, `producer of ${stream}`);
      await producer.ask(write(stream), 'OK 200');
      producers.push(producer);
      const consumer = await clients.open(endpoint, `consumer of ${stream}`);
      await consumer.ask(read(stream, '.*'), 'OK 200');
      consumers.push(consumer);
    }
    const bad = await clients.open(endpoint, 'bad');
    await bad.ask(read('WORLD', '*'), 'ERROR 300');
    const native = await join(endpoint, 'native');
    await expect(async () => native.stream('WORLD').read({ pattern: '*' }).ready).rejects.toThrow(
      'not a valid pattern',
    );
    for (const [n, producer] of producers.entries()) await producer.send(send(`after ${n}`));
    for (const [n, consumer] of consumers.entries()) await consumer.expect(`after ${n}`);
  });
});

describe('an address that another client opens', () => {
  it.each(['MLM/1', 'native'])(
    '#53, #54: gives unread and new mail to the newer one (%s), in order, and none to the older',
    async (kind) => {
      const { broker, endpoint } = await start({ timeout: 500 });
      const sender = await clients.open(endpoint, 'sender');
      awake.add(sender);
      const older = await clients.open(endpoint, 'a');
      await older.send(credit(2));
      for (const subject of numbers(10)) await sender.send(mail('a', subject));
      await older.expect('n1', 'n2');
      let next: () => Promise<string>;
      if (kind === 'MLM/1') {
        const newer = await clients.open(endpoint, 'a');
        awake.add(newer);
        next = () => heard(newer);
      } else {
        const newer = (await join(endpoint, 'a')).mailbox();
        next = async () => (await newer.next()).value!.subject;
      }
      for (const subject of numbers(8, 3)) expect(await next()).toBe(subject);
      // When the older one is taken for dead, as one is that came later, nothing happens to the newer.
      await clients.open(endpoint, 'silent');
      await until(() => broker.counters.sessionsExpired > 0, 'the silent one is gone');
      for (const subject of numbers(10, 11)) await sender.send(mail('a', subject));
      for (const subject of numbers(10, 11)) expect(await next()).toBe(subject);
      expect(broker.counters.sessionsExpired).toBe(1);
      await older.ask(PING, 'ERROR 500');
    },
  );

  it('#316, #318: leaves the broker alive when either of the two goes', async () => {
    const { endpoint } = await start();
    const sender = await clients.open(endpoint, 'sender');
    const [older, newer] = [await clients.open(endpoint, 'a'), await clients.open(endpoint, 'a')];
    await older.ask(CLOSE, 'OK 200');
    older.close();
    await sender.send(mail('a', 'one'));
    await newer.expect('one');
    const newest = await clients.open(endpoint, 'a');
    await newest.leave();
    await newer.ask(CLOSE, 'OK 200');
    await sender.send(mail('a', 'two'));
    await (await clients.open(endpoint, 'a')).expect('two');
  });
});

describe('a client that vanishes', () => {
  it('#34: takes nobody with it when it is found dead', async () => {
    const { broker, endpoint } = await start({ timeout: 500 });
    const writer = await clients.open(endpoint, 'writer');
    const reader = await clients.open(endpoint, 'reader');
    for (const client of [writer, reader]) awake.add(client);
    await writer.send(write('s'));
    expect(await heard(writer)).toBe('OK 200');
    await reader.send(read('s'));
    expect(await heard(reader)).toBe('OK 200');
    const gone = await clients.open(endpoint, 'gone');
    for (const command of [read('s'), write('t'), offer('svc')]) await gone.ask(command, 'OK 200');
    gone.close();
    await until(() => broker.counters.sessionsExpired > 0, 'it is found dead');
    await writer.send(send('after it'), mail('gone', 'kept'), request('svc', 'kept too'));
    expect(await heard(reader)).toBe('after it');
    const back = await clients.open(endpoint, 'gone');
    await back.expect('kept');
    await back.ask(offer('svc'), 'OK 200', 'kept too');
  });

  it('#311: may be a worker, whatever is sent to its service meanwhile', async () => {
    const { endpoint } = await start();
    const publisher = await clients.open(endpoint, 'client');
    const content = new Array<Buffer>(10).fill(Buffer.from('bar'));
    for (let round = 0; round < 10; round++) {
      const worker = await clients.open(endpoint, 'service');
      await worker.send(offer('poc', '.*'));
      for (let n = 0; n < 20; n++) await publisher.send(request('poc', 'foo', { content }));
      await publisher.barrier();
      worker.close();
    }
    const worker = await clients.open(endpoint, 'service');
    await worker.send(offer('poc', '.*'));
    await publisher.send(request('poc', 'last', { content }));
    for (;;) {
      const command = await worker.next();
      if (command.name !== 'SERVICE DELIVER') continue;
      expect(command.content.map(String)).toEqual(content.map(String));
      if (command.subject === 'last') break;
    }
  });

  it('before it ever opened a session, and says CLOSE, is answered', async () => {
    const { endpoint } = await start();
    const hasty = clients.connect(endpoint);
    await hasty.ask(CLOSE, 'OK 200');
    await (await clients.open(endpoint, 'next')).ask(PING, 'CONNECTION PONG');
  });

  it('#89: does not get requests that its fellow worker could do, once it is found dead', async () => {
    const { broker, endpoint } = await start({ timeout: 500 });
    const producer = await clients.open(endpoint, 'producer');
    const left = await clients.open(endpoint, 'worker1');
    for (const client of [producer, left]) awake.add(client);
    await left.send(offer('METRICS', 'measurement'));
    expect(await heard(left)).toBe('OK 200');
    const killed = await clients.open(endpoint, 'worker2');
    await killed.ask(offer('METRICS', 'measurement'), 'OK 200');
    const subjects = ['measurement.power', 'measurement.th.ambiante', 'measurement.th.temperature'];
    for (const subject of subjects) await producer.send(request('METRICS', subject));
    expect([await heard(left), await heard(left)]).toEqual([subjects[0], subjects[2]]);
    await killed.expect(subjects[1]!);
    killed.close();
    await until(() => broker.counters.sessionsExpired > 0, 'it is found dead');
    for (const subject of subjects) await producer.send(request('METRICS', subject));
    for (const subject of subjects) expect(await heard(left)).toBe(subject);
  });
});

describe('a mailbox', () => {
  it('#195, #202, #205: that nobody reads grows to its bound in octets, and tells who goes on writing', async () => {
    const body = Buffer.alloc(10_000);
    const { broker, endpoint } = await start({ 'mailbox-bytes-max': 1_000_000 });
    const flooder = await clients.open(endpoint, 'flooder');
    for (const subject of numbers(3000)) {
      await flooder.send(mail('absent', subject, { content: [body] }));
    }
    const tracker = 'am I heard?';
    await flooder.ask(
      mail('absent', 'more', { tracker, content: [body] }),
      `CONFIRM ${tracker} 300`,
    );
    const [row] =
      await flooder.view<{ mailbox: string; messages: number; bytes: number }[]>('mailboxes');
    expect(row!.bytes).toBeLessThanOrEqual(1_000_000);
    expect(row!.bytes).toBeGreaterThan(1_000_000 - 2 * body.length);
    expect(broker.counters.refused).toBe(3001 - row!.messages);
    // Nobody else is short of anything, and what was accepted is all there.
    await flooder.send(mail('flooder', 'to myself', { content: [body] }));
    await flooder.expect('to myself');
    const owner = await clients.open(endpoint, 'absent');
    await owner.expect(...numbers(row!.messages));
    await flooder.send(mail('absent', 'room again', { content: [body] }));
    await owner.expect('room again');
  });

  it('#209, #210: has a bound beyond 2^31 octets, to the octet', async () => {
    // One body that all the mail shares: the memory of a small one.
    const body = Buffer.alloc(2 ** 27);
    const subject = 'big';
    const counted = 700 + subject.length + body.length;
    const fits = 17;
    const limit = fits * counted;
    expect(limit).toBeGreaterThan(2 ** 31);
    const world = await startWorld({
      'mailbox-bytes-max': String(limit),
      'kept-bytes-max': 2 ** 40,
    });
    const sender = await world.client('sender');
    for (let n = 0; n < fits; n++) sender.sendFrames([...encode(mail('b', subject)), body]);
    await world.settle();
    expect(await world.view('mailboxes')).toMatchObject([{ messages: fits, bytes: limit }]);
    const [refusal] = await world.exchange(sender, mail('b', '', { tracker: 't' }));
    expect(refusal).toMatchObject({
      statusCode: 300,
      statusReason: `mailbox b is full: ${limit} octets`,
    });
    expect(world.broker.counters).toMatchObject({ mailboxMessages: fits, refused: 1 });
  });

  it.each([2 ** 31 - 1, 2 ** 31, 2 ** 32, 2 ** 32 + 1, 2 ** 53 - 1])(
    '#209, #210: may be bounded at %d octets, as may everything else that is',
    (octets) => {
      const names = ['mailbox', 'service', 'stream', 'memory', 'kept', 'outbox'] as const;
      const options = resolveOptions({
        environment: Object.fromEntries(
          names.map((name) => [`MLM_${name.toUpperCase()}_BYTES_MAX`, String(octets)]),
        ),
      });
      const limits = limitsOf(options);
      expect(options['memory-bytes-max']).toBe(octets);
      expect(limits).toMatchObject({
        mailbox: { bytesMax: octets },
        service: { bytesMax: octets },
        stream: { bytesMax: octets },
        outbox: { bytesMax: octets },
        keptBytesMax: octets,
      });
    },
  );
});

describe('requests with a key', () => {
  /** A worker that notes what it was given, and works on it for a while. */
  async function worker(endpoint: string, address: string, log: string[]): Promise<MlmClient> {
    const client = await join(endpoint, address);
    const running = new Set<string>();
    const handle = async ({ subject }: ServiceRequest): Promise<string> => {
      const account = subject.split('/')[0]!;
      if (running.has(account)) log.push(`two of ${account} at once`);
      running.add(account);
      log.push(subject);
      await new Promise((resolve) => setTimeout(resolve, 2));
      running.delete(account);
      return address;
    };
    await client.offer('orders', { capacity: 10 }, handle);
    return client;
  }

  it('#66: go to one worker for each key, one at a time and in order, and move when it goes', async () => {
    const { endpoint } = await start();
    const log: string[] = [];
    const workers = new Map<string, MlmClient>();
    for (const address of ['w1', 'w2', 'w3'])
      workers.set(address, await worker(endpoint, address, log));
    const trader = await join(endpoint, 'trader');
    const accounts = ['anna', 'bert', 'carl', 'dora', 'emil', 'frida'];
    const order = async (account: string, n: number): Promise<string> => {
      const reply = await trader.request('orders', `${account}/${n}`, '', { key: account });
      return reply.value() as string;
    };
    const placed = (from: number) =>
      Promise.all(
        accounts.map(async (account) => {
          const made = Array.from({ length: 10 }, (_, n) => order(account, from + n));
          return [account, new Set(await Promise.all(made))] as const;
        }),
      );
    const before = new Map(await placed(1));
    for (const served of before.values()) expect(served.size).toBe(1);
    const [first] = before.get('anna')!;
    await workers.get(first!)!.close();
    for (const [account, served] of await placed(11)) {
      const [now] = served;
      expect([...served]).toEqual([now]);
      const [old] = before.get(account)!;
      // Only those whose worker has gone move.
      if (old === first) expect(now).not.toBe(first);
      else expect(now).toBe(old);
    }
    for (const account of accounts) {
      const own = log.filter((line) => line.startsWith(`${account}/`));
      expect(own).toEqual(Array.from({ length: 20 }, (_, n) => `${account}/${n + 1}`));
    }
    expect(log).toHaveLength(20 * accounts.length);
  });
});
