// The wall clock is set forward and back under a running broker, and between two
// runs of it. A running broker measures by the clock that never jumps; the wall
// clock counts only for what an earlier run has kept, and for the age of messages.
import { BlockReader } from '../../../protocol/index.js';
import type { PolicyRules } from '../../../broker/policies.js';
import { World } from '../../support/broker-world.js';
import {
  FakeNativePeer,
  mailCredit,
  nativeConfirm,
  nativeMail,
  nativeRequest,
  only,
  type Said,
} from '../../support/fake-native-peer.js';
import { LateStore } from '../../support/late-store.js';

const HOUR_MS = 3_600_000;
const worlds: World[] = [];

afterEach(async () => {
  for (const world of worlds.splice(0)) await world.stop();
});

async function startWorld(store?: LateStore, wallMs?: number, rules?: PolicyRules): Promise<World> {
  const world = new World(store);
  if (wallMs !== undefined) world.clock.setWall(wallMs - world.clock.wallMs());
  worlds.push(await world.start({}, rules));
  return world;
}

/** The broker is killed, the wall clock is set, and another broker starts on the same disk. */
async function restarted(old: World, store: LateStore, byMs: number): Promise<World> {
  const again = store.kill(false);
  const wallMs = old.clock.wallMs() + byMs;
  await old.stop();
  worlds.splice(worlds.indexOf(old), 1);
  return startWorld(again, wallMs);
}

const subjects = (said: readonly Said[], name: 'SERVICE DELIVER' | 'MAILBOX DELIVER'): string[] =>
  only(said, name).map(({ subject }) => subject);

/** What a requester or sender was told by CONFIRM. */
const told = (said: readonly Said[]): string[] =>
  only(said, 'CONFIRM').map(({ tracker, statusCode }) => `${tracker} ${statusCode}`);

async function worker(world: World, terms: Record<string, unknown> = {}): Promise<FakeNativePeer> {
  const peer = await FakeNativePeer.open(world, 'worker');
  await peer.ask('offer', { service: 's', ...terms });
  return peer;
}

/** Lets time pass, in steps in which the sessions show that they live. */
async function pass(world: World, ms: number, ...alive: FakeNativePeer[]): Promise<Said[][]> {
  const said: Said[][] = alive.map(() => []);
  for (let left = ms; left > 0; left -= 1000) {
    await world.pass(Math.min(1000, left));
    for (const [at, peer] of alive.entries()) {
      said[at]!.push(...(await peer.exchange({ name: 'PING' })));
    }
  }
  return said;
}

/** Sets the wall clock, now and then, as bad time keeping does. */
const JUMPS: readonly [what: string, first: number, second: number][] = [
  ['forward', HOUR_MS, 0],
  ['back', -HOUR_MS, 0],
  ['forward and back again', HOUR_MS, -HOUR_MS],
  ['back and forward again', -HOUR_MS, HOUR_MS],
];

