// Workers that are lost with requests in hand: how soon that is seen, and what
// becomes of a request that ends whoever touches it, and of those beside it.
import { useWorlds, type World } from '../../support/broker-world.js';
import { ask, trackers } from '../../support/cached-service.js';
import { FakeNativePeer, nativeConfirm, nativeRequest } from '../../support/fake-native-peer.js';
import {
  deliveries,
  given,
  lateWorker,
  reply,
  requester,
  subjects,
  worker,
  type Delivery,
} from '../../support/native-service.js';

const startWorld = useWorlds();

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

  it('loses it as soon where a great many others are at work, too', async () => {
    const world = await startWorld();
    const asks = await requester(world);
    // More than are asked at a time.
    const count = 1002;
    const peers: FakeNativePeer[] = [];
    while (peers.length < count) peers.push(new FakeNativePeer(world, `w${peers.length}`));
    await world.settle();
    for (const { peer } of peers) peer.read();
    for (const peer of peers) peer.call('offer', { service: 's' });
    const requests = peers.map((_, at) => nativeRequest('s', String(at)));
    await asks.exchange(...requests);
    const last = await given(world, peers[count - 1]!);
    expect(last).toHaveLength(1);
    const other = await worker(world, 'other');
    peers[count - 1]!.peer.vanish();
    // A round each, with time for all to be asked.
    for (let rounds = 0; rounds < 3; rounds++) await world.pass(250);
    expect(subjects(await given(world, other))).toEqual(subjects(last));
    expect(world.broker.counters.sessionsExpired).toBe(0);
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

  it('has no other one beside it either where its worker offers the service anew', async () => {
    const world = await startWorld({ 'attempts-max': 2 });
    const asks = await requester(world);
    const weak = await worker(world, 'weak');
    await asks.exchange(nativeRequest('s', 'suspect'));
    await end(world, weak);
    const [w, [suspect]] = await lateWorker(world, 'w', { capacity: 2 });
    await asks.exchange(nativeRequest('s', 'other'));
    await w.ask('withdraw', { service: 's' });
    w.call('offer', { service: 's', capacity: 2 });
    expect(await given(world, w)).toEqual([]);
    expect(subjects(await w.exchange(reply(suspect!, 'done')))).toEqual(['other']);
  });

  it('is known by its end, and not by what a worker says of it', async () => {
    const world = await startWorld({ 'attempts-max': 2 });
    const asks = await requester(world);
    const w = await worker(world, 'w', { capacity: 2 });
    await asks.exchange(nativeRequest('s', 'one'));
    const [one] = await given(world, w);
    await w.exchange(nativeConfirm(one!, 300, 'the session of the worker ended'));
    await asks.exchange(nativeRequest('s', 'two'));
    expect(subjects(await given(world, w))).toEqual(['two']);
    await world.pass(150);
    expect(subjects(await given(world, w))).toEqual(['one']);
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

  it('keeps nobody idle once it turns out that it needs no worker', async () => {
    const world = await startWorld({ 'attempts-max': 2 });
    const asks = await requester(world);
    const keeps = { pattern: 'x', cache: { version: '1' } };
    const cached = await worker(world, 'cached', keeps);
    await asks.exchange(ask('known', 'a'));
    await cached.exchange(reply((await given(world, cached))[0]!, 'A'));
    await cached.ask('withdraw', { service: 's' });
    const weak = await worker(world, 'weak');
    await asks.exchange(ask('suspect', 'a'));
    await end(world, weak);
    const [long, [suspect]] = await lateWorker(world, 'long', { pattern: 'y', capacity: 2 });
    expect(suspect).toBeUndefined();
    await asks.exchange(nativeRequest('s', 'y'), nativeRequest('s', 'y'));
    const [one] = await given(world, long);
    // It does those as well, but has something to do: the one that waits is not for it yet.
    await long.ask('offer', { service: 's', pattern: 'x', capacity: 2 });
    await long.exchange(reply(one!, 'done'));
    await asks.exchange(nativeRequest('s', 'y', { tracker: 'later' }));
    expect(await given(world, long)).toEqual([]);
    cached.call('offer', { service: 's', ...keeps });
    expect(await given(world, cached)).toEqual([]);
    expect(trackers(await given(world, long))).toEqual(['later']);
  });
});
