import { Deque } from '../../../broker/deque.js';
import type { FakePeer } from '../../support/fake-transport.js';
import { useWorlds, type World } from '../../support/broker-world.js';
import {
  brief,
  cancel,
  CLOSE,
  credit,
  mail,
  open,
  PING,
  read,
  send,
  write,
} from '../../support/v1-commands.js';

const startWorld = useWorlds();

function numbers(count: number, from = 0): string[] {
  return Array.from({ length: count }, (_, n) => `n${from + n}`);
}

async function writer(world: World, address = 'writer', stream = 's'): Promise<FakePeer> {
  const peer = await world.client(address);
  expect(await world.talk(peer, write(stream))).toEqual(['OK 200']);
  return peer;
}

async function reader(world: World, address: string, ...patterns: string[]): Promise<FakePeer> {
  const peer = await world.client(address);
  for (const pattern of patterns) {
    expect(await world.talk(peer, read('s', pattern))).toEqual(['OK 200']);
  }
  return peer;
}

/** Reads until nothing more comes; the peer says now and then that it is there. */
async function readAll(world: World, peer: FakePeer): Promise<string[]> {
  const got: string[] = [];
  for (let idle = 0; idle < 4; idle++) {
    peer.send(PING);
    await world.pass(70);
    const more = peer
      .read()
      .map(brief)
      .filter((word) => word !== 'CONNECTION PONG');
    if (more.length > 0) idle = 0;
    got.push(...more);
  }
  return got;
}

describe('a message', () => {
  it('reaches every reader whose pattern matches, once, in order, with all its parts', async () => {
    const world = await startWorld();
    const all = await reader(world, 'all', '');
    const some = await reader(world, 'some', '^n1', '^n1.', 'n2$');
    const none = await reader(world, 'none', 'x');
    const from = await writer(world);
    const content = [Buffer.from('body'), Buffer.alloc(0)];
    await world.exchange(from, send('first', ...content), ...numbers(30).map((s) => send(s)));
    const [first, ...rest] = all.read();
    expect(first).toEqual({
      name: 'STREAM DELIVER',
      address: 's',
      sender: 'writer',
      subject: 'first',
      content,
    });
    expect(rest.map(brief)).toEqual(numbers(30));
    expect(some.read().map(brief)).toEqual(
      numbers(30).filter((subject) => /^n1|n2$/.test(subject)),
    );
    expect(none.read()).toEqual([]);
  });

  it('of many writers comes to all readers in the same order', async () => {
    const world = await startWorld();
    const readers = [await reader(world, 'r1', ''), await reader(world, 'r2', '', 'n')];
    const writers = [await writer(world, 'w1'), await writer(world, 'w2'), await writer(world, '')];
    for (let n = 0; n < 50; n++) {
      for (const [w, peer] of writers.entries()) peer.send(send(`${w}n${n}`));
      if (n % 7 === 0) await world.settle();
    }
    await world.settle();
    const [one, other] = readers.map((peer) => peer.read().map(brief));
    expect(one).toHaveLength(150);
    expect(other).toEqual(one);
  });

  it('does not come to the reader that wrote it, named or not', async () => {
    const world = await startWorld();
    for (const address of ['self', '']) {
      const self = await reader(world, address, '');
      const other = await reader(world, 'other', '');
      await world.exchange(self, write('s'), send('mine'));
      const from = await writer(world, 'writer');
      await world.exchange(from, send('theirs'));
      expect(await world.talk(self, send('mine again'))).toEqual(['theirs']);
      expect(other.read().map(brief)).toEqual(['mine', 'theirs', 'mine again']);
      await world.exchange(self, CLOSE);
    }
  });

  it('that came before the READ does not come after it', async () => {
    const world = await startWorld();
    const from = await writer(world);
    const late = await world.client('late');
    from.send(send('before'));
    late.send(read('s'));
    from.send(send('after'));
    await world.settle();
    expect(late.read().map(brief)).toEqual(['OK 200', 'after']);
  });

  it('goes to the stream that its writer chose last', async () => {
    const world = await startWorld();
    const from = await writer(world);
    const s = await reader(world, 'r', '');
    const t = await world.client('t');
    await world.exchange(t, read('t'));
    await world.exchange(from, send('1'), write('t'), send('2'), write('t'), send('3'), write('s'));
    await world.exchange(from, send('4'));
    expect([s.read().map(brief), t.read().map(brief)]).toEqual([
      ['1', '4'],
      ['2', '3'],
    ]);
  });

  it('of a writer that chose its stream twice reaches those who read it later', async () => {
    const world = await startWorld();
    const from = await writer(world);
    expect(await world.talk(from, write('s'), write('s'))).toEqual(['OK 200', 'OK 200']);
    const peer = await reader(world, 'r', '');
    await world.exchange(from, send('hello'));
    expect(peer.read().map(brief)).toEqual(['hello']);
    await world.exchange(from, CLOSE);
    expect(await world.view('streams')).toMatchObject([{ stream: 's', writers: 0, readers: 1 }]);
  });

  it('before STREAM WRITE is an error', async () => {
    const world = await startWorld();
    expect(await world.talk(await world.client('a'), send('x'))).toEqual(['ERROR 300']);
  });

  it('that is too large is counted and logged once for each client, and hurts nobody', async () => {
    const world = await startWorld({ 'message-bytes-max': 1024 });
    const r = await reader(world, 'r', '');
    const from = await writer(world);
    const large = send('large', Buffer.alloc(1000), Buffer.alloc(25));
    await world.exchange(from, large, large, send('small', Buffer.alloc(1024)), large);
    expect(r.read().map(brief)).toEqual(['small']);
    expect(world.broker.counters).toMatchObject({ refused: 3, streamMessages: 1 });
    expect(world.logged('a message is too large and was refused')).toHaveLength(1);
  });
});

