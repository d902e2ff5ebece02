// Results that are used again: requests to workers that keep results are answered
// with an earlier one, or share one run; and are never lost for it.
import { useWorlds } from '../../support/broker-world.js';
import { ask, CACHE, say, told, trackers, worker } from '../../support/cached-service.js';
import {
  FakeNativePeer,
  mailCredit,
  nativeConfirm,
  nativeRequest,
  only,
} from '../../support/fake-native-peer.js';
import { given, jobEvents, reply, requester } from '../../support/native-service.js';
import { request as v1Request } from '../../support/v1-commands.js';

const startWorld = useWorlds();

describe('a result that is known', () => {
  it('answers the same request at once, without a worker, and no other one', async () => {
    const world = await startWorld();
    const w = await worker(world, 'w', { ...CACHE, capacity: 10 });
    const asks = await requester(world);
    await say(world, asks, ask('t1', 'a'));
    const [first] = await given(world, w);
    await w.exchange(reply(first!, 'A'));
    expect(await told(world, asks)).toEqual(['t1: A from w']);
    const others = [
      nativeRequest('s', 'y', { tracker: 'subject', content: [Buffer.from('a')] }),
      ask('body', 'b'),
      nativeRequest('s', 'x', { tracker: 'frames', content: [Buffer.from('a'), Buffer.alloc(0)] }),
      nativeRequest('s', 'x', { tracker: 'none', content: [] }),
      ask('needs', 'a', { wants: { needs: {} } }),
    ];
    await say(world, asks, ask('t2', 'a', { priority: 9, key: 'k' }), ...others);
    // To need nothing is the same as to say nothing.
    expect(await told(world, asks)).toEqual(['t2: A from w', 'needs: A from w']);
    expect(trackers(await given(world, w))).toEqual(['subject', 'body', 'frames', 'none']);
    const views = await world.view<{ done: number; reused: number }[]>('services');
    expect(views).toMatchObject([{ accepted: 7, done: 3, reused: 2, requests: 4 }]);
    expect(await world.view('stats')).toMatchObject({ results: 1, resultsReused: 2 });
  });

  it('answers while all workers are busy or paused, but not when none offers its version', async () => {
    const world = await startWorld();
    const w = await worker(world, 'w');
    const asks = await requester(world);
    await say(world, asks, ask('t1', 'a'));
    await w.exchange(reply((await given(world, w))[0]!, 'A'));
    await say(world, asks, ask('busy', 'b'));
    const [busy] = await given(world, w);
    await say(world, asks, ask('t2', 'a'));
    expect(await told(world, asks)).toEqual(['t1: A from w', 't2: A from w']);
    await w.ask('offer', { service: 's', ...CACHE, capacity: 0 });
    await say(world, asks, ask('t3', 'a'));
    expect(await told(world, asks)).toEqual(['t3: A from w']);
    await w.ask('offer', { service: 's', cache: { version: '2' }, capacity: 2 });
    await say(world, asks, ask('t4', 'a'));
    expect(trackers(await given(world, w))).toEqual(['t4']);
    // The version counts with which it was begun.
    await w.exchange(reply(busy!, 'B'));
    await w.ask('offer', { service: 's', ...CACHE, capacity: 2 });
    await say(world, asks, ask('t5', 'b'));
    expect(await told(world, asks)).toEqual(['busy: B from w', 't5: B from w']);
  });

  it('answers requests that waited for a worker, as soon as one comes', async () => {
    const world = await startWorld();
    const first = await worker(world, 'first');
    const asks = await requester(world);
    await say(world, asks, ask('t', 'a'));
    await first.exchange(reply((await given(world, first))[0]!, 'A'));
    first.peer.vanish();
    await world.pass(20_000);
    const again = await requester(world, 'again');
    await say(world, again, ask('1', 'a'), ask('2', 'b'), ask('3', 'a'), ask('4', 'a', { job: 1 }));
    const w = await worker(world, 'w');
    expect(trackers(await given(world, w))).toEqual(['2']);
    expect(await told(world, again)).toEqual(['1: A from first']);
    await w.exchange(nativeConfirm({ delivery: 1, epoch: 1 }, 400));
    expect(await told(world, again)).toEqual(['2: 300', '3: A from first']);
    expect(jobEvents(world)).toMatchObject([
      { job: 's/4', event: 'queued' },
      { job: 's/4', event: 'succeeded', worker: 'first', cached: true, content: ['A'] },
    ]);
  });

  it('is too old for some, and then for all', async () => {
    const world = await startWorld({ 'results-age-max': 5000 });
    const w = await worker(world, 'w', { cache: { version: '1', maxAgeMs: 1000 } });
    const asks = await requester(world);
    await say(world, asks, ask('1', 'a'));
    await w.exchange(reply((await given(world, w))[0]!, 'A'));
    await world.pass(900);
    await say(world, asks, ask('2', 'a'));
    expect(await given(world, w)).toEqual([]);
    await world.pass(200);
    await say(world, asks, ask('3', 'a'));
    const [third] = await given(world, w);
    expect(third?.tracker).toBe('3');
    await w.exchange(reply(third!, 'A again'));
    await w.ask('offer', { service: 's', cache: { version: '1' } });
    await world.pass(4900);
    await say(world, asks, ask('4', 'a'));
    await world.pass(200);
    await say(world, asks, ask('5', 'a'));
    expect(trackers(await given(world, w))).toEqual(['5']);
    expect(await told(world, asks)).toEqual([
      '1: A from w',
      '2: A from w',
      '3: A again from w',
      '4: A again from w',
    ]);
    await world.pass(20_000);
    expect(await world.view('stats')).toMatchObject({ results: 0, resultsBytes: 0 });
  });

  it('is not of use to who wants a fresh one, which takes its place', async () => {
    const world = await startWorld();
    const w = await worker(world, 'w');
    const asks = await requester(world);
    await say(world, asks, ask('1', 'a'));
    await w.exchange(reply((await given(world, w))[0]!, 'old'));
    await say(world, asks, ask('2', 'a', { wants: { fresh: true } }), ask('3', 'a'));
    const [second] = await given(world, w);
    await w.exchange(reply(second!, 'new'));
    await say(world, asks, ask('4', 'a'));
    expect(await told(world, asks)).toEqual([
      '1: old from w',
      '3: old from w',
      '2: new from w',
      '4: new from w',
    ]);
    expect(await world.view('stats')).toMatchObject({ results: 1 });
  });

  it('is none that a worker did not give by a reply', async () => {
    const world = await startWorld();
    const w = await worker(world, 'w');
    const asks = await requester(world);
    for (const [tracker, status] of [
      ['done', 200],
      ['bad', 400],
    ] as const) {
      await say(world, asks, ask(tracker, 'a'));
      await w.exchange(nativeConfirm((await given(world, w))[0]!, status));
    }
    await say(world, asks, ask('t', 'a'));
    expect(trackers(await given(world, w))).toEqual(['t']);
    expect(await world.view('stats')).toMatchObject({ results: 0 });
  });

  it('is given to a requester of MLM/1 as any reply is, and to one that is away when it is back', async () => {
    const world = await startWorld();
    const w = await worker(world, 'w');
    const asks = await requester(world);
    const body = [Buffer.from('a')];
    await say(world, asks, nativeRequest('s', 'x', { tracker: '1', content: body }));
    await w.exchange(reply((await given(world, w))[0]!, 'A'));
    const old = await world.client('old');
    const [mail] = await world.exchange(old, v1Request('s', 'x', { tracker: '2', content: body }));
    expect(mail).toMatchObject({
      name: 'MAILBOX DELIVER',
      sender: 'w',
      subject: 'x',
      tracker: '2',
    });
    asks.send(nativeRequest('s', 'x', { tracker: '3', content: body }));
    asks.peer.vanish();
    await world.settle();
    expect(await given(world, w)).toEqual([]);
    const back = await FakeNativePeer.open(world, 'asks');
    await say(world, back, mailCredit(10));
    expect(await told(world, back)).toEqual(['1: A from w', '3: A from w']);
  });

  it('holds for the needs of a request: a worker that others asked for may have made another', async () => {
    const world = await startWorld();
    const small = await worker(world, 'small', { ...CACHE, labels: { size: 1 } });
    const asks = await requester(world);
    await say(world, asks, ask('1', 'a'));
    await small.exchange(reply((await given(world, small))[0]!, 'small'));
    await say(world, asks, ask('2', 'a', { wants: { needs: { size: 2 } } }));
    const large = await worker(world, 'large', { ...CACHE, labels: { size: 2 } });
    await large.exchange(reply((await given(world, large))[0]!, 'large'));
    await say(
      world,
      asks,
      ask('3', 'a', { wants: { needs: { size: 2 } } }),
      ask('4', 'a', { wants: { prefers: { size: 2 } } }),
    );
    expect(await told(world, asks)).toEqual([
      '1: small from small',
      '2: large from large',
      '3: large from large',
      '4: small from small',
    ]);
  });

  it('is for requests of the patterns whose worker says so', async () => {
    const world = await startWorld();
    const w = await FakeNativePeer.open(world, 'w');
    const terms = { service: 's', capacity: 10 };
    await w.ask('offer', { ...terms, pattern: '^kept', ...CACHE });
    await w.ask('offer', { ...terms, pattern: '^new' });
    await w.ask('offer', { ...terms, pattern: 'both$' });
    const asks = await requester(world);
    for (const subject of ['kept', 'new', 'kept both']) {
      await say(world, asks, nativeRequest('s', subject, { tracker: subject }));
      await w.exchange(reply((await given(world, w))[0]!, subject));
      await say(world, asks, nativeRequest('s', subject, { tracker: 'again' }));
      const again = await given(world, w);
      expect([subject, again.length]).toEqual([subject, subject === 'kept' ? 0 : 1]);
      for (const one of again) await w.exchange(reply(one, subject));
    }
  });

  it('goes before others where there are too many, or too large ones', async () => {
    const world = await startWorld({ 'results-max': 3, 'results-bytes-max': 20_000 });
    const w = await worker(world, 'w', { ...CACHE, capacity: 10 });
    const asks = await requester(world);
    const run = async (body: string, result: string): Promise<boolean> => {
      await say(world, asks, ask(body, body));
      const [one] = await given(world, w);
      if (one !== undefined) await w.exchange(reply(one, result));
      return one !== undefined;
    };
    for (const body of ['a', 'b', 'c']) expect(await run(body, body)).toBe(true);
    // It was of use just now: `b` goes first.
    expect(await run('a', '')).toBe(false);
    expect(await run('d', 'd')).toBe(true);
    expect(await run('a', '')).toBe(false);
    expect(await run('b', 'b')).toBe(true);
    expect(await run('large', 'x'.repeat(30_000))).toBe(true);
    expect(await run('large', 'x'.repeat(19_000))).toBe(true);
    const { results, resultsBytes } = await world.view<Record<string, number>>('stats');
    expect(results).toBe(1);
    expect(resultsBytes).toBeLessThanOrEqual(20_000);
    expect(await run('large', '')).toBe(false);
  });

  it('is not kept where the broker is to keep none', async () => {
    const world = await startWorld({ 'results-max': 0 });
    const w = await worker(world, 'w');
    const asks = await requester(world);
    for (const tracker of ['1', '2']) {
      await say(world, asks, ask(tracker, 'a'));
      await w.exchange(reply((await given(world, w))[0]!, 'A'));
    }
    expect(await told(world, asks)).toEqual(['1: A from w', '2: A from w']);
  });
});

it('an offer says under what results are kept, or is refused in words', async () => {
  const world = await startWorld();
  const w = await worker(world, 'w', {});
  const refused = async (cache: unknown): Promise<string> => {
    w.read();
    w.call('offer', { service: 's', cache });
    await world.settle();
    return only(w.read(), 'RESULT')[0]!.statusReason;
  };
  const version = 'the version of a cache is a text of 1 to 191 octets';
  expect(await refused({})).toBe(version);
  expect(await refused({ version: 1 })).toBe(version);
  expect(await refused({ version: 'ä'.repeat(96) })).toBe(version);
  expect(await refused({ version: '1', maxAge: 1 })).toBe(
    'cache has no "maxAge": there is version and maxAgeMs',
  );
  expect(await refused({ version: '1', maxAgeMs: 0 })).toBe(
    'maxAgeMs is not a whole number from 1 to 9007199254740991',
  );
  expect(await refused([])).toBe('arguments are a map');
  expect(await refused({ version: 'ä'.repeat(95), maxAgeMs: 1 })).toBe('');
});
