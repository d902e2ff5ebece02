// Promises that are easily broken at their edges: sendings that follow one
// another into different commits, a disk that fails at the wrong moment, workers
// that offer again, cursors that are ahead of their log. Each was broken once.
import {
  FakeNativePeer,
  mailCredit,
  nativeConfirm,
  nativeMail,
  nativeRequest,
  only,
} from '../../support/fake-native-peer.js';
import { messagesOf } from '../../support/native-client.js';
import { GatedStore } from '../../support/gated-store.js';
import { LateStore } from '../../support/late-store.js';
import { useWorlds } from '../../support/broker-world.js';

let store: GatedStore;

beforeEach(() => {
  store = new GatedStore();
});

// A broker that stops commits what is left: before that, the gate opens.
afterEach(() => store.open());

const startWorld = useWorlds();

describe('a sending', () => {
  it('is accepted with its own commit, not with the one that was under way when it came', async () => {
    const world = await startWorld({}, store);
    const sender = await FakeNativePeer.open(world, 's');
    expect(await sender.exchange(nativeMail('r', 'one'))).toEqual([]);
    expect(await sender.exchange(nativeMail('r', 'two'), nativeMail('r', 'three'))).toEqual([]);
    store.succeed();
    await world.settle();
    expect(sender.read()).toEqual([{ name: 'ACCEPTED', upTo: 1 }]);
    store.succeed();
    await world.settle();
    expect(sender.read()).toEqual([{ name: 'ACCEPTED', upTo: 3 }]);
  });

  it('is not refused with the commit before its own', async () => {
    const world = await startWorld({}, store);
    const sender = await FakeNativePeer.open(world, 's');
    await sender.exchange(nativeMail('r', 'lost'));
    await sender.exchange(nativeMail('r', 'kept'));
    store.fail('no room');
    await world.settle();
    expect(sender.read()).toMatchObject([
      { name: 'REFUSED', first: 1, count: 1 },
      { name: 'ACCEPTED', upTo: 1 },
    ]);
    store.succeed();
    await world.settle();
    expect(sender.read()).toEqual([{ name: 'ACCEPTED', upTo: 2 }]);
    store.open();
    const receiver = await FakeNativePeer.open(world, 'r');
    const said = await receiver.exchange(mailCredit(9));
    expect(only(said, 'MAILBOX DELIVER').map(({ subject }) => subject)).toEqual(['kept']);
  });
});

it('a request that came back goes to an idle worker, though the commit that notes it fails', async () => {
  const world = await startWorld({}, store);
  const sender = await FakeNativePeer.open(world, 's');
  const first = await FakeNativePeer.open(world, 'first');
  await first.ask('offer', { service: 'svc' });
  await sender.exchange(nativeRequest('svc', 'job'));
  store.succeed();
  await world.settle();
  expect(only(first.read(), 'SERVICE DELIVER')).toMatchObject([{ subject: 'job', attempt: 1 }]);
  const second = await FakeNativePeer.open(world, 'second');
  await second.ask('offer', { service: 'svc' });
  first.peer.send({ name: 'CONNECTION CLOSE' });
  await world.settle();
  for (const ended of [() => store.fail('no room'), () => store.open()]) {
    ended();
    await world.settle();
  }
  expect(only(second.read(), 'SERVICE DELIVER')).toMatchObject([{ subject: 'job', attempt: 2 }]);
});

it('a worker that offers again gets no more than its capacity beside what it still holds', async () => {
  store.open();
  const world = await startWorld({}, store);
  const sender = await FakeNativePeer.open(world, 's');
  const worker = await FakeNativePeer.open(world, 'w');
  await worker.ask('offer', { service: 'svc', capacity: 1 });
  await sender.exchange(...[1, 2, 3, 4].map((n) => nativeRequest('svc', `job${n}`)));
  const [one] = only(worker.read(), 'SERVICE DELIVER');
  await worker.ask('withdraw', { service: 'svc' });
  worker.call('offer', { service: 'svc', capacity: 1 });
  await world.settle();
  expect(only(worker.read(), 'SERVICE DELIVER')).toEqual([]);
  let held = one!;
  for (const subject of ['job2', 'job3', 'job4']) {
    const given = only(await worker.exchange(nativeConfirm(held)), 'SERVICE DELIVER');
    expect(given).toMatchObject([{ subject }]);
    held = given[0]!;
  }
});

it('a dead letter that cannot be sent again stays a dead letter', async () => {
  store.open();
  const world = await startWorld({ 'service-messages-max': 1 }, store);
  const sender = await FakeNativePeer.open(world, 's');
  await sender.ask('offer', { service: 'svc' });
  const [given] = only(await sender.exchange(nativeRequest('svc', 'bad')), 'SERVICE DELIVER');
  await sender.exchange(nativeConfirm(given!, 400, 'no'));
  await sender.ask('withdraw', { service: 'svc' });
  await sender.exchange(nativeRequest('svc', 'fills it'));
  const letter = { service: 'svc', letter: 1 };
  await expect(sender.ask('dead.retry', letter)).rejects.toThrow('is full');
  expect(await sender.ask('dead.list', { service: 'svc' })).toMatchObject([{ subject: 'bad' }]);
});

describe('messages that were refused are no gap', () => {
  /** A stream whose messages are refused or not, as the plan says; and what a reader is told. */
  async function told(plan: readonly ('kept' | 'refused')[], from: unknown) {
    const disk = new LateStore();
    const world = await startWorld({}, disk);
    const writer = await FakeNativePeer.open(world, 'w');
    const { handle } = await writer.ask<{ handle: number }>('write', { stream: 's' });
    const reader = await FakeNativePeer.open(world, 'r');
    const { handle: early } = await reader.ask<{ handle: number }>('read', { stream: 's' });
    for (const subject of plan) {
      disk.failing = subject === 'refused';
      writer.sendToStream(handle, [[subject, '']]);
      await world.settle();
    }
    reader.call('read', { stream: 's', from, credit: 9 });
    const said = await reader.exchange({ name: 'CREDIT', handle: early, amount: 9 });
    expect(only(said, 'GAP')).toEqual([]);
    expect(world.broker.counters.streamGaps).toBe(0);
    return only(said, 'STREAM DELIVER').flatMap(({ sections }) =>
      messagesOf(sections).map(({ sequence }) => sequence),
    );
  }

  it.each([
    ['in the middle of a log', ['kept', 'refused', 'kept'], [1, 3]],
    ['at its beginning', ['refused', 'refused', 'kept'], [3]],
    ['at its end', ['kept', 'kept', 'refused'], [1, 2]],
    ['that they are all of', ['refused'], []],
  ] as const)('%s', async (_, plan, sequences) => {
    expect(await told(plan, 'earliest')).toEqual([...sequences, ...sequences]);
  });

  it('to a broker that starts again, either', async () => {
    const disk = new LateStore();
    const first = await startWorld({}, disk);
    const writer = await FakeNativePeer.open(first, 'w');
    const { handle } = await writer.ask<{ handle: number }>('write', { stream: 's' });
    for (const failing of [false, true]) {
      disk.failing = failing;
      writer.sendToStream(handle, [['one', '']]);
      await first.settle();
    }
    disk.failing = false;
    await first.stop();
    const second = await startWorld({}, disk.reopen());
    const reader = await FakeNativePeer.open(second, 'r');
    reader.call('read', { stream: 's', from: 'earliest', credit: 9 });
    await second.settle();
    expect(only(reader.read(), 'GAP')).toEqual([]);
  });

  it('nor is what is before the first sequence', async () => {
    expect(await told(['kept'], { sequence: 0 })).toEqual([1, 1]);
  });
});