describe('CANCEL', () => {
  it('ends all patterns of its stream, and no other stream', async () => {
    const world = await startWorld();
    const peer = await reader(world, 'r', 'a', 'b', '');
    await world.exchange(peer, read('t'));
    const s = await writer(world, 'ws');
    const t = await writer(world, 'wt', 't');
    expect(await world.talk(peer, cancel('s'))).toEqual(['OK 200']);
    await world.exchange(s, send('a'), send('b'));
    await world.exchange(t, send('c'));
    expect(peer.read().map(brief)).toEqual(['c']);
  });

  it('of what is not read is answered all the same', async () => {
    const world = await startWorld();
    const peer = await world.client('r');
    expect(await world.talk(peer, cancel('s'), cancel(''), cancel('$x'))).toEqual([
      'OK 200',
      'OK 200',
      'OK 200',
    ]);
    expect(await world.view('streams')).toEqual([]);
  });

  it('and READ again begins anew', async () => {
    const world = await startWorld();
    const peer = await reader(world, 'r', 'a');
    const from = await writer(world);
    await world.exchange(from, send('a1'));
    await world.exchange(peer, cancel('s'));
    await world.exchange(from, send('a2'), send('b2'));
    await world.exchange(peer, read('s', 'b'));
    await world.exchange(from, send('a3'), send('b3'));
    expect(peer.read().map(brief)).toEqual(['b3']);
  });
});

