// Which request is next, and which worker has it: requests of one key, and those
// that need or prefer something of their worker.
import { useWorlds } from '../../support/broker-world.js';
import { nativeConfirm, nativeRequest, only, type Asked } from '../../support/fake-native-peer.js';
import {
  deliveries,
  given,
  lateWorker,
  reply,
  requester,
  subjects,
  worker,
} from '../../support/native-service.js';

const startWorld = useWorlds();

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

  it('keeps nothing waiting for its time once it is done with', async () => {
    const world = await startWorld();
    const w = await worker(world, 'w', { capacity: 9, labels: { warm: 'sd' } });
    const asks = await requester(world);
    await world.pass(1000);
    const { timers } = world.clock;
    const settling = (settleMs: number) => ({ wants: { prefers: { warm: 'sd' }, settleMs } });
    await asks.exchange(
      nativeRequest('s', 'soon', settling(1000)),
      nativeRequest('s', 'settles', settling(1e9)),
      nativeRequest('s', 'delayed', { tracker: 'delayed', delay: 1e9 }),
    );
    const done = await given(world, w);
    expect(done.map(({ subject }) => subject)).toEqual(['soon', 'settles']);
    await w.exchange(...done.map((delivery) => nativeConfirm(delivery)));
    await asks.ask('request.cancel', { service: 's', tracker: 'delayed' });
    // The timer for the nearest of them runs on, and finds nothing more to wait for.
    await world.pass(2000);
    expect(world.clock.timers).toBe(timers);
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
