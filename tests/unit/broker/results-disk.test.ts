// Results and the disk: nothing is answered before the disk has it, results outlive
// the broker, and one that is lost costs a run, never a reply.
import { useWorlds, type World } from '../../support/broker-world.js';
import { ask, say, told, trackers, worker } from '../../support/cached-service.js';
import { nativeRequest } from '../../support/fake-native-peer.js';
import { GatedStore } from '../../support/gated-store.js';
import { LateStore } from '../../support/late-store.js';
import { given, jobEvents, reply, requester } from '../../support/native-service.js';

const startWorld = useWorlds();

describe('the disk', () => {
  it('has a request before it is answered', async () => {
    const store = new GatedStore();
    const world = await startWorld({}, store);
    const w = await worker(world, 'w');
    const asks = await requester(world);
    /** Commits, until nothing more is to be committed. */
    const commit = async (): Promise<void> => {
      await world.settle();
      while (store.underWay.length > 0) {
        store.succeed();
        await world.settle();
      }
    };
    asks.send(ask('1', 'a'));
    await commit();
    w.send(reply((await given(world, w))[0]!, 'A'));
    await commit();
    expect(await told(world, asks)).toEqual(['1: A from w']);
    await say(world, asks, ask('2', 'a', { job: 1 }), ask('3', 'a'));
    expect(await world.view('services')).toMatchObject([{ requests: 2 }]);
    // The answer has a commit of its own.
    store.succeed();
    await world.settle();
    expect(await world.view('services')).toMatchObject([{ requests: 0 }]);
    expect(await told(world, asks)).toEqual([]);
    await commit();
    expect(await told(world, asks)).toEqual(['3: A from w']);
    store.open();
  });

  async function restart(world: World, store: LateStore): Promise<World> {
    const disk = store.kill(false);
    await world.stop();
    return startWorld({}, disk);
  }

  it('has the result when a requester has its reply; a broker that starts anew uses it', async () => {
    const store = new LateStore();
    const first = await startWorld({}, store);
    const w = await worker(first, 'w');
    const asks = await requester(first);
    await say(first, asks, ask('1', 'a'));
    await say(first, w, reply((await given(first, w))[0]!, 'A'));
    // Read from there, once it is there.
    await say(first, asks, ask('2', 'a'));
    expect(await told(first, asks)).toEqual(['1: A from w', '2: A from w']);
    const world = await restart(first, store);
    expect(await world.view('stats')).toMatchObject({ results: 1 });
    const again = await requester(world, 'again');
    await say(world, again, ask('3', 'a'));
    const next = await worker(world, 'next');
    await say(world, again, ask('4', 'a', { job: 1 }));
    expect(await given(world, next)).toEqual([]);
    expect(await told(world, again)).toEqual(['3: A from w']);
    expect(jobEvents(world).at(-1)).toMatchObject({ event: 'succeeded', content: ['A'] });
  });

  it('has all that wait for one another: they are run after a restart', async () => {
    const store = new LateStore();
    const first = await startWorld({}, store);
    const w = await worker(first, 'w');
    const asks = await requester(first);
    await say(first, asks, ask('1', 'a'), ask('2', 'a'), ask('3', 'a'), ask('4', 'b'));
    expect(trackers(await given(first, w))).toEqual(['1']);
    const world = await restart(first, store);
    const again = await requester(world);
    const next = await worker(world, 'next');
    const [one] = await given(world, next);
    await say(world, next, reply(one!, 'A'));
    expect((await told(world, again)).sort()).toEqual([1, 2, 3].map((n) => `${n}: A from next`));
    expect(trackers(await given(world, next))).toEqual(['4']);
  });

  it('that takes nothing for a while loses a result, and no reply', async () => {
    const store = new LateStore();
    const world = await startWorld({}, store);
    const w = await worker(world, 'w');
    const asks = await requester(world);
    await say(world, asks, ask('1', 'a'));
    const [first] = await given(world, w);
    store.failing = true;
    await say(world, w, reply(first!, 'A'));
    store.failing = false;
    await world.pass(1000);
    expect(await world.view('stats')).toMatchObject({ results: 0, resultsBytes: 0 });
    expect(await told(world, asks)).toEqual(['1: A from w']);
    await say(world, asks, ask('2', 'a'));
    expect(trackers(await given(world, w))).toEqual(['2']);
  });

  it('on which a result is lost has the request run', async () => {
    const store = new LateStore();
    const world = await startWorld({}, store);
    const w = await worker(world, 'w');
    const asks = await requester(world);
    await say(world, asks, ask('1', 'a'));
    await say(world, w, reply((await given(world, w))[0]!, 'A'));
    store.release('results/s', 1);
    await say(world, asks, nativeRequest('s', 'other', { tracker: 'other' }));
    await say(world, w, reply((await given(world, w))[0]!, ''));
    await say(world, asks, ask('2', 'a'), ask('3', 'a'));
    const [second, ...more] = await given(world, w);
    expect([second?.tracker, more]).toEqual(['2', []]);
    await say(world, w, reply(second!, 'A'));
    expect(await told(world, asks)).toEqual([
      '1: A from w',
      'other:  from w',
      '2: A from w',
      '3: A from w',
    ]);
  });
});