describe.each(JUMPS)('a running broker whose wall clock is set %s', (_what, first, second) => {
  it('expires mail by its timeout, also mail that was given back', async () => {
    const world = await startWorld();
    const sender = await FakeNativePeer.open(world, 'sender');
    const owner = await FakeNativePeer.open(world, 'owner');
    await owner.exchange(mailCredit(1));
    const given = await sender.exchange(
      nativeMail('owner', 'held', { tracker: 'held', timeout: 8000 }),
      nativeMail('owner', 'waits', { tracker: 'waits', timeout: 8000 }),
    );
    expect(told(given)).toEqual([]);
    world.clock.setWall(first);
    await pass(world, 4000, sender, owner);
    owner.peer.send({ name: 'CONNECTION CLOSE' });
    await world.settle();
    world.clock.setWall(second);
    const [before] = await pass(world, 3000, sender);
    expect(told(before!)).toEqual([]);
    const [after] = await pass(world, 2000, sender);
    expect(told(after!).sort()).toEqual(['held 408', 'waits 408']);
  });

  it('holds a request back for its delay, and one that failed for its pause', async () => {
    const world = await startWorld(new LateStore());
    const asker = await FakeNativePeer.open(world, 'asks');
    const works = await worker(world);
    await asker.exchange(nativeRequest('s', 'later', { delay: 5000 }));
    world.clock.setWall(first);
    let [given] = await pass(world, 4000, works);
    expect(subjects(given!, 'SERVICE DELIVER')).toEqual([]);
    world.clock.setWall(second);
    [given] = await pass(world, 2000, works);
    expect(subjects(given!, 'SERVICE DELIVER')).toEqual(['later']);
    // Not ready: another attempt after a second.
    const [delivery] = only(given!, 'SERVICE DELIVER');
    await works.exchange(nativeConfirm(delivery!, 503));
    world.clock.setWall(first);
    [given] = await pass(world, 2000, works);
    expect(subjects(given!, 'SERVICE DELIVER')).toEqual(['later']);
  });

  it('holds a request back for its delay, though the clock is set before it is on disk', async () => {
    const store = new LateStore();
    const world = await startWorld(store);
    const asker = await FakeNativePeer.open(world, 'asks');
    const works = await worker(world);
    store.turns = 100;
    asker.send(nativeRequest('s', 'later', { delay: 5000 }));
    while (world.broker.counters.serviceRequests === 0) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    world.clock.setWall(first);
    for (let turn = 0; turn < 200; turn++) await new Promise((resolve) => setImmediate(resolve));
    store.turns = 2;
    world.clock.setWall(second);
    const [given] = await pass(world, 6000, works);
    expect(subjects(given!, 'SERVICE DELIVER')).toEqual(['later']);
  });

  it('takes a request back when its lease is over, and ends it at its deadline', async () => {
    const world = await startWorld();
    const asker = await FakeNativePeer.open(world, 'asks');
    const works = await worker(world, { leaseMs: 3000, capacity: 2 });
    await asker.exchange(
      nativeRequest('s', 'leased'),
      nativeRequest('s', 'due', { tracker: 'due', deadline: 2000 }),
    );
    expect(subjects(works.read(), 'SERVICE DELIVER')).toEqual(['leased', 'due']);
    world.clock.setWall(first);
    const revoked = (said: readonly Said[] | undefined): number[] =>
      only(said ?? [], 'REVOKED').map(({ statusCode }) => statusCode);
    let [ofWorker, ofAsker] = await pass(world, 1000, works, asker);
    expect(revoked(ofWorker)).toEqual([]);
    expect(told(ofAsker!)).toEqual([]);
    [ofWorker, ofAsker] = await pass(world, 1000, works, asker);
    expect(revoked(ofWorker)).toEqual([408]);
    expect(told(ofAsker!)).toEqual(['due 408']);
    world.clock.setWall(second);
    [ofWorker] = await pass(world, 2000, works);
    expect(revoked(ofWorker)).toEqual([300]);
  });

  it('settles for another worker after the time that the request allows', async () => {
    const world = await startWorld();
    const asker = await FakeNativePeer.open(world, 'asks');
    const works = await worker(world, { labels: { gpu: false } });
    const wants = { prefers: { gpu: true }, settleMs: 3000 };
    await asker.exchange(nativeRequest('s', 'picky', { wants }));
    world.clock.setWall(first);
    const [early] = await pass(world, 2000, works);
    expect(subjects(early!, 'SERVICE DELIVER')).toEqual([]);
    world.clock.setWall(second);
    const [late] = await pass(world, 1000, works);
    expect(subjects(late!, 'SERVICE DELIVER')).toEqual(['picky']);
  });

  it('numbers and orders the messages of a stream as they come', async () => {
    const world = await startWorld();
    const writer = await FakeNativePeer.open(world, 'writer');
    const { handle } = await writer.ask<{ handle: number }>('write', { stream: 'e' });
    const reader = await FakeNativePeer.open(world, 'reader');
    await reader.ask('read', { stream: 'e', credit: 10 });
    for (const [at, byMs] of [0, first, second].entries()) {
      world.clock.setWall(byMs);
      writer.sendToStream(handle, [[`m${at}`, '']]);
      await world.settle();
    }
    const read = only(reader.read(), 'STREAM DELIVER').flatMap(({ sections }) => {
      const block = new BlockReader(sections);
      const found: string[] = [];
      while (block.next()) found.push(`${block.sequence} ${block.subject}`);
      return found;
    });
    expect(read).toEqual(['1 m0', '2 m1', '3 m2']);
  });
});

