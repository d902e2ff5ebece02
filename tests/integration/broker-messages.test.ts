// Mail, requests and streams over real sockets, with all that MLM/1 promises
// about them: order, confirmation, timeouts, credit, limits, views.
import { setTimeout as pause } from 'node:timers/promises';
import { decode as unpack } from '@msgpack/msgpack';
import { useBrokers } from '../support/brokers.js';
import { useRawClients, type RawClient } from '../support/raw-client.js';
import { untilPasses } from '../support/until.js';
import {
  brief,
  confirm,
  credit,
  mail,
  offer,
  open,
  PING,
  read,
  request,
  send,
  write,
} from '../support/v1-commands.js';

const start = useBrokers();
const clients = useRawClients();
/** These clients send no heartbeats: where much is read, nobody is given up for that, ms. */
const NEVER_MS = 3_600_000;

async function next(client: RawClient): Promise<string> {
  return brief(await client.next());
}

function numbers(count: number, from = 0): string[] {
  return Array.from({ length: count }, (_, n) => `n${from + n}`);
}

it('mail waits in order for a client that is not there, through more than its socket holds', async () => {
  const { broker, endpoint } = await start({ timeout: NEVER_MS });
  const sender = await clients.open(endpoint, 'sender');
  const subjects = numbers(20_000);
  for (const subject of subjects)
    await sender.send(mail('owner', subject, { content: [Buffer.alloc(50)] }));
  await sender.barrier();
  expect(broker.counters.mailboxMessages).toBe(20_000);
  const owner = await clients.open(endpoint, 'owner');
  await owner.expect(...subjects);
});

it('bodies of any shape arrive as they were sent', async () => {
  const { endpoint } = await start();
  const client = await clients.open(endpoint, 'self');
  const bodies = [
    [],
    [Buffer.alloc(0)],
    [Buffer.alloc(0), Buffer.from([0, 255]), Buffer.alloc(0)],
    [Buffer.alloc(3_000_000, 'x')],
    Array.from({ length: 500 }, (_, n) => Buffer.alloc(n % 7, n)),
  ];
  for (const content of bodies) {
    await client.send(mail('self', 'body', { content }));
    const command = await client.next();
    if (command.name !== 'MAILBOX DELIVER') throw new Error(brief(command));
    expect(command.content.map((frame) => frame.length)).toEqual(
      content.map((frame) => frame.length),
    );
    expect(Buffer.concat(command.content).equals(Buffer.concat(content))).toBe(true);
  }
});

it('requests are shared among workers in turn, and answered', async () => {
  const { endpoint } = await start();
  const asker = await clients.open(endpoint, 'asker');
  const workers = [];
  for (const address of ['w0', 'w1', 'w2']) {
    const worker = await clients.open(endpoint, address);
    await worker.ask(offer('svc', '^job'), 'OK 200');
    workers.push(worker);
  }
  for (const tracker of numbers(30)) await asker.send(request('svc', 'job', { tracker }));
  // All of them have a worker before any worker is done with one.
  await asker.barrier();
  for (const worker of workers) {
    for (const command of await worker.collect(10)) {
      if (command.name !== 'SERVICE DELIVER') throw new Error(brief(command));
      const { sender, tracker } = command;
      await worker.send(mail(sender, 'done', { tracker }), confirm(tracker));
    }
  }
  const answers = (await asker.collect(60)).map((command) =>
    command.name === 'MAILBOX DELIVER' ? `done ${command.tracker}` : brief(command),
  );
  const expected = numbers(30).flatMap((n) => [`done ${n}`, `CONFIRM ${n} 200`]);
  expect(answers.sort()).toEqual(expected.sort());
});

it('what a worker’s socket did not take before it vanishes goes to another one', async () => {
  const { broker, endpoint } = await start({ timeout: 1000, 'outbox-messages-max': 50 });
  const asker = await clients.open(endpoint, 'asker');
  const content = [Buffer.alloc(10_000)];
  const deaf = await clients.open(endpoint, 'deaf', { receiveHighWaterMark: 1 });
  await deaf.ask(offer('svc'), 'OK 200');
  const count = 4000;
  for (const subject of numbers(count)) await asker.send(request('svc', subject, { content }));
  await asker.barrier();
  // At most once: what its socket took is gone with it, nothing else is.
  deaf.close();
  const worker = await clients.open(endpoint, 'worker');
  await worker.ask(offer('svc'), 'OK 200');
  const requests: string[] = [];
  for (let isAll = false; !isAll;) {
    await pause(10);
    isAll = broker.counters.serviceDeliveries === count;
    // It keeps its session, and what its socket was given before comes before the answer.
    await worker.send(PING);
    for (let word = await next(worker); word !== 'CONNECTION PONG'; word = await next(worker)) {
      requests.push(word);
    }
  }
  expect(requests.filter((word) => !word.startsWith('n'))).toEqual([]);
  expect(requests.length).toBeGreaterThan(0);
  expect(new Set(requests).size).toBe(requests.length);
  expect(requests.at(-1)).toBe(`n${count - 1}`);
  await worker.leave();
  expect(await (await clients.open(endpoint, 'looker')).view('services')).toEqual([]);
});

