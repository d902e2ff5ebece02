import { decode, type Command } from '../../../protocol/index.js';
import type { FakePeer, FakeTransport } from '../../support/fake-transport.js';
import { useWorlds } from '../../support/broker-world.js';
import {
  brief,
  CLOSE,
  credit,
  mail,
  offer,
  open,
  PING,
  read,
  request,
  send,
  write,
} from '../../support/v1-commands.js';

const startWorld = useWorlds();

function numbers(count: number, from = 0): string[] {
  return Array.from({ length: count }, (_, n) => `n${from + n}`);
}

/** Does something, once, while the first command of this name to the peer is being sent. */
function whileSending(
  network: FakeTransport,
  peer: FakePeer,
  name: Command['name'],
  action: () => void,
): void {
  network.onSend = ([routingId, ...frames]) => {
    if (!peer.routingId.equals(routingId!) || decode(frames).name !== name) return;
    network.onSend = undefined;
    action();
  };
}

describe('a message that is being sent', () => {
  it('while a reply is queued is sent once, and the reply too', async () => {
    const world = await startWorld();
    const sender = await world.client('sender');
    const owner = await world.client('owner');
    whileSending(world.network, owner, 'MAILBOX DELIVER', () => owner.send(PING));
    await world.exchange(sender, mail('owner', 'one'), mail('owner', 'two'));
    expect(owner.read().map(brief).sort()).toEqual(['CONNECTION PONG', 'one', 'two']);
  });

  it('while its session ends is not given to the next one too', async () => {
    const world = await startWorld();
    const sender = await world.client('sender');
    const owner = await world.client('owner');
    whileSending(world.network, owner, 'MAILBOX DELIVER', () => owner.send(CLOSE));
    await world.exchange(sender, mail('owner', 'one'), mail('owner', 'two'));
    expect(owner.read().map(brief)).toEqual(['one', 'OK 200']);
    const next = world.network.connect();
    expect(await world.talk(next, open('owner'))).toEqual(['OK 200', 'two']);
    await world.exchange(next, CLOSE);
    expect(await world.view('mailboxes')).toEqual([]);
  });

  it('to a full peer whose session ends meanwhile goes to the next one', async () => {
    const world = await startWorld();
    const sender = await world.client('sender');
    const owner = await world.client('owner');
    owner.pipeMessages = 0;
    const next = world.network.connect();
    whileSending(world.network, owner, 'MAILBOX DELIVER', () => next.send(open('owner')));
    await world.exchange(sender, mail('owner', 'one'), mail('owner', 'two'));
    expect(next.read().map(brief).sort()).toEqual(['OK 200', 'one', 'two']);
    expect(world.broker.counters).toMatchObject({ takenBack: 2, mailboxDeliveries: 2 });
  });

  it('to a peer that is gone just then goes to another worker', async () => {
    const world = await startWorld();
    const asker = await world.client('asker');
    const worker = await world.client('worker');
    const other = await world.client('other');
    await world.exchange(worker, offer('svc'));
    await world.exchange(other, offer('svc'));
    whileSending(world.network, worker, 'SERVICE DELIVER', () => worker.vanish());
    await world.exchange(asker, ...numbers(10).map((subject) => request('svc', subject)));
    expect(other.read().map(brief).sort()).toEqual(numbers(10));
    expect(await world.view('services')).toMatchObject([{ workers: 1, requests: 0 }]);
  });
});

