import { decode as unpack } from '@msgpack/msgpack';
import type { Command } from '../../../protocol/index.js';
import { useWorlds } from '../../support/broker-world.js';
import {
  FakeNativePeer,
  nativeConfirm,
  nativeRequest,
  only,
  type SaidBy,
} from '../../support/fake-native-peer.js';
import {
  brief,
  credit,
  mail,
  offer,
  PING,
  read,
  request,
  send,
  write,
} from '../../support/v1-commands.js';

const startWorld = useWorlds();

function bodyOf(command: Command | undefined): Buffer {
  if (command?.name !== 'MAILBOX DELIVER') throw new Error(`${command?.name} is not mail`);
  expect(command.content).toHaveLength(1);
  return command.content[0]!;
}

it('answers by mail, with the subject and tracker of the request', async () => {
  const world = await startWorld();
  for (const address of ['asker', '']) {
    const peer = await world.client(address);
    const [answer] = await world.exchange(peer, request('$broker', 'stats', { tracker: 't' }));
    expect(answer).toMatchObject({
      name: 'MAILBOX DELIVER',
      sender: '$broker',
      address,
      subject: 'stats',
      tracker: 't',
    });
  }
});

it.each(['clients', 'streams', 'services', 'mailboxes', 'stats'])(
  '%s is the same in MessagePack and in JSON',
  async (name) => {
    const world = await startWorld();
    const peer = await world.client('peer');
    await world.exchange(peer, read('s'), write('t'), offer('svc', 'p'), mail('nobody', 'x'));
    const packed = await world.exchange(peer, request('$broker', name));
    const text = await world.exchange(peer, request('$broker', `${name}.json`));
    const unpacked = unpack(bodyOf(packed[0]));
    const parsed: unknown = JSON.parse(bodyOf(text[0]).toString());
    if (name === 'stats') {
      expect(Object.keys(unpacked as object)).toEqual(Object.keys(parsed as object));
    } else {
      expect(unpacked).toEqual(parsed);
      expect((parsed as unknown[]).length).toBeGreaterThan(0);
    }
  },
);

it('shows who is there, what they declared and what waits', async () => {
  const world = await startWorld();
  const busy = await world.client('busy');
  await world.exchange(busy, read('in', 'a'), read('in', 'b'), write('out'), offer('svc', 'p'));
  await world.exchange(busy, credit(5));
  const sender = await world.client('sender');
  const content = [Buffer.alloc(100)];
  await world.exchange(sender, write('in'), send('c', ...content), mail('away', 'x', { content }));
  await world.exchange(sender, request('later', 'x', { content }));
  await world.pass(2000);
  expect(await world.view('clients')).toMatchObject([
    {
      address: 'busy',
      connectedMs: 2000,
      writes: ['out'],
      reads: ['in'],
      offers: ['svc'],
      outbox: 0,
      credit: 5,
    },
    { address: 'sender', writes: ['in'], reads: [], offers: [], credit: null },
    { address: '' },
  ]);
  expect(await world.view('streams')).toMatchObject([
    { stream: 'in', lastSequence: 1, writers: 1, readers: 1, behind: 0 },
    { stream: 'out', lastSequence: 0, writers: 1, readers: 0, bytes: 0 },
  ]);
  expect(await world.view('services')).toMatchObject([
    { service: 'svc', workers: 1, patterns: ['p'], requests: 0, bytes: 0 },
    { service: 'later', workers: 0, patterns: [], requests: 1 },
  ]);
  expect(await world.view('mailboxes')).toMatchObject([
    { mailbox: 'away', messages: 1, online: false },
  ]);
  expect(await world.view('stats')).toMatchObject({
    uptimeMs: 2000,
    pid: process.pid,
    sessions: 3,
    streams: 2,
    services: 2,
    mailboxes: 1,
    mailboxMessages: 1,
    serviceRequests: 1,
    streamMessages: 1,
  });
});