describe('a timeout', () => {
  it('that passes before a worker comes is confirmed with 408', async () => {
    const { broker, endpoint } = await start();
    const asker = await clients.open(endpoint, 'asker');
    await asker.send(
      request('svc', 'x', { tracker: 'r', timeout: 50 }),
      mail('nobody', 'x', { tracker: 'm', timeout: 50 }),
      mail('nobody', 'x', { timeout: 50 }),
    );
    const told = (await asker.collect(2)).map(brief);
    expect(told.sort()).toEqual(['CONFIRM m 408', 'CONFIRM r 408']);
    // The one without a tracker expires in silence, when its own time is over.
    await untilPasses(async () => {
      expect(await asker.view('stats')).toMatchObject({ expired: 3, mailboxes: 0, services: 0 });
    });
    const worker = await clients.open(endpoint, 'worker');
    await worker.ask(offer('svc'), 'OK 200');
    await worker.barrier();
    expect(broker.counters.serviceDeliveries).toBe(0);
  });

  it('of four milliard milliseconds is taken', async () => {
    const { endpoint } = await start();
    const sender = await clients.open(endpoint, 'sender');
    await sender.send(mail('owner', 'x', { timeout: 0xffffffff }));
    await sender.barrier();
    const owner = await clients.open(endpoint, 'owner');
    await owner.expect('x');
  });
});

it('CREDIT bounds what comes, of every kind', async () => {
  const { endpoint } = await start();
  const client = await clients.open(endpoint, 'client');
  await client.ask(read('s'), 'OK 200');
  await client.ask(offer('svc'), 'OK 200');
  await client.send(credit(3));
  await client.barrier();
  const other = await clients.open(endpoint, 'other');
  await other.ask(write('s'), 'OK 200');
  for (const subject of numbers(50)) {
    await other.send(
      send(`s${subject}`),
      mail('client', `m${subject}`),
      request('svc', `r${subject}`),
    );
  }
  await other.barrier();
  await client.collect(3);
  await client.barrier();
  await client.send(credit(7));
  await client.collect(7);
  await client.barrier();
  await client.send(credit(1000));
  const rest = (await client.collect(140)).map(brief);
  expect(rest).toHaveLength(140);
  await client.barrier();
});

describe('limits answer', () => {
  it('to those who chose a tracker, and others go on', async () => {
    const { endpoint } = await start({ 'mailbox-messages-max': 10, 'service-messages-max': 10 });
    const sender = await clients.open(endpoint, 'sender');
    for (const tracker of numbers(12)) {
      await sender.send(mail('away', 'x', { tracker }), request('svc', 'x', { tracker }));
    }
    await sender.expect('CONFIRM n10 300', 'CONFIRM n10 300', 'CONFIRM n11 300', 'CONFIRM n11 300');
    await sender.ask(mail('sender', 'to itself'), 'to itself');
  });

  it('with ERROR where the session ends', async () => {
    const { endpoint } = await start({ 'subscriptions-max': 3, 'streams-max': 5 });
    const client = await clients.open(endpoint, 'client');
    for (const stream of ['a', 'b', 'c']) await client.ask(read(stream), 'OK 200');
    await client.ask(read('d'), 'ERROR 300');
    await client.ask(open('client'), 'OK 200');
  });
});

it.each(['clients', 'streams', 'services', 'mailboxes', 'stats'])(
  '$broker shows %s in MessagePack and in JSON',
  async (name) => {
    const { endpoint } = await start();
    const client = await clients.open(endpoint, 'client');
    await client.ask(read('s'), 'OK 200');
    await client.ask(offer('svc'), 'OK 200');
    await client.send(mail('away', 'x'));
    await client.send(request('$broker', name, { tracker: 'p' }));
    const packed = await client.next();
    if (packed.name !== 'MAILBOX DELIVER') throw new Error(brief(packed));
    expect(packed).toMatchObject({
      sender: '$broker',
      address: 'client',
      subject: name,
      tracker: 'p',
    });
    const shown = unpack(packed.content[0]!) as object;
    const parsed = await client.view<object>(name);
    expect(Object.keys(parsed)).toEqual(Object.keys(shown));
    if (name === 'stats')
      expect(parsed).toMatchObject({ pid: process.pid, sessions: 1, streams: 1 });
    // The broker's own stream of who is there is one more.
    else expect(parsed).toHaveLength(name === 'streams' ? 2 : 1);
  },
);