describe('a stream', () => {
  it('stays when its last writer and reader have gone, for those who read it later', async () => {
    const world = await startWorld();
    const from = await writer(world);
    const peer = await reader(world, 'r', '');
    await world.exchange(from, ...numbers(100).map((subject) => send(subject)));
    expect(await world.view('streams')).toMatchObject([
      { stream: 's', lastSequence: 100, writers: 1, readers: 1, behind: 0 },
    ]);
    await world.exchange(from, CLOSE);
    expect(await world.view('streams')).toMatchObject([{ writers: 0, readers: 1 }]);
    await world.exchange(peer, CLOSE);
    expect(await world.view('streams')).toMatchObject([
      { stream: 's', lastSequence: 100, writers: 0, readers: 0 },
    ]);
  });

  it('is forgotten with its last writer and reader where nothing was sent to it', async () => {
    const world = await startWorld();
    const from = await writer(world);
    const peer = await reader(world, 'r', '');
    await world.exchange(from, CLOSE);
    await world.exchange(peer, CLOSE);
    expect(await world.view('streams')).toEqual([]);
  });

  it('in memory that nobody uses makes room for a new one at the limit', async () => {
    const world = await startWorld({ 'streams-max': 2 });
    for (const name of ['old', 'used']) {
      const from = await writer(world, `w-${name}`, name);
      await world.exchange(from, send('x'));
      if (name === 'old') await world.exchange(from, CLOSE);
    }
    await writer(world, 'w-new', 'new');
    const names = (await world.view<{ stream: string }[]>('streams')).map(({ stream }) => stream);
    expect(names).toEqual(['used', 'new']);
    expect(world.store.streamBytes('old')).toBe(0);
    expect(await world.talk(await world.client('x'), write('one too many'))).toEqual(['ERROR 300']);
  });

  it.each(['$', '$broker', '$jobs'])('called %s is not written to by clients', async (name) => {
    const world = await startWorld();
    const [answer] = await world.exchange(await world.client('a'), write(name));
    expect(answer).toMatchObject({ name: 'ERROR', statusCode: 300 });
    expect(answer).toHaveProperty('statusReason', expect.stringContaining('only the broker'));
    expect(await world.view('streams')).toEqual([]);
  });

  it('of the broker itself may be read; there are two of them', async () => {
    const world = await startWorld();
    const peer = await world.client('a');
    for (const name of ['$jobs', '$presence']) {
      expect(await world.talk(peer, read(name))).toEqual(['OK 200']);
      expect(await world.talk(peer, cancel(name))).toEqual(['OK 200']);
    }
    expect(await world.view('streams')).toEqual([]);
    expect(await world.talk(peer, read('$broker'))).toEqual(['ERROR 300']);
  });

  it('may have no name, or a long one', async () => {
    const world = await startWorld();
    for (const name of ['', 'ü'.repeat(127), 'x'.repeat(255)]) {
      const from = await writer(world, 'w', name);
      const peer = await world.client('r');
      await world.exchange(peer, read(name));
      await world.exchange(from, send('hello'));
      expect(peer.read()).toMatchObject([{ address: name, subject: 'hello' }]);
    }
  });

  it('beyond the limit is refused, by an answer', async () => {
    const world = await startWorld({ 'streams-max': 2 });
    const peers = [await writer(world, 'a', 'a'), await writer(world, 'b', 'b')];
    expect(await world.talk(await world.client('c'), write('c'))).toEqual(['ERROR 300']);
    expect(await world.talk(await world.client('c'), read('c'))).toEqual(['ERROR 300']);
    expect(await world.talk(await world.client('d'), read('a'))).toEqual(['OK 200']);
    await world.exchange(peers[1]!, write('a'));
    expect(await world.talk(await world.client('c'), write('c'))).toEqual(['OK 200']);
  });
});

describe('a pattern', () => {
  it.each(['[', '(', '*', '\\', 'a{2,1}', '[z-a]', '(?=x)', '\\1'])(
    '%s is taken or refused by an answer, and leaves nothing behind where it is refused',
    async (pattern) => {
      const world = await startWorld();
      const [answer] = await world.talk(await world.client('a'), read('s', pattern));
      expect(['OK 200', 'ERROR 300']).toContain(answer);
      expect(await world.view('streams')).toHaveLength(answer === 'OK 200' ? 1 : 0);
    },
  );

  it('read twice is one, and does not count twice', async () => {
    const world = await startWorld({ 'subscriptions-max': 2 });
    const peer = await reader(world, 'r', 'a', 'a', 'b');
    expect(await world.talk(peer, read('s', 'c'))).toEqual(['ERROR 300']);
  });

  it('is matched once for each subject, however many read it and however often it comes', async () => {
    const world = await startWorld();
    const peers: FakePeer[] = [];
    for (let n = 0; n < 30; n++) peers.push(await reader(world, `r${n}`, `^n${n}$`, ''));
    const from = await writer(world);
    for (let round = 0; round < 5; round++) {
      await world.exchange(from, ...numbers(40).map((subject) => send(subject)));
    }
    for (const peer of peers) expect(peer.read()).toHaveLength(200);
  });

  it('new or gone is in force at once for subjects that were seen before', async () => {
    const world = await startWorld();
    const one = await reader(world, 'one', 'a');
    const two = await reader(world, 'two', 'b');
    const from = await writer(world);
    await world.exchange(from, send('a'), send('b'));
    two.send(read('s', 'a'));
    await world.settle();
    await world.exchange(from, send('a'), send('b'));
    one.send(CLOSE);
    await world.settle();
    await world.exchange(from, send('a'));
    expect(two.read().map(brief)).toEqual(['b', 'OK 200', 'a', 'b', 'a']);
    expect(one.read().map(brief)).toEqual(['a', 'a', 'OK 200']);
  });
});