describe('of a service', () => {
  const row = async (world: Awaited<ReturnType<typeof startWorld>>): Promise<unknown> =>
    (await world.view<unknown[]>('services'))[0];

  async function given(peer: FakeNativePeer): Promise<SaidBy<'SERVICE DELIVER'>> {
    const [delivery] = only(await peer.exchange(), 'SERVICE DELIVER');
    return delivery!;
  }

  it('it counts what was accepted, what is done, what failed and what failed for good', async () => {
    const world = await startWorld({ 'attempts-max': 2 });
    const worker = await FakeNativePeer.open(world, 'w');
    await worker.ask('offer', { service: 's' });
    const asks = await FakeNativePeer.open(world, 'asks');
    for (let n = 0; n < 3; n++) await asks.exchange(nativeRequest('s', 'x'));
    expect(await row(world)).toMatchObject({ accepted: 3, done: 0, failed: 0, dead: 0 });
    const { delivery, epoch } = await given(worker);
    worker.send({ name: 'REPLY', delivery, epoch, content: [] });
    worker.send(nativeConfirm(await given(worker)));
    worker.send(nativeConfirm(await given(worker), 503));
    await world.settle();
    // What another worker may do is no attempt.
    expect(await row(world)).toMatchObject({ accepted: 3, done: 2, failed: 0, dead: 0 });
    await world.pass(1000);
    worker.send(nativeConfirm(await given(worker), 300, 'oops'));
    await world.settle();
    expect(await row(world)).toMatchObject({ done: 2, failed: 1, dead: 0, requests: 1 });
    await world.pass(100);
    worker.send(nativeConfirm(await given(worker), 300, 'oops'));
    await world.settle();
    expect(await row(world)).toMatchObject({ done: 2, failed: 2, dead: 1, requests: 0 });
  });

  it('it counts the job that is sent again once, and what workers of MLM/1 took', async () => {
    const world = await startWorld();
    const asks = await FakeNativePeer.open(world, 'asks');
    const job = nativeRequest('s', 'x', { job: 1, tracker: 'j' });
    await asks.exchange(job, job);
    expect(await row(world)).toMatchObject({ accepted: 1, done: 0 });
    await asks.ask('request.cancel', { service: 's', tracker: 'j' });
    const old = await world.client('old');
    await world.exchange(old, offer('s'));
    await asks.exchange(nativeRequest('s', 'x'));
    expect(old.read().map(brief)).toEqual(['x']);
    expect(await row(world)).toMatchObject({ service: 's', accepted: 1, done: 1 });
  });

  it('it says how long the request waits that waits for a worker longest', async () => {
    const world = await startWorld();
    const asks = await FakeNativePeer.open(world, 'asks');
    await asks.exchange(nativeRequest('s', 'delayed', { delay: 60_000 }));
    await world.pass(500);
    expect(await row(world)).toMatchObject({ requests: 1, oldestMs: null });
    await asks.exchange(nativeRequest('s', 'urgent', { priority: 9 }), nativeRequest('s', 'old'));
    await world.pass(2000);
    await asks.exchange(nativeRequest('s', 'young', { wants: { needs: { gpu: true } } }));
    expect(await row(world)).toMatchObject({ requests: 4, oldestMs: 2000 });
    const worker = await FakeNativePeer.open(world, 'w');
    await worker.ask('offer', { service: 's', capacity: 2 });
    await world.pass(300);
    expect(await row(world)).toMatchObject({ requests: 4, running: 2, oldestMs: 300 });
    world.clock.setWall(-10_000);
    expect(await row(world)).toMatchObject({ oldestMs: 0 });
  });
});

it.each(['', 'nothing', 'toString', '__proto__', 'stats.jsonx', '.json', 'Stats'])(
  'says what there is to ask for where "%s" is not known',
  async (subject) => {
    const world = await startWorld();
    const [answer] = await world.exchange(await world.client(''), request('$broker', subject));
    const body = bodyOf(answer);
    const { error } = (subject.endsWith('.json') ? JSON.parse(body.toString()) : unpack(body)) as {
      error: string;
    };
    for (const part of ['clients', 'streams', 'services', 'mailboxes', 'stats']) {
      expect(error).toContain(part);
    }
  },
);

it('is not a stream to write to, and cannot be offered', async () => {
  const world = await startWorld();
  const peer = await world.client('peer');
  expect(await world.talk(peer, offer('$broker'))).toEqual(['ERROR 300']);
  expect(await world.talk(await world.client('peer'), write('$broker'))).toEqual(['ERROR 300']);
});

it('shows no more rows than it says, however many there are', async () => {
  const world = await startWorld();
  const sender = await world.client('sender');
  for (let n = 0; n < 10_050; n++) sender.send(mail(`m${n}`, 'x'));
  await world.settle();
  expect(await world.view<unknown[]>('mailboxes')).toHaveLength(10_000);
  expect(await world.view('stats')).toMatchObject({ mailboxes: 10_050 });
});

it('counts the answers that a client leaves no room for, and goes on answering others', async () => {
  const world = await startWorld({ 'outbox-messages-max': 10 });
  const deaf = await world.client('deaf');
  deaf.pipeMessages = 0;
  for (let n = 0; n < 50; n++) deaf.send(request('$broker', 'stats'));
  await world.settle();
  expect(world.broker.counters.repliesDropped).toBe(40);
  expect(await world.talk(await world.client('other'), PING)).toEqual(['CONNECTION PONG']);
  deaf.pipeMessages = Infinity;
  await world.pass(70);
  expect(deaf.read().map(brief)).toEqual(new Array(10).fill('stats'));
});
