// What becomes of requests whose workers speak the native protocol: replies,
// leases, progress, deadlines, cancelling, keys, wants; and of jobs, whose lives
// are written down.
import { decode as unpack, encode as pack } from '@msgpack/msgpack';
import { BlockReader } from '../../../protocol/index.js';
import { GatedStore } from '../../support/gated-store.js';
import { useWorlds, type World } from '../../support/broker-world.js';
import { request } from '../../support/v1-commands.js';
import {
  FakeNativePeer,
  mailCredit,
  nativeConfirm,
  nativeRequest,
  only,
  type Asked,
  type Said,
  type SaidBy,
} from '../../support/fake-native-peer.js';

const startWorld = useWorlds();

type Delivery = SaidBy<'SERVICE DELIVER'>;

function reply({ delivery, epoch }: Delivery, text: string): Asked {
  return { name: 'REPLY', delivery, epoch, content: [Buffer.from(text)] };
}

function extend({ delivery, epoch }: Delivery): Asked {
  return { name: 'EXTEND', delivery, epoch };
}

function progress({ delivery, epoch }: Delivery, kind: number, value: unknown): Asked {
  return { name: 'PROGRESS', delivery, epoch, kind, content: [Buffer.from(pack(value))] };
}

async function worker(
  world: World,
  address: string,
  terms: Record<string, unknown> = {},
): Promise<FakeNativePeer> {
  const peer = await FakeNativePeer.open(world, address);
  await peer.ask('offer', { service: 's', ...terms });
  return peer;
}

/** A worker that comes when requests wait already. @returns it, and what it was given at once */
async function lateWorker(
  world: World,
  address: string,
  terms: Record<string, unknown> = {},
): Promise<[FakeNativePeer, Delivery[]]> {
  const peer = await FakeNativePeer.open(world, address);
  peer.call('offer', { service: 's', ...terms });
  return [peer, await given(world, peer)];
}

async function requester(world: World, address = 'asks'): Promise<FakeNativePeer> {
  const peer = await FakeNativePeer.open(world, address);
  await peer.exchange(mailCredit(1000));
  return peer;
}

function deliveries(said: readonly Said[]): Delivery[] {
  return only(said, 'SERVICE DELIVER');
}

const subjects = (said: readonly Said[]): string[] =>
  deliveries(said).map(({ subject }) => subject);

/** What a peer has been given, at a moment when nothing more happens. */
async function given(world: World, peer: FakeNativePeer): Promise<Delivery[]> {
  await world.settle();
  return deliveries(peer.read());
}

/** The events of all jobs so far, as `$jobs` holds them. */
function jobEvents(world: World): Record<string, unknown>[] {
  const events: Record<string, unknown>[] = [];
  for (let sequence = 0; ;) {
    const block = world.store.readBlock('$jobs', sequence);
    if (block === undefined) return events;
    const messages = new BlockReader(block.bytes);
    while (messages.next()) {
      const [head, ...content] = messages.content();
      const texts = content.map((frame) => frame.toString('latin1'));
      const more = texts.length > 0 ? { content: texts } : {};
      const event = unpack(head as Buffer) as Record<string, unknown>;
      events.push({ job: messages.subject, ...event, ...more });
    }
    sequence = block.last + 1;
  }
}

