// The streams that the broker itself writes to: their names begin with $, and
// clients do nothing but read and trim them.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LmdbStore } from '../../../broker/store/lmdb.js';
import { GatedStore } from '../../support/gated-store.js';
import { LoneStreams, takeAll } from '../../support/streams.js';

const MIB = 1024 * 1024;

it('a message of the broker reaches readers that came before it, once it is durable', async () => {
  const store = new GatedStore();
  const lone = new LoneStreams({ store });
  const { streams, storage } = lone;
  const reader = lone.session('r');
  expect(streams.read(reader, '$jobs', '^resize/')).toBeUndefined();
  streams.appendOwn('$jobs', 'resize/1', [Buffer.from('queued')]);
  const stream = streams.appendOwn('$jobs', 'other/2', []);
  storage.commit();
  expect([stream.lastSequence, takeAll(reader)]).toEqual([0, []]);
  store.open();
  await stream.commits.settled();
  expect(stream.lastSequence).toBe(2);
  expect(takeAll(reader)).toEqual([
    {
      name: 'STREAM DELIVER',
      address: '$jobs',
      sender: '$broker',
      subject: 'resize/1',
      content: [Buffer.from('queued')],
    },
  ]);
});

it('what the broker wrote is found by a broker that starts on the same store', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'malamute-test-'));
  const store = LmdbStore.open(join(directory, 'store.mdb'), { flush: true });
  try {
    const first = new LoneStreams({ store });
    first.streams.appendOwn('$jobs', 'a', []);
    await first.storage.settled();
    const second = new LoneStreams({ store });
    expect(second.streams.appendOwn('$jobs', 'b', []).nextSequence).toBe(3);
    await second.storage.settled();
  } finally {
    await store.close();
    await rm(directory, { recursive: true });
  }
});

it('no client writes to them, and none deletes them', () => {
  const lone = new LoneStreams();
  const { streams } = lone;
  expect(streams.write(lone.session('w'), '$jobs')).toMatchObject({ statusCode: 300 });
  const stream = streams.appendOwn('$jobs', 'a', []);
  expect(streams.write(lone.session('w'), '$jobs')).toHaveProperty('reason');
  expect(streams.delete('$jobs')).toHaveProperty('reason');
  expect(stream.writers).toBe(0);
});

it('they are there to look at before anything was written, and are not kept for it', () => {
  const { streams } = new LoneStreams();
  expect(streams.peek('$jobs')).toMatchObject({ firstSequence: 1, lastSequence: 0, bytes: 0 });
  expect(streams.peek('jobs')).toBeUndefined();
  expect(streams.size).toBe(0);
});

it('the limit of streams does not hold for the broker, which takes no room of its own back', () => {
  const lone = new LoneStreams({ options: { 'streams-max': 1 } });
  const { streams } = lone;
  const presence = streams.appendOwn('$presence', 'a', []);
  expect(streams.write(lone.session('w'), 's')).toBeUndefined();
  expect(streams.write(lone.session('v'), 't')).toHaveProperty('reason');
  streams.appendOwn('$jobs', 'a', []);
  expect(streams.get('$presence')).toBe(presence);
});

it('a name without $ is not for the broker', () => {
  const { streams } = new LoneStreams();
  expect(() => streams.appendOwn('jobs', 'a', [])).toThrow('jobs');
});

describe('policies', () => {
  it('keep who is there in memory, and little of it, unless a rule says otherwise', () => {
    const { policies } = new LoneStreams();
    expect(policies.stream('$presence')).toEqual({
      durability: 'memory',
      retention: { bytesMax: 16 * MIB },
    });
    expect(policies.stream('$jobs')).toEqual(policies.stream('any'));
    const rule = { match: '^\\$presence$', durability: 'relaxed', 'messages-max': 10 };
    expect(new LoneStreams({ rules: { streams: [rule] } }).policies.stream('$presence')).toEqual({
      durability: 'relaxed',
      retention: { bytesMax: 16 * MIB, messagesMax: 10 },
    });
  });

  it('keep no more of it than of any stream', () => {
    const { policies } = new LoneStreams({ options: { 'stream-bytes-max': MIB } });
    expect(policies.stream('$presence').retention.bytesMax).toBe(MIB);
  });
});
