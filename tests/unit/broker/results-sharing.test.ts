// Identical requests in flight: one of them is run, the others wait for its outcome,
// and are run themselves where it has none for them. Nothing else that holds for a
// request is different for that.
import { useWorlds } from '../../support/broker-world.js';
import { ask, CACHE, say, told, trackers, worker } from '../../support/cached-service.js';
import { nativeConfirm } from '../../support/fake-native-peer.js';
import { given, jobEvents, reply, requester } from '../../support/native-service.js';
import { request as v1Request } from '../../support/v1-commands.js';

const startWorld = useWorlds();

describe('the same request once more, while it is run', () => {
  it('waits for the result: of clients of both kinds, as a request and as a job', async () => {
    const world = await startWorld();
    const w = await worker(world, 'w', { ...CACHE, capacity: 10 });
    const asks = await requester(world);
    const old = await world.client('old');
    await say(world, asks, ask('1', 'a'), ask('2', 'a'), ask('3', 'a', { job: 1 }), ask('', 'a'));
    await world.exchange(old, v1Request('s', 'x', { tracker: '4', content: [Buffer.from('a')] }));
    const [first, ...more] = await given(world, w);
    expect([first?.tracker, more]).toEqual(['1', []]);
    expect(await world.view('services')).toMatchObject([{ requests: 5, running: 1 }]);
    await w.exchange(reply(first!, 'A'));
    expect(await told(world, asks)).toEqual(['1: A from w', '2: A from w', ': A from w']);
    expect(old.read()).toMatchObject([{ name: 'MAILBOX DELIVER', sender: 'w', tracker: '4' }]);
    expect(jobEvents(world)).toMatchObject([
      { event: 'queued' },
      { event: 'succeeded', worker: 'w', cached: true, content: ['A'] },
    ]);
    expect(await world.view('services')).toMatchObject([{ requests: 0, done: 5, reused: 4 }]);
  });

  it('waits where the other one waits, too', async () => {
    const world = await startWorld();
    const w = await worker(world, 'w');
    const asks = await requester(world);
    await say(world, asks, ask('busy', 'b'), ask('1', 'a'), ask('c', 'c'), ask('2', 'a'));
    const [busy] = await given(world, w);
    await w.exchange(reply(busy!, 'B'));
    world.clock.advance(1);
    const w2 = await worker(world, 'w2');
    expect(trackers(await given(world, w2))).toEqual(['c']);
    expect(await told(world, asks)).toEqual(['busy: B from w']);
    await w.exchange(reply({ ...busy!, delivery: 2 }, 'A'));
    expect(await told(world, asks)).toEqual(['1: A from w', '2: A from w']);
  });

  it('has the same bad input', async () => {
    const world = await startWorld();
    const w = await worker(world, 'w');
    const asks = await requester(world);
    await say(world, asks, ask('1', 'a'), ask('2', 'a'), ask('3', 'a', { job: 1 }));
    const [first] = await given(world, w);
    await say(world, w, nativeConfirm(first!, 400, 'bad-input: no'));
    expect((await told(world, asks)).sort()).toEqual(['1: 300', '2: 300', '3: 300']);
    expect(await given(world, w)).toEqual([]);
    const letters = await asks.ask<{ failures: unknown[] }[]>('dead.list', { service: 's' });
    expect(letters).toHaveLength(3);
    for (const { failures } of letters) {
      expect(failures).toMatchObject([{ worker: 'w', reason: 'bad-input: no' }]);
    }
    expect(jobEvents(world).at(-1)).toMatchObject({ event: 'failed', reason: 'bad-input: no' });
    await say(world, asks, ask('4', 'a'));
    expect(trackers(await given(world, w))).toEqual(['4']);
  });
});