describe('a reply', () => {
  it('goes to the requester as mail, and frees the worker', async () => {
    const world = await startWorld();
    const w = await worker(world, 'w');
    const asks = await requester(world);
    await asks.exchange(
      nativeRequest('s', 'one', { tracker: 't1' }),
      nativeRequest('s', 'two', { tracker: 't2' }),
    );
    const [first] = await given(world, w);
    expect(first?.subject).toBe('one');
    expect(subjects(await w.exchange(reply(first!, 'done')))).toEqual(['two']);
    await world.settle();
    const [mail] = only(asks.read(), 'MAILBOX DELIVER');
    expect(mail).toMatchObject({ sender: 'w', subject: 'one', tracker: 't1' });
    expect(mail?.content[0]?.toString()).toBe('done');
    // Nobody tells the worker what the requester made of it.
    await asks.exchange(nativeConfirm(mail!));
    expect(only(w.read(), 'CONFIRM')).toEqual([]);
  });

  it('that nobody fetches goes away after a while', async () => {
    const world = await startWorld();
    const w = await worker(world, 'w');
    const asks = await requester(world);
    await asks.exchange(nativeRequest('s', 'one', { tracker: 't' }));
    asks.peer.vanish();
    const [first] = await given(world, w);
    await w.exchange(reply(first!, 'late'));
    await world.pass(601_000);
    expect(await world.view('mailboxes')).toEqual([]);
  });

  it('that is too large fails the request for good, in words', async () => {
    const world = await startWorld({ 'message-bytes-max': 1024 });
    const w = await worker(world, 'w');
    const asks = await requester(world);
    await asks.exchange(nativeRequest('s', 'one', { tracker: 't' }));
    const [first] = await given(world, w);
    await w.exchange(reply(first!, 'x'.repeat(1025)));
    await world.settle();
    expect(only(asks.read(), 'CONFIRM')).toMatchObject([{ tracker: 't', statusCode: 300 }]);
    expect(await w.ask('dead.counts', {})).toEqual([{ service: 's', letters: 1 }]);
  });

  it('is an error reply where the requester speaks MLM/1 and its request failed for good', async () => {
    const world = await startWorld();
    const w = await worker(world, 'w', { capacity: 2 });
    const old = await world.client('old');
    await world.exchange(old, request('s', 'r1', { tracker: 't' }), request('s', 'r2'));
    const [first, untracked] = await given(world, w);
    await w.exchange(
      nativeConfirm(first!, 400, 'bad-input: no picture'),
      nativeConfirm(untracked!, 400, 'bad-input: no picture either'),
    );
    await world.settle();
    const mail = old.read();
    expect(mail).toMatchObject([
      { name: 'MAILBOX DELIVER', sender: 'w', address: 'old', subject: 'r1', tracker: 't' },
    ]);
    const { content } = mail[0] as unknown as { content: Buffer[] };
    const why = { code: 'bad-input', message: 'bad-input: no picture' };
    expect(unpack(content[0]!)).toEqual({ $error: why });
    expect(await w.ask('dead.counts', {})).toEqual([{ service: 's', letters: 2 }]);
  });

  it('to mail is an error that takes nothing from its receiver', async () => {
    const world = await startWorld();
    const owner = await requester(world, 'owner');
    const from = await FakeNativePeer.open(world, 'from');
    const mail = { name: 'MAILBOX SEND', subject: 'm', tracker: '', timeout: 0 } as const;
    await from.exchange({ ...mail, address: 'owner', content: [] });
    const [held] = only(owner.read(), 'MAILBOX DELIVER');
    owner.send({ name: 'REPLY', delivery: held!.delivery, epoch: held!.epoch, content: [] });
    await world.settle();
    const again = await FakeNativePeer.open(world, 'owner');
    const said = await again.exchange(mailCredit(1));
    expect(only(said, 'MAILBOX DELIVER')).toMatchObject([{ subject: 'm', attempt: 2 }]);
  });
});

describe('a worker whose connection is gone', () => {
  it('loses what it has long before its silence is noticed', async () => {
    const world = await startWorld();
    const asks = await requester(world);
    const gone = await worker(world, 'gone', { capacity: 2 });
    await asks.exchange(nativeRequest('s', 'one'), nativeRequest('s', 'two'));
    expect(subjects(await given(world, gone))).toEqual(['one', 'two']);
    const other = await worker(world, 'other', { capacity: 2 });
    gone.peer.vanish();
    await world.pass(300);
    expect(subjects(await given(world, other))).toEqual(['one', 'two']);
    // The others lost nothing by being asked.
    expect(world.broker.counters.sessionsExpired).toBe(0);
    expect(await other.ask('dead.counts', {})).toEqual([]);
  });

  it('offers nothing any more a little later, where it has nothing', async () => {
    const world = await startWorld();
    const gone = await worker(world, 'gone');
    await requester(world);
    gone.peer.vanish();
    await world.pass(1100);
    expect(await world.view('services')).toEqual([]);
    expect(world.broker.counters.sessionsExpired).toBe(0);
  });
});