describe('a reader that is slower than its stream', () => {
  it('falls behind, catches up from the log and misses nothing', async () => {
    const world = await startWorld({ 'outbox-messages-max': 20, timeout: 86_400_000 });
    const slow = await reader(world, 'slow', '');
    const quick = await reader(world, 'quick', '');
    const from = await writer(world);
    slow.pipeMessages = 5;
    await world.exchange(from, ...numbers(1000).map((subject) => send(subject)));
    expect(quick.read().map(brief)).toEqual(numbers(1000));
    expect(await world.view('streams')).toMatchObject([{ behind: 1 }]);
    const clients = await world.view<{ address: string; outbox: number }[]>('clients');
    expect(clients.find(({ address }) => address === 'slow')?.outbox).toBeLessThanOrEqual(20);
    expect(await readAll(world, slow)).toEqual(numbers(1000));
    expect(await world.view('streams')).toMatchObject([{ behind: 0 }]);
    await world.exchange(from, send('live'));
    expect(slow.read().map(brief)).toEqual(['live']);
    expect(world.broker.counters.streamGaps).toBe(0);
    const episodes = world.log.filter(
      ({ level, fields }) => level !== 'debug' && fields['address'] === 'slow',
    );
    expect(episodes).toMatchObject([
      { level: 'info', message: 'a reader fell behind: it reads from the log' },
      {
        level: 'info',
        message: 'a reader has caught up: it is live again',
        fields: { missed: 0 },
      },
    ]);
  });

  it('gets what the log still holds, and the gap is counted and logged', async () => {
    const world = await startWorld({ 'outbox-messages-max': 10, 'stream-bytes-max': 65_536 });
    const slow = await reader(world, 'slow', '');
    const from = await writer(world);
    slow.pipeMessages = 0;
    const body = Buffer.alloc(1000);
    const messages = 1000;
    for (const subject of numbers(messages)) from.send(send(subject, body));
    await world.settle();
    slow.pipeMessages = Infinity;
    const got = await readAll(world, slow);
    const { streamGaps } = world.broker.counters;
    expect(got.slice(0, 10)).toEqual(numbers(10));
    expect(got.slice(10)).toEqual(numbers(messages).slice(10 + streamGaps));
    expect(got.length).toBe(messages - streamGaps);
    // The log holds its octets in blocks, whole ones.
    expect(got.length).toBeGreaterThan(60);
    expect(got.length).toBeLessThan(400);
    expect(world.logged('a reader has caught up: it is live again')).toMatchObject([
      { level: 'warn', fields: { missed: streamGaps } },
    ]);
  });

  it('keeps no message that its patterns do not match, nor its own', async () => {
    const world = await startWorld({ 'outbox-messages-max': 10 });
    const from = await writer(world);
    for (const address of ['slow', '']) {
      const slow = await reader(world, address, '7$', '^n3');
      slow.pipeMessages = 0;
      await world.exchange(slow, write('s'));
      for (const subject of numbers(500)) {
        from.send(send(subject));
        slow.send(send(`${subject}7`));
        if (subject.endsWith('99')) await world.settle();
      }
      await world.settle();
      slow.pipeMessages = Infinity;
      const got = (await readAll(world, slow)).filter((subject) => subject !== 'OK 200');
      expect(got).toEqual(numbers(500).filter((subject) => /7$|^n3/.test(subject)));
      await world.exchange(slow, CLOSE);
    }
  });

  it('of two streams is not kept from one by the other', async () => {
    const world = await startWorld({ 'outbox-messages-max': 10 });
    const slow = await reader(world, 'slow', '');
    await world.exchange(slow, read('t'));
    slow.pipeMessages = 0;
    const s = await writer(world, 'ws', 's');
    const t = await writer(world, 'wt', 't');
    for (const subject of numbers(500)) {
      s.send(send(`s${subject}`));
      t.send(send(`t${subject}`));
    }
    await world.settle();
    slow.pipeMessages = 10;
    const got: string[] = [];
    for (let turn = 0; turn < 20; turn++) {
      await world.pass(70);
      got.push(...slow.read().map(brief));
    }
    expect(got.length).toBeGreaterThan(100);
    expect(got.length).toBeLessThan(500);
    for (const kind of ['s', 't']) {
      const part = got.filter((subject) => subject.startsWith(kind));
      expect(part.length).toBeGreaterThan(got.length / 5);
      expect(part).toEqual(numbers(part.length).map((subject) => `${kind}${subject}`));
    }
  });

  it('is stopped by its credit like by its queue', async () => {
    const world = await startWorld();
    const poor = await reader(world, 'poor', '');
    await world.exchange(poor, credit(3));
    const from = await writer(world);
    await world.exchange(from, ...numbers(100).map((subject) => send(subject)));
    expect(poor.read().map(brief)).toEqual(numbers(3));
    expect(await world.talk(poor, credit(50))).toEqual(numbers(50, 3));
    await world.exchange(from, send('last'));
    expect(await world.talk(poor, credit(1000))).toEqual([...numbers(47, 53), 'last']);
    await world.exchange(from, send('live'));
    expect(poor.read().map(brief)).toEqual(['live']);
  });

  it('that ends is forgotten, wherever it was in the log', async () => {
    const world = await startWorld({ 'outbox-messages-max': 10 });
    const slow = await reader(world, 'slow', '');
    slow.pipeMessages = 3;
    const from = await writer(world);
    await world.exchange(from, ...numbers(200).map((subject) => send(subject)));
    slow.vanish();
    await world.pass(70);
    expect(await world.view('streams')).toMatchObject([{ readers: 0, behind: 0 }]);
    await world.exchange(from, send('x'), CLOSE);
    expect(await world.view('streams')).toMatchObject([{ readers: 0, writers: 0, behind: 0 }]);
  });
});