describe('the next one is run', () => {
  /** A world in which `1` is run by `w`, and `2` and `3` wait for it; `other` has time. */
  async function start(terms: Parameters<typeof ask>[2] = {}, offer: object = {}) {
    const world = await startWorld();
    const w = await worker(world, 'w', { ...CACHE, ...offer });
    const asks = await requester(world);
    await say(world, asks, ask('1', 'a', terms), ask('2', 'a'), ask('3', 'a'));
    const [first] = await given(world, w);
    const other = await worker(world, 'other');
    expect(await given(world, other)).toEqual([]);
    return { world, w, asks, first: first!, other };
  }

  /** `2` is run now: its result is that of the others, too. */
  async function finish({ world, other, asks }: Awaited<ReturnType<typeof start>>) {
    const [second, ...more] = await given(world, other);
    expect([second?.tracker, second?.attempt, more]).toEqual(['2', 1, []]);
    await say(world, other, reply(second!, 'A'));
    return told(world, asks);
  }

  const OTHERS = ['2: A from other', '3: A from other'];

  it('where the first one is cancelled', async () => {
    const all = await start();
    const { asks } = all;
    asks.call('request.cancel', { service: 's', tracker: '1' });
    expect(await finish(all)).toEqual(['1: 410', ...OTHERS]);
  });

  it('where its deadline is over', async () => {
    const all = await start({ deadline: 500 });
    await all.world.pass(600);
    expect(await finish(all)).toEqual(['1: 408', ...OTHERS]);
  });

  it('where it fails, without waiting for its next attempt, which then is not needed', async () => {
    const all = await start();
    await all.w.ask('offer', { service: 's', ...CACHE, capacity: 0 });
    await say(all.world, all.w, nativeConfirm(all.first, 300, 'failed: no'));
    expect(await finish(all)).toEqual(OTHERS);
    await all.world.pass(1000);
    expect(await told(all.world, all.asks)).toEqual(['1: A from other']);
    expect(await given(all.world, all.other)).toEqual([]);
  });

  it('where its worker is not ready', async () => {
    const all = await start();
    await all.w.ask('offer', { service: 's', ...CACHE, capacity: 0 });
    await say(all.world, all.w, nativeConfirm(all.first, 503));
    expect(await finish(all)).toEqual(OTHERS);
  });

  it('where its worker lets the lease go by, whatever that one says later', async () => {
    const all = await start({}, { leaseMs: 1000 });
    await all.world.pass(1100);
    expect(await finish(all)).toEqual([...OTHERS, '1: A from other']);
    await say(all.world, all.w, reply(all.first, 'late'));
    expect(await all.world.view('stats')).toMatchObject({ results: 1 });
  });

  it('where it is confirmed without a result', async () => {
    const all = await start();
    await all.w.ask('offer', { service: 's', ...CACHE, capacity: 0 });
    await say(all.world, all.w, nativeConfirm(all.first));
    expect(await finish(all)).toEqual(['1: 200', ...OTHERS]);
  });

  it('where it goes to a worker that keeps no results', async () => {
    const world = await startWorld();
    const w = await worker(world, 'w');
    const asks = await requester(world);
    await say(world, asks, ask('busy', 'b'), ask('1', 'a'), ask('2', 'a'), ask('3', 'a'));
    await given(world, w);
    const plain = await worker(world, 'plain', { capacity: 2 });
    expect(trackers(await given(world, plain))).toEqual(['1', '2']);
    const other = await worker(world, 'other', { cache: { version: '2' } });
    expect(trackers(await given(world, other))).toEqual(['3']);
  });

  it('first, with the worker of the first one, where that is lost and no other has time', async () => {
    const world = await startWorld();
    const w = await worker(world, 'w');
    const asks = await requester(world);
    await say(world, asks, ask('1', 'a'), ask('2', 'a', { priority: 5 }), ask('3', 'a'));
    await given(world, w);
    w.peer.vanish();
    await world.pass(20_000);
    const again = await requester(world);
    const next = await worker(world, 'next');
    // The most urgent of those that waited.
    const [second] = await given(world, next);
    expect(second?.tracker).toBe('2');
    await say(world, next, reply(second!, 'A'));
    expect(await told(world, again)).toEqual([
      '2: A from next',
      '3: A from next',
      '1: A from next',
    ]);
  });
});