describe('a peer whose queue is full', () => {
  it('is left alone for a while, and gets everything in order when it reads', async () => {
    const world = await startWorld();
    const sender = await world.client('sender');
    const owner = await world.client('owner');
    owner.pipeMessages = 10;
    await world.exchange(sender, ...numbers(500).map((subject) => mail('owner', subject)));
    const before = world.network.attempts;
    await world.settle();
    expect(world.network.attempts).toBe(before);
    const got: string[] = [];
    for (let turn = 0; turn < 100; turn++) {
      got.push(...owner.read().map(brief));
      await world.pass(70);
    }
    expect(got).toEqual(numbers(500));
  });

  it('is tried less and less often, and never given up', async () => {
    const world = await startWorld();
    const sender = await world.client('sender');
    const owner = await world.client('owner');
    owner.pipeMessages = 0;
    await world.exchange(sender, mail('owner', 'x'));
    const before = world.network.attempts;
    for (let turn = 0; turn < 300; turn++) await world.pass(30);
    const attempts = world.network.attempts - before;
    expect(attempts).toBeGreaterThan(100);
    expect(attempts).toBeLessThan(200);
  });

  it('does not keep others waiting', async () => {
    const world = await startWorld();
    const sender = await world.client('sender');
    const full = [];
    for (let n = 0; n < 20; n++) {
      const peer = await world.client(`full${n}`);
      peer.pipeMessages = 0;
      full.push(peer);
    }
    const owner = await world.client('owner');
    for (const subject of numbers(100)) {
      sender.send(...full.map((_, n) => mail(`full${n}`, subject)), mail('owner', subject));
    }
    await world.settle();
    expect(owner.read().map(brief)).toEqual(numbers(100));
  });
});

describe('traffic classes', () => {
  it('share a peer’s queue: mail without end does not stop streams, requests or replies', async () => {
    const world = await startWorld();
    const sender = await world.client('sender');
    const peer = await world.client('peer');
    await world.exchange(peer, read('s'), offer('svc'));
    await world.exchange(sender, write('s'));
    peer.pipeMessages = 30;
    const got: string[] = [];
    for (let round = 0; round < 20; round++) {
      for (const subject of numbers(100)) sender.send(mail('peer', subject));
      sender.send(send(`stream${round}`), request('svc', `request${round}`));
      peer.send(PING);
      await world.settle();
      await world.pass(70);
      got.push(...peer.read().map(brief));
    }
    for (const kind of ['stream', 'request']) {
      expect(got.filter((subject) => subject.startsWith(kind))).toHaveLength(20);
    }
    expect(got.filter((name) => name === 'CONNECTION PONG')).toHaveLength(20);
    expect(got.filter((subject) => subject.startsWith('n')).length).toBeGreaterThan(400);
  });

  it('a reader that catches up does not keep the broker from hearing others', async () => {
    const world = await startWorld();
    const writer = await world.client('writer');
    const reader = await world.client('reader');
    const neighbour = await world.client('neighbour');
    await world.exchange(reader, read('s'));
    await world.exchange(writer, write('s'));
    reader.pipeMessages = 0;
    const messages = 40_000;
    for (let n = 0; n < messages; n++) writer.send(send('x'));
    await world.settle();
    reader.pipeMessages = Infinity;
    let deliveriesBefore = 0;
    world.network.onSend = (frames) => {
      // When the reader gets its first message, the neighbour says something.
      if (deliveriesBefore++ === 0) for (let n = 0; n < 150; n++) neighbour.send(PING);
      if (neighbour.routingId.equals(frames[0]!) && neighbour.waiting === 149) {
        world.network.onSend = undefined;
      }
    };
    await world.pass(70);
    expect(neighbour.read()).toHaveLength(150);
    expect(reader.read()).toHaveLength(messages);
    expect(deliveriesBefore).toBeLessThan(messages * 0.9);
  });
});