describe('retention by age', () => {
  const rules: PolicyRules = { streams: [{ match: '^e$', 'age-ms-max': 60_000 }] };

  /** Writes a message a second for so long. */
  async function written(world: World, count: number): Promise<FakeNativePeer> {
    const writer = await FakeNativePeer.open(world, 'writer');
    const { handle } = await writer.ask<{ handle: number }>('write', { stream: 'e' });
    for (let n = 0; n < count; n++) {
      writer.sendToStream(handle, [['x', '']]);
      await pass(world, 1000, writer);
    }
    return writer;
  }

  async function held(world: World): Promise<number> {
    const asker = await FakeNativePeer.open(world, 'looks');
    const info = await asker.ask<{ firstSequence: number; lastSequence: number }>('stream.info', {
      stream: 'e',
    });
    return info.lastSequence - info.firstSequence + 1;
  }

  it('drops what is older than its age, and nothing else', async () => {
    const world = await startWorld(undefined, undefined, rules);
    const writer = await written(world, 40);
    expect(await held(world)).toBe(40);
    await pass(world, 40_000, writer);
    const left = await held(world);
    expect(left).toBeGreaterThan(10);
    expect(left).toBeLessThan(40);
  });

  it('drops nothing early when the clock is set back, and goes on when time has caught up', async () => {
    const world = await startWorld(undefined, undefined, rules);
    const writer = await written(world, 10);
    world.clock.setWall(-120_000);
    await pass(world, 100_000, writer);
    expect(await held(world)).toBe(10);
    await pass(world, 100_000, writer);
    expect(await held(world)).toBe(0);
  });

  it('takes a clock that is set forward at its word', async () => {
    const world = await startWorld(undefined, undefined, rules);
    const writer = await written(world, 10);
    world.clock.setWall(120_000);
    await pass(world, 20_000, writer);
    expect(await held(world)).toBe(0);
    world.clock.setWall(-120_000);
    const { handle } = await writer.ask<{ handle: number }>('write', { stream: 'e' });
    writer.sendToStream(handle, [['x', '']]);
    await pass(world, 20_000, writer);
    expect(await held(world)).toBe(1);
  });
});

describe('the next run of the broker, after the wall clock was set', () => {
  async function kept(store: LateStore): Promise<World> {
    const world = await startWorld(store);
    const sender = await FakeNativePeer.open(world, 'sender');
    await sender.exchange(
      nativeMail('owner', 'mail', { timeout: 20_000 }),
      nativeRequest('s', 'expires', { timeout: 20_000 }),
      nativeRequest('s', 'due', { deadline: 20_000 }),
      nativeRequest('s', 'later', { delay: 20_000 }),
    );
    return world;
  }

  /** Who takes everything that is there. */
  async function takers(world: World): Promise<[FakeNativePeer, FakeNativePeer]> {
    const owner = await FakeNativePeer.open(world, 'owner');
    const works = await FakeNativePeer.open(world, 'worker');
    owner.send(mailCredit(10));
    works.call('offer', { service: 's', capacity: 10 });
    await world.settle();
    return [owner, works];
  }

  it('finds what it kept as it was, where the clock was not set', async () => {
    const store = new LateStore();
    const world = await restarted(await kept(store), store, 0);
    const [owner, works] = await takers(world);
    expect(subjects(owner.read(), 'MAILBOX DELIVER')).toEqual(['mail']);
    expect(subjects(works.read(), 'SERVICE DELIVER').sort()).toEqual(['due', 'expires']);
    const [, said] = await pass(world, 20_000, owner, works);
    expect(subjects(said!, 'SERVICE DELIVER')).toEqual(['later']);
  });

  it('holds it for late where the clock was set forward', async () => {
    const store = new LateStore();
    const world = await restarted(await kept(store), store, HOUR_MS);
    await world.pass(10);
    const [owner, works] = await takers(world);
    expect(subjects(owner.read(), 'MAILBOX DELIVER')).toEqual([]);
    expect(subjects(works.read(), 'SERVICE DELIVER')).toEqual(['later']);
  });

  it('lets it wait no longer than it was to wait at first, where the clock was set back', async () => {
    const store = new LateStore();
    const world = await restarted(await kept(store), store, -HOUR_MS);
    const bystander = await FakeNativePeer.open(world, 'bystander');
    await pass(world, 19_000, bystander);
    expect(world.broker.counters.expired).toBe(0);
    await pass(world, 2000, bystander);
    const [owner, works] = await takers(world);
    expect(subjects(owner.read(), 'MAILBOX DELIVER')).toEqual([]);
    expect(subjects(works.read(), 'SERVICE DELIVER')).toEqual(['later']);
    expect(world.broker.counters.expired).toBe(3);
  });
});