describe('a request that ends its worker', () => {
  /** The broker sees the session of a worker end. */
  async function end(world: World, peer: FakeNativePeer): Promise<void> {
    peer.peer.send({ name: 'CONNECTION CLOSE' });
    await world.settle();
  }

  it('does not take along to the dead letters what its workers held beside it', async () => {
    const world = await startWorld();
    const asks = await requester(world);
    const subjects = ['poison', 'a', 'b', 'c', 'd', 'e'];
    const requests = subjects.map((subject) => nativeRequest('s', subject, { tracker: subject }));
    await asks.exchange(...requests);
    const done: string[] = [];
    const together: number[] = [];
    for (let lives = 0; lives < 20 && done.length < 5; lives++) {
      const [peer, first] = await lateWorker(world, `w${lives}`, { capacity: 4 });
      for (let held = first; held.length > 0;) {
        together.push(held.length);
        // It ends before anything beside it is done.
        if (held.some(({ subject }) => subject === 'poison')) break;
        const [one, ...others] = held as [Delivery, ...Delivery[]];
        done.push(one.subject);
        held = [...others, ...deliveries(await peer.exchange(reply(one, 'done')))];
      }
      await end(world, peer);
    }
    expect(done.sort()).toEqual(['a', 'b', 'c', 'd', 'e']);
    const w = await FakeNativePeer.open(world, 'looks');
    expect(await w.ask('dead.counts', {})).toEqual([{ service: 's', letters: 1 }]);
    const letters = await w.ask<{ subject: string }[]>('dead.list', { service: 's' });
    expect(letters.map(({ subject }) => subject)).toEqual(['poison']);
    // Four times with others, then by itself.
    expect(together.slice(0, 5)).toEqual([4, 4, 4, 4, 1]);
  });

  it('keeps no capacity idle longer than it takes', async () => {
    const world = await startWorld({ 'attempts-max': 2 });
    const asks = await requester(world);
    const long = await worker(world, 'long', { capacity: 2 });
    await asks.exchange(nativeRequest('s', 'long'));
    const [first] = await given(world, long);
    const weak = await worker(world, 'weak', { capacity: 1 });
    await asks.exchange(nativeRequest('s', 'suspect'));
    expect(subjects(await given(world, weak))).toEqual(['suspect']);
    await end(world, weak);
    // It waits for a worker that has nothing else, and what came later behind it.
    await asks.exchange(nativeRequest('s', 'later'));
    expect(await given(world, long)).toEqual([]);
    const [idle, held] = await lateWorker(world, 'idle', { capacity: 2 });
    expect(held.map(({ subject }) => subject)).toEqual(['suspect']);
    expect(subjects(await given(world, long))).toEqual(['later']);
    await asks.exchange(nativeRequest('s', 'last'));
    expect(await given(world, idle)).toEqual([]);
    expect(subjects(await idle.exchange(reply(held[0]!, 'done')))).toEqual(['last']);
    await long.exchange(reply(first!, 'done'));
  });
});

describe('a lease', () => {
  it('that is not extended in time is over: somebody else gets the request', async () => {
    const world = await startWorld();
    const slow = await worker(world, 'slow', { leaseMs: 1000 });
    const asks = await requester(world);
    await asks.exchange(nativeRequest('s', 'one', { tracker: 't' }));
    const [first] = await given(world, slow);
    const other = await worker(world, 'other', { leaseMs: 1000 });
    await world.pass(900);
    await slow.exchange(extend(first!));
    await world.pass(900);
    expect(only(slow.read(), 'REVOKED')).toEqual([]);
    await world.pass(200);
    expect(only(slow.read(), 'REVOKED')).toMatchObject([
      { delivery: first!.delivery, epoch: first!.epoch, statusCode: 300 },
    ]);
    await world.pass(100);
    const [second] = await given(world, other);
    expect(second).toMatchObject({ subject: 'one', attempt: 2 });
    // What the slow one says now is not heard.
    await slow.exchange(reply(first!, 'too late'));
    await other.exchange(reply(second!, 'in time'));
    await world.settle();
    const mail = only(asks.read(), 'MAILBOX DELIVER');
    expect(mail.map(({ content }) => String(content[0]))).toEqual(['in time']);
  });

  it('that is over leaves the worker busy until it says that it has stopped', async () => {
    const world = await startWorld();
    const w = await worker(world, 'w', { leaseMs: 1000 });
    const asks = await requester(world);
    await asks.exchange(nativeRequest('s', 'one'), nativeRequest('s', 'two'));
    const [first] = await given(world, w);
    await world.pass(1100);
    await world.pass(1100);
    expect(deliveries(w.read())).toEqual([]);
    expect(subjects(await w.exchange(nativeConfirm(first!, 300, 'stopped')))).toEqual(['one']);
  });

  it('does not end where none was asked for', async () => {
    const world = await startWorld();
    const w = await worker(world, 'w');
    const asks = await requester(world);
    await asks.exchange(nativeRequest('s', 'one'));
    for (let beat = 0; beat < 720; beat++) {
      for (const peer of [w, asks]) peer.send({ name: 'PING' });
      await world.pass(5000);
    }
    expect(only(w.read(), 'REVOKED')).toEqual([]);
  });
});