describe('one that waits for another one', () => {
  it('can be cancelled', async () => {
    const world = await startWorld();
    const w = await worker(world, 'w');
    const asks = await requester(world);
    await say(world, asks, ask('1', 'a'), ask('2', 'a'), ask('3', 'a'));
    const [first] = await given(world, w);
    const cancelled = await asks.ask('request.cancel', { service: 's', tracker: '2' });
    expect(cancelled).toEqual({ was: 'waiting' });
    await say(world, w, reply(first!, 'A'));
    expect(await told(world, asks)).toEqual(['1: A from w', '3: A from w']);
    expect(await world.view('services')).toMatchObject([{ requests: 0 }]);
  });

  it('has a deadline; its timeout counts only while nobody works for it', async () => {
    const world = await startWorld();
    const w = await worker(world, 'w');
    const asks = await requester(world);
    await say(
      world,
      asks,
      ask('1', 'a'),
      ask('deadline', 'a', { deadline: 300 }),
      ask('both', 'a', { timeout: 100, deadline: 300 }),
      ask('timeout', 'a', { timeout: 100 }),
      ask('patient', 'a', { timeout: 5000 }),
    );
    const [first] = await given(world, w);
    await world.pass(200);
    expect(await told(world, asks)).toEqual([]);
    await world.pass(200);
    expect((await told(world, asks)).sort()).toEqual(['both: 408', 'deadline: 408']);
    await w.ask('offer', { service: 's', ...CACHE, capacity: 0 });
    await say(world, w, nativeConfirm(first!, 300));
    expect(await told(world, asks)).toEqual(['timeout: 408']);
    await world.pass(5000);
    expect(await told(world, asks)).toEqual(['patient: 408']);
    expect(await world.view('services')).toMatchObject([{ requests: 1 }]);
  });

  it('keeps the order of its key', async () => {
    const world = await startWorld();
    const w = await worker(world, 'w', { ...CACHE, capacity: 3 });
    const asks = await requester(world);
    await say(
      world,
      asks,
      ask('1', 'a', { key: 'j' }),
      ask('2', 'a', { key: 'k' }),
      ask('3', 'b', { key: 'k' }),
      ask('4', 'a', { key: 'k' }),
    );
    const [first, ...more] = await given(world, w);
    expect([first?.tracker, more]).toEqual(['1', []]);
    await say(world, w, reply(first!, 'A'));
    expect(await told(world, asks)).toEqual(['1: A from w', '2: A from w']);
    const [third, ...others] = await given(world, w);
    expect([third?.tracker, others]).toEqual(['3', []]);
    await say(world, w, reply(third!, 'B'));
    expect(await told(world, asks)).toEqual(['3: B from w', '4: A from w']);
  });

  it('does not keep more urgent ones waiting, nor those that others could do', async () => {
    const world = await startWorld();
    const w = await worker(world, 'w');
    const asks = await requester(world);
    await say(world, asks, ask('busy', 'b'), ask('job', 'a', { job: 1 }), ask('plain', 'a'));
    await say(world, asks, ask('c', 'c'), ask('urgent', 'a', { priority: 9 }));
    const [busy] = await given(world, w);
    await say(world, w, reply(busy!, 'B'));
    const [urgent] = await given(world, w);
    expect(urgent?.tracker).toBe('urgent');
    const old = await world.client('old');
    const offered = await world.exchange(old, {
      name: 'SERVICE OFFER',
      address: 's',
      pattern: '',
    });
    // What is no job, an old worker may do; it keeps no results.
    expect(offered).toMatchObject([{ name: 'OK' }, { tracker: 'plain' }, { tracker: 'c' }]);
    await say(world, w, reply(urgent!, 'A'));
    expect(jobEvents(world).at(-1)).toMatchObject({ event: 'succeeded', content: ['A'] });
  });

  it('gets the worker that it prefers, where it has to be run', async () => {
    const world = await startWorld();
    const w = await worker(world, 'w', { ...CACHE, labels: { warm: false } });
    const asks = await requester(world);
    const wants = { prefers: { warm: true }, settleMs: 1000 };
    await say(world, asks, ask('1', 'a'), ask('2', 'a', { wants }));
    const [first] = await given(world, w);
    await say(world, asks);
    asks.call('request.cancel', { service: 's', tracker: '1' });
    await world.settle();
    await say(world, w, nativeConfirm(first!, 503));
    expect(await given(world, w)).toEqual([]);
    const warm = await worker(world, 'warm', { ...CACHE, labels: { warm: true } });
    expect(trackers(await given(world, warm))).toEqual(['2']);
  });

  it('takes another one when it has waited long enough for that', async () => {
    const world = await startWorld();
    const w = await worker(world, 'w', { ...CACHE, labels: { warm: false } });
    const asks = await requester(world);
    const wants = { prefers: { warm: true }, settleMs: 1000 };
    await say(world, asks, ask('1', 'a'), ask('2', 'a', { wants }));
    const [first] = await given(world, w);
    await world.pass(1100);
    expect(await given(world, w)).toEqual([]);
    await say(world, w, nativeConfirm(first!, 300));
    expect(trackers(await given(world, w))).toEqual(['2']);
  });

  it('is of no version but those on offer', async () => {
    const world = await startWorld();
    const w = await worker(world, 'w');
    const asks = await requester(world);
    await say(world, asks, ask('1', 'a'));
    const [first] = await given(world, w);
    await w.ask('offer', { service: 's', cache: { version: '2' } });
    const next = await worker(world, 'next', { cache: { version: '2' } });
    await say(world, asks, ask('2', 'a'));
    const [second] = await given(world, next);
    expect(second?.tracker).toBe('2');
    await say(world, w, reply(first!, 'one'));
    await say(world, next, reply(second!, 'two'));
    await say(world, asks, ask('3', 'a'));
    expect(await told(world, asks)).toEqual([
      '1: one from w',
      '2: two from next',
      '3: two from next',
    ]);
  });

  it('is not one that wants a fresh result; that one is run beside the others', async () => {
    const world = await startWorld();
    const w = await worker(world, 'w', { ...CACHE, capacity: 3 });
    const asks = await requester(world);
    await say(world, asks, ask('1', 'a'), ask('2', 'a', { wants: { fresh: true } }), ask('3', 'a'));
    const [first, second, ...more] = await given(world, w);
    expect([first?.tracker, second?.tracker, more]).toEqual(['1', '2', []]);
    await say(world, w, reply(second!, 'fresh'));
    await say(world, asks, ask('4', 'a'));
    await say(world, w, reply(first!, 'first'));
    expect(await told(world, asks)).toEqual([
      '2: fresh from w',
      '4: fresh from w',
      '1: first from w',
      '3: first from w',
    ]);
  });
});

describe('very many', () => {
  it('get one result, and others have their turn', async () => {
    const world = await startWorld();
    const w = await worker(world, 'w');
    const asks = await requester(world);
    await say(world, asks, ...Array.from({ length: 1300 }, (_, n) => ask(`${n}`, 'a')));
    const [first, ...more] = await given(world, w);
    expect(more).toEqual([]);
    await say(world, w, reply(first!, 'A'));
    expect(await told(world, asks)).toHaveLength(1300);
    expect(await world.view('services')).toMatchObject([{ requests: 0, done: 1300 }]);
  });

  it('of one key that waited for the first worker get it one after another', async () => {
    const world = await startWorld();
    const asks = await requester(world);
    const many = Array.from({ length: 5000 }, (_, n) => ask(`${n}`, 'a', { key: 'k' }));
    await say(world, asks, ...many);
    const w = await worker(world, 'w');
    const [first] = await given(world, w);
    await say(world, w, reply(first!, 'A'));
    await world.settle();
    expect(await world.view('services')).toMatchObject([{ requests: 0, done: 5000 }]);
    expect(await given(world, w)).toEqual([]);
  });
});