describe('what an anonymous client wrote and does not read', () => {
  /** The most sequences of own messages that were kept at a time. */
  async function keptAtMost(action: () => Promise<void>): Promise<number> {
    const push = Reflect.get(Deque.prototype, 'push') as (item: unknown) => void;
    let most = 0;
    Deque.prototype.push = function (item: unknown): void {
      push.call(this, item);
      if (typeof item === 'number') most = Math.max(most, this.length);
    };
    try {
      await action();
    } finally {
      Deque.prototype.push = push;
    }
    return most;
  }

  it('leaves no trace', async () => {
    const world = await startWorld();
    const peer = await reader(world, '', '^never$');
    await world.exchange(peer, write('s'));
    const kept = await keptAtMost(async () => {
      for (let round = 0; round < 20; round++) {
        await world.exchange(peer, ...numbers(1000).map((subject) => send(subject)));
      }
    });
    expect(kept).toBeGreaterThan(0);
    expect(kept).toBeLessThan(2000);
  });

  it('is bounded while the client is behind', async () => {
    const world = await startWorld({ 'outbox-messages-max': 1, 'stream-bytes-max': 65_536 });
    const peer = await reader(world, '', '');
    const other = await writer(world, 'other');
    peer.pipeMessages = 0;
    await world.exchange(peer, write('s'));
    await world.exchange(other, ...numbers(5).map((subject) => send(subject)));
    const kept = await keptAtMost(async () => {
      for (let n = 0; n < 120_000; n++) {
        peer.send(send('x'));
        if (n % 10_000 === 0) await world.settle();
      }
      await world.settle();
    });
    expect(kept).toBe(100_000);
    expect(await world.view('streams')).toMatchObject([{ behind: 1 }]);
  });
});

it('subjects without end, with mail and heartbeats between them, are delivered', async () => {
  const world = await startWorld();
  const peer = await reader(world, 'r', '^n', '9$');
  const from = await writer(world);
  let streamed = 0;
  for (let round = 0; round < 25; round++) {
    const subjects = numbers(1000, round * 1000);
    from.send(...subjects.map((subject) => send(subject)), mail('r', 'mail'));
    peer.send(PING);
    await world.settle();
    streamed += peer.read().filter(({ name }) => name === 'STREAM DELIVER').length;
  }
  expect(streamed).toBe(25_000);
  expect(await world.talk(world.network.connect(), open('next'))).toEqual(['OK 200']);
});