describe('progress', () => {
  it('reaches the requester while it is there, and counts as a sign of life', async () => {
    const world = await startWorld();
    const w = await worker(world, 'w', { leaseMs: 1000 });
    const asks = await requester(world);
    await asks.exchange(nativeRequest('s', 'one', { tracker: 't' }));
    const [first] = await given(world, w);
    for (const fraction of [0.25, 0.5, 0.75]) {
      await world.pass(900);
      await w.exchange(progress(first!, 1, { fraction }));
    }
    const told = only(asks.read(), 'PROGRESSED');
    expect(told.map(({ tracker, kind }) => [tracker, kind])).toEqual(Array(3).fill(['t', 1]));
    expect(told.map(({ content }) => unpack(content[0] as Buffer))).toEqual([
      { fraction: 0.25 },
      { fraction: 0.5 },
      { fraction: 0.75 },
    ]);
    expect(only(w.read(), 'REVOKED')).toEqual([]);
  });
});

describe('a deadline', () => {
  it('ends a request that waits', async () => {
    const world = await startWorld();
    const asks = await requester(world);
    await asks.exchange(nativeRequest('s', 'one', { tracker: 't', deadline: 500 }));
    await world.pass(600);
    expect(only(asks.read(), 'CONFIRM')).toMatchObject([{ tracker: 't', statusCode: 408 }]);
    expect((await lateWorker(world, 'w'))[1]).toEqual([]);
  });

  it('takes a request from the worker that has it', async () => {
    const world = await startWorld();
    const w = await worker(world, 'w');
    const asks = await requester(world);
    const terms = { tracker: 't', timeout: 100, deadline: 500 };
    await asks.exchange(nativeRequest('s', 'one', terms));
    const [first] = await given(world, w);
    await world.pass(400);
    expect(only(w.read(), 'REVOKED')).toEqual([]);
    await world.pass(200);
    expect(only(w.read(), 'REVOKED')).toMatchObject([{ statusCode: 408 }]);
    expect(only(asks.read(), 'CONFIRM')).toMatchObject([{ tracker: 't', statusCode: 408 }]);
    await w.exchange(reply(first!, 'late'));
    expect(only(asks.read(), 'MAILBOX DELIVER')).toEqual([]);
    expect(await world.view('services')).toMatchObject([{ service: 's', requests: 0 }]);
  });
});

