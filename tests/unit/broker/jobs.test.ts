// Requests whose lives are written down: what the stream of jobs holds of each, and
// that a job is done once for its id.
import { useWorlds } from '../../support/broker-world.js';
import { nativeConfirm, nativeRequest, only, type Asked } from '../../support/fake-native-peer.js';
import { GatedStore } from '../../support/gated-store.js';
import {
  given,
  jobEvents,
  lateWorker,
  progress,
  reply,
  requester,
  worker,
} from '../../support/native-service.js';

const startWorld = useWorlds();

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

  it('is tried again for the reason that its last worker gave, though that was only not ready', async () => {
    const world = await startWorld();
    const asks = await requester(world);
    await asks.exchange(job('j1'));
    const [w, [first]] = await lateWorker(world, 'w');
    await w.exchange(nativeConfirm(first!, 300, 'oops'));
    await w.ask('withdraw', { service: 's' });
    const late = await worker(world, 'late');
    await world.pass(150);
    const [second] = await given(world, late);
    await late.exchange(nativeConfirm(second!, 503, 'not-ready: loading'));
    const by = { job: 's/j1', service: 's', worker: 'late' };
    expect(jobEvents(world).slice(-2)).toEqual([
      { ...by, event: 'started', attempt: 2 },
      { ...by, event: 'retrying', attempt: 1, reason: 'not-ready: loading', delayMs: 1000 },
    ]);
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
