// What becomes of requests that native workers hold: replies, leases, progress,
// deadlines, cancelling. Who gets which request is a file of its own, and so are
// jobs and workers that are lost.
import { decode as unpack } from '@msgpack/msgpack';
import { useWorlds } from '../../support/broker-world.js';
import {
  FakeNativePeer,
  mailCredit,
  nativeConfirm,
  nativeRequest,
  only,
} from '../../support/fake-native-peer.js';
import {
  deliveries,
  extend,
  given,
  lateWorker,
  progress,
  reply,
  requester,
  subjects,
  worker,
} from '../../support/native-service.js';
import { request } from '../../support/v1-commands.js';

const startWorld = useWorlds();

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