describe('a cancelled request', () => {
  it('is gone where it waits, is held back, or waits for others of its key', async () => {
    const world = await startWorld();
    const asks = await requester(world);
    await asks.exchange(
      nativeRequest('s', 'waits', { tracker: 'a' }),
      nativeRequest('s', 'delayed', { tracker: 'b', delay: 1000 }),
      nativeRequest('s', 'first', { tracker: 'c', key: 'k' }),
      nativeRequest('s', 'second', { tracker: 'd', key: 'k' }),
      nativeRequest('s', 'third', { tracker: 'e', key: 'k' }),
    );
    for (const tracker of ['a', 'b', 'd']) {
      expect(await asks.ask('request.cancel', { service: 's', tracker })).toEqual({
        was: 'waiting',
      });
    }
    const [w, [first]] = await lateWorker(world, 'w', { capacity: 9 });
    expect(first?.subject).toBe('first');
    await world.pass(2000);
    expect(await given(world, w)).toEqual([]);
    expect(subjects(await w.exchange(reply(first!, '')))).toEqual(['third']);
  });

  it('is taken from its worker', async () => {
    const world = await startWorld();
    const w = await worker(world, 'w');
    const asks = await requester(world);
    await asks.exchange(nativeRequest('s', 'one', { tracker: 'a' }));
    const [first] = await given(world, w);
    const cancelled = await asks.ask('request.cancel', { service: 's', tracker: 'a' });
    expect(cancelled).toEqual({ was: 'running' });
    expect(only(w.read(), 'REVOKED')).toMatchObject([
      { delivery: first!.delivery, statusCode: 410, statusReason: 'cancelled by asks' },
    ]);
    await expect(asks.ask('request.cancel', { service: 's', tracker: 'a' })).rejects.toThrow(
      'service s keeps no request with the tracker "a"',
    );
  });

  it('is never that of somebody else with the same tracker', async () => {
    const world = await startWorld();
    const [a, b] = [await requester(world, 'a'), await requester(world, 'b')];
    await a.exchange(nativeRequest('s', 'of a', { tracker: 't' }));
    await b.exchange(nativeRequest('s', 'of b', { tracker: 't' }));
    await b.ask('request.cancel', { service: 's', tracker: 't' });
    const [, left] = await lateWorker(world, 'w');
    expect(left.map(({ sender }) => sender)).toEqual(['a']);
  });
});

describe('requests with a key', () => {
  it('run one at a time, in order, whoever has time', async () => {
    const world = await startWorld();
    const workers = [await worker(world, 'w1'), await worker(world, 'w2')];
    const asks = await requester(world);
    await asks.exchange(
      ...['1', '2', '3'].map((subject) => nativeRequest('s', subject, { key: 'k' })),
    );
    const seen: string[] = [];
    for (let round = 0; round < 3; round++) {
      const held = [];
      for (const peer of workers) {
        for (const delivery of await given(world, peer)) held.push({ peer, delivery });
      }
      expect(held).toHaveLength(1);
      const [{ peer, delivery }] = held as [(typeof held)[0]];
      seen.push(delivery.subject);
      peer.send(reply(delivery, ''));
    }
    expect(seen).toEqual(['1', '2', '3']);
  });

  it('keep their order when one fails and is tried again', async () => {
    const world = await startWorld();
    const w = await worker(world, 'w', { capacity: 9 });
    const asks = await requester(world);
    await asks.exchange(...['1', '2'].map((subject) => nativeRequest('s', subject, { key: 'k' })));
    const [first] = await given(world, w);
    expect(await w.exchange(nativeConfirm(first!, 300, 'no'))).toEqual([]);
    await world.pass(150);
    const [again] = await given(world, w);
    expect(again).toMatchObject({ subject: '1', attempt: 2 });
    expect(subjects(await w.exchange(reply(again!, '')))).toEqual(['2']);
  });

  it('do not keep other keys waiting', async () => {
    const world = await startWorld();
    const asks = await requester(world);
    const of = (key: string, count: number): Asked[] =>
      Array.from({ length: count }, (_, at) => nativeRequest('s', `${key}${at}`, { key }));
    await asks.exchange(...of('a', 3), ...of('b', 2), nativeRequest('s', 'x'));
    const [w, first] = await lateWorker(world, 'w');
    const order: string[] = [];
    let [next] = first;
    while (next !== undefined) {
      order.push(next.subject);
      [next] = deliveries(await w.exchange(reply(next, '')));
    }
    expect(order).toEqual(['a0', 'b0', 'x', 'a1', 'b1', 'a2']);
  });

  it('go to the worker that had the key before, where it has time', async () => {
    const world = await startWorld();
    const workers = [
      await worker(world, 'w1', { capacity: 4 }),
      await worker(world, 'w2', { capacity: 4 }),
    ];
    const asks = await requester(world);
    const homes = new Map<string, Set<string>>();
    for (let round = 0; round < 6; round++) {
      await asks.exchange(...['a', 'b', 'c'].map((key) => nativeRequest('s', key, { key })));
      for (const peer of workers) {
        for (const delivery of await given(world, peer)) {
          const home = homes.get(delivery.subject) ?? new Set();
          homes.set(delivery.subject, home.add(peer.address));
          await peer.exchange(reply(delivery, ''));
        }
      }
    }
    expect([...homes.values()].map((home) => home.size)).toEqual([1, 1, 1]);
  });
});