describe('CREDIT', () => {
  it('bounds what is delivered, of every kind together, from its first grant on', async () => {
    const world = await startWorld();
    const sender = await world.client('sender');
    const peer = await world.client('peer');
    await world.exchange(peer, read('s'), offer('svc'), credit(2));
    await world.exchange(sender, write('s'));
    const sends = [mail('peer', 'm1'), request('svc', 'r1'), send('s1'), mail('peer', 'm2')];
    await world.exchange(sender, ...sends);
    expect(peer.read()).toHaveLength(2);
    expect(await world.talk(peer, PING)).toEqual(['CONNECTION PONG']);
    expect(await world.exchange(peer, credit(1))).toHaveLength(1);
    expect(await world.exchange(peer, credit(10))).toHaveLength(1);
    expect((await world.view<{ credit: number }[]>('clients'))[1]).toMatchObject({ credit: 9 });
  });

  it('that was never granted is without bound', async () => {
    const world = await startWorld();
    const sender = await world.client('sender');
    const peer = await world.client('peer');
    await world.exchange(sender, ...numbers(3000).map((subject) => mail('peer', subject)));
    expect(peer.read()).toHaveLength(3000);
  });

  it('of nothing stops deliveries, and grants add up', async () => {
    const world = await startWorld();
    const sender = await world.client('sender');
    const peer = await world.client('peer');
    await world.exchange(peer, credit(0));
    await world.exchange(sender, ...numbers(100).map((subject) => mail('peer', subject)));
    expect(peer.read()).toEqual([]);
    expect(await world.talk(peer, credit(30), credit(0), credit(20))).toEqual(numbers(50));
    for (let n = 0; n < 3; n++) await world.exchange(peer, credit(0xffff));
    expect(world.broker.counters.mailboxDeliveries).toBe(100);
  });

  it('comes back to nobody: a new session of the address starts anew', async () => {
    const world = await startWorld();
    const sender = await world.client('sender');
    const peer = await world.client('peer');
    await world.exchange(peer, credit(0));
    await world.exchange(sender, mail('peer', 'x'));
    expect(await world.talk(peer, CLOSE, open('peer'))).toEqual(['OK 200', 'OK 200', 'x']);
  });
});

it('replies to peers without a session are dropped where they are not read', async () => {
  const world = await startWorld();
  const peer = world.network.connect();
  peer.pipeMessages = 100;
  for (let n = 0; n < 5000; n++) peer.send(PING);
  await world.settle();
  expect(peer.read()).toHaveLength(100);
  expect(world.broker.counters).toMatchObject({ repliesDropped: 4900, invalidCommands: 5000 });
});

describe('stopping', () => {
  it('delivers what waits in outboxes to those who read', async () => {
    const world = await startWorld();
    const sender = await world.client('sender');
    const slow = await world.client('slow');
    slow.pipeMessages = 50;
    await world.exchange(sender, ...numbers(300).map((subject) => mail('slow', subject)));
    const stopped = world.broker.stop();
    const got: string[] = [];
    for (let turn = 0; turn < 200 && got.length < 300; turn++) {
      got.push(...slow.read().map(brief));
      await world.pass(20);
    }
    await stopped;
    expect(got).toEqual(numbers(300));
    expect(world.network.closed).toBe(true);
    expect(world.logged('stopping with messages that clients did not take')).toEqual([]);
  });

  it('ends at its bound though a client never reads', async () => {
    const world = await startWorld({ 'drain-timeout': 1000 });
    const sender = await world.client('sender');
    const deaf = await world.client('deaf');
    deaf.pipeMessages = 0;
    await world.exchange(sender, ...numbers(300).map((subject) => mail('deaf', subject)));
    let over = false;
    const stopped = world.broker.stop().then(() => (over = true));
    await world.pass(900);
    expect(over).toBe(false);
    for (let turn = 0; turn < 10; turn++) await world.pass(100);
    await stopped;
    expect(world.logged('stopping with messages that clients did not take')).toMatchObject([
      { fields: { left: 300 } },
    ]);
  });

  it('ends at its bound though a client reads as fast as it is given', async () => {
    const world = await startWorld({ 'drain-timeout': 100 });
    const sender = await world.client('sender');
    for (let n = 0; n < 20_000; n++) sender.send(mail('owner', 'x'));
    await world.settle();
    const owner = world.network.connect();
    let sent = 0;
    let sentAtBound = 0;
    world.network.onSend = () => {
      // Each message takes the broker some time.
      if (++sent % 100 === 0) world.clock.advance(5);
      if (world.clock.nowMs() < 100) sentAtBound = sent;
      if (sent === 1) void world.broker.stop();
    };
    owner.send(open('owner'));
    await world.settle();
    await world.stop();
    expect(sentAtBound).toBeGreaterThan(1000);
    expect(sent).toBeLessThan(15_000);
  });

  it('may be asked for twice', async () => {
    const world = await startWorld();
    await world.client('a');
    await Promise.all([world.stop(), world.broker.stop()]);
    expect(world.network.closed).toBe(true);
  });
});