describe('what a request wants', () => {
  it('is a worker with the labels that it needs', async () => {
    const world = await startWorld();
    const plain = await worker(world, 'plain', { capacity: 9 });
    const gpu = await worker(world, 'gpu', {
      capacity: 9,
      labels: { gpu: true, vramMb: 8000, models: ['sd', 'flux'] },
    });
    const asks = await requester(world);
    const needs = [{ gpu: true }, { vramMb: { min: 4000 } }, { models: 'flux' }];
    await asks.exchange(
      ...needs.map((need, at) => nativeRequest('s', String(at), { wants: { needs: need } })),
      nativeRequest('s', 'too much', { wants: { needs: { vramMb: { min: 9000 } } } }),
    );
    await world.settle();
    expect(subjects(gpu.read())).toEqual(['0', '1', '2']);
    expect(plain.read()).toEqual([]);
    // A worker that gets what is needed is served at once.
    plain.call('offer', { service: 's', capacity: 9, labels: { vramMb: 16_000 } });
    expect((await given(world, plain)).map(({ subject }) => subject)).toEqual(['too much']);
  });

  it('is another worker than the one it prefers where that has no time, but not at once', async () => {
    const world = await startWorld();
    const cold = await worker(world, 'cold', { capacity: 9 });
    const warm = await worker(world, 'warm', { labels: { warm: 'sd' } });
    const asks = await requester(world);
    const wants = { prefers: { warm: 'sd' }, settleMs: 1000 };
    await asks.exchange(
      ...['1', '2', '3'].map((subject) => nativeRequest('s', subject, { wants })),
    );
    const [first] = await given(world, warm);
    expect(first?.subject).toBe('1');
    await world.pass(500);
    expect(deliveries(cold.read())).toEqual([]);
    expect(subjects(await warm.exchange(reply(first!, '')))).toEqual(['2']);
    await world.pass(600);
    expect(subjects(cold.read())).toEqual(['3']);
  });

  it('is checked', async () => {
    const world = await startWorld();
    const asks = await requester(world);
    const said = await asks.exchange(
      nativeRequest('s', 'x', { wants: { need: {} } }),
      nativeRequest('s', 'x', { wants: { needs: 7 } }),
      nativeRequest('s', 'x', { wants: { prefers: { a: 1 }, settleMs: -1 } }),
      nativeRequest('s', 'x', { wants: 'a gpu' }),
    );
    expect(only(said, 'REFUSED').map(({ statusReason }) => statusReason)).toEqual([
      'a request cannot want "need": there is needs, prefers, settleMs and fresh',
      'needs is a map of labels',
      'settleMs is a whole number from 0 to 2147483647',
      'what a request wants is a map of needs, prefers, settleMs and fresh',
    ]);
  });

  it('may not be a thousand different things', async () => {
    const world = await startWorld();
    const asks = await requester(world);
    const said = await asks.exchange(
      ...Array.from({ length: 1001 }, (_, n) =>
        nativeRequest('s', 'x', { wants: { needs: { n } } }),
      ),
    );
    expect(only(said, 'REFUSED')).toMatchObject([{ first: 1001, count: 1 }]);
  });
});

describe('a job', () => {
  const job = (id: string, more: Parameters<typeof nativeRequest>[2] = {}): Asked =>
    nativeRequest('s', 'do', { job: 1, tracker: id, ...more });

  it('has its life written down', async () => {
    const world = await startWorld();
    const w = await worker(world, 'w');
    const asks = await requester(world);
    await asks.exchange(job('j1'));
    const [first] = await given(world, w);
    await w.exchange(
      progress(first!, 1, { fraction: 0.5, note: 'half' }),
      progress(first!, 2, 'some'),
      nativeConfirm(first!, 300, 'oops'),
    );
    await world.pass(150);
    const [second] = await given(world, w);
    await w.exchange(reply(second!, 'result'));
    await world.settle();
    const by = { job: 's/j1', service: 's', worker: 'w' };
    expect(jobEvents(world)).toEqual([
      { job: 's/j1', service: 's', event: 'queued', sender: 'asks', subject: 'do' },
      { ...by, event: 'started', attempt: 1 },
      { ...by, event: 'progress', attempt: 1, fraction: 0.5, note: 'half' },
      { ...by, event: 'partial', attempt: 1, content: ['\xa4some'] },
      { ...by, event: 'retrying', attempt: 1, reason: 'oops', delayMs: 100 },
      { ...by, event: 'started', attempt: 2 },
      { ...by, event: 'succeeded', attempt: 2, content: ['result'] },
    ]);
    // Its result is there to be read: no mail is sent.
    expect(only(asks.read(), 'MAILBOX DELIVER')).toEqual([]);
  });

  it('that is sent again is not done again', async () => {
    const world = await startWorld();
    const w = await worker(world, 'w', { capacity: 9 });
    const asks = await requester(world);
    expect(only(await asks.exchange(job('j1'), job('j1')), 'ACCEPTED')).toMatchObject([
      { upTo: 2 },
    ]);
    const [first, ...others] = await given(world, w);
    expect(others).toEqual([]);
    await w.exchange(reply(first!, ''));
    await asks.exchange(job('j1'));
    expect(await given(world, w)).toEqual([]);
  });

  it('has its result though the disk fails when it comes', async () => {
    const store = new GatedStore();
    const world = await startWorld({}, store);
    const w = await worker(world, 'w');
    const asks = await requester(world);
    await asks.exchange(job('j1'));
    store.succeed();
    const [first] = await given(world, w);
    store.succeed();
    await world.settle();
    await w.exchange(reply(first!, 'result'));
    store.fail('no room');
    await world.settle();
    store.open();
    await world.pass(150);
    expect(jobEvents(world).at(-1)).toMatchObject({ event: 'succeeded', content: ['result'] });
  });

  it('that failed for good can be tried again', async () => {
    const world = await startWorld();
    const w = await worker(world, 'w');
    const asks = await requester(world);
    await asks.exchange(job('j1'));
    const [first] = await given(world, w);
    await w.exchange(nativeConfirm(first!, 400, 'bad'));
    await asks.ask('dead.retry', { service: 's', letter: 1 });
    const [again] = await given(world, w);
    await w.exchange(reply(again!, ''));
    await world.settle();
    expect(jobEvents(world).map(({ event }) => event)).toEqual([
      'queued',
      'started',
      'failed',
      'queued',
      'started',
      'succeeded',
    ]);
  });

  it('can be cancelled by anyone who knows its id', async () => {
    const world = await startWorld();
    const asks = await requester(world);
    await asks.exchange(job('j1'));
    const other = await requester(world, 'other');
    await other.ask('request.cancel', { service: 's', tracker: 'j1' });
    await world.settle();
    expect(jobEvents(world).at(-1)).toEqual({
      job: 's/j1',
      service: 's',
      event: 'cancelled',
      reason: 'cancelled by other',
    });
    expect(only(asks.read(), 'CONFIRM')).toMatchObject([{ tracker: 'j1', statusCode: 410 }]);
  });

  it('waits for a worker that can say what became of it', async () => {
    const world = await startWorld();
    const v1 = await world.client('old');
    await world.exchange(v1, { name: 'SERVICE OFFER', address: 's', pattern: '' });
    const asks = await requester(world);
    await asks.exchange(job('j1'), nativeRequest('s', 'plain'));
    expect(v1.read().map(({ name }) => name)).toEqual(['SERVICE DELIVER']);
    const [, left] = await lateWorker(world, 'w');
    expect(left).toMatchObject([{ tracker: 'j1' }]);
  });

  it('needs an id that fits', async () => {
    const world = await startWorld();
    const asks = await requester(world);
    const said = await asks.exchange(job(''), job('x'.repeat(254)));
    expect(only(said, 'REFUSED').map(({ statusReason }) => statusReason)).toEqual([
      'a job needs an id, as its tracker',
      'the service and the id of a job have 254 octets together at most',
    ]);
  });
});
