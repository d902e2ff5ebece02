// The window of ids: what it remembers, for how long, and that it remembers
// nothing whose commit failed.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger } from '../../../broker/log.js';
import { IdBound, IdWindow } from '../../../broker/store/id-window.js';
import { LmdbStore } from '../../../broker/store/lmdb.js';
import { MemoryStore } from '../../../broker/store/memory.js';
import { singleStore, Storage, type Place } from '../../../broker/store/storage.js';
import type { Store } from '../../../broker/store/store.js';
import { GatedStore } from '../../support/gated-store.js';
import { range } from '../../support/sessions.js';

const nothing = (): void => undefined;

function placeIn(store: Store): Place {
  const events = { gathering: nothing, retry: nothing, ended: nothing };
  return new Storage(singleStore(store, Infinity), silentLogger, events).place('fsync');
}

function windowIn(place: Place, options: { idsPerSender?: number; bound?: IdBound } = {}) {
  const { bound = new IdBound(), ...rest } = options;
  return new IdWindow({ queue: 'ids/s', place, bound, ...rest });
}

it('knows an id of its sender, and of no other', () => {
  const window = windowIn(placeIn(new MemoryStore()));
  window.remember('a', 'x', 7);
  window.remember('b', 'x', 8);
  expect([window.known('a', 'x'), window.known('b', 'x')]).toEqual([7, 8]);
  expect([window.known('c', 'x'), window.known('a', 'y')]).toEqual([undefined, undefined]);
});

it('forgets the oldest ids of a sender beyond its bound, in the store too', () => {
  const store = new MemoryStore();
  const window = windowIn(placeIn(store), { idsPerSender: 3 });
  window.remember('other', 'x', 1);
  for (const n of range(2, 6)) window.remember('a', `id${n}`, n);
  const known = range(2, 6).map((n) => window.known('a', `id${n}`));
  expect(known).toEqual([undefined, undefined, 4, 5, 6]);
  expect(window.known('other', 'x')).toBe(1);
  expect(store.kept).toBe(4);
});

it('an id that was forgotten may be remembered anew', () => {
  const window = windowIn(placeIn(new MemoryStore()), { idsPerSender: 1 });
  window.remember('a', 'x', 1);
  window.remember('a', 'y', 2);
  window.remember('a', 'x', 3);
  expect([window.known('a', 'x'), window.known('a', 'y')]).toEqual([3, undefined]);
});

it('forgets everything where it is told to', () => {
  const store = new MemoryStore();
  const window = windowIn(placeIn(store));
  for (const n of range(1, 9)) window.remember(`sender${n % 3}`, 'x'.repeat(n), n);
  window.forget();
  expect([window.known('sender1', 'x'), window.bytes, store.kept]).toEqual([undefined, 0, 0]);
  window.remember('sender1', 'x', 10);
  expect(window.known('sender1', 'x')).toBe(10);
});

it('forgets what a failed commit lost, and nothing else', async () => {
  const store = new GatedStore();
  const place = placeIn(store);
  const window = windowIn(place, { idsPerSender: 3 });
  const kept = window.remember('a', 'kept', 1);
  place.commits.commit();
  store.succeed();
  await new Promise(setImmediate);
  const lost = [window.remember('a', 'lost', 2), window.remember('b', 'lost', 3)];
  place.commits.commit();
  const later = window.remember('a', 'later', 4);
  expect(window.known('a', 'lost')).toBe(2);
  store.fail('the disk is full');
  await new Promise(setImmediate);
  expect(lost.map((entry) => entry.lost)).toEqual([true, true]);
  expect([kept.lost, later.lost]).toEqual([false, false]);
  const ids = ['kept', 'lost', 'later'].map((id) => window.known('a', id));
  expect([...ids, window.known('b', 'lost')]).toEqual([1, undefined, 4, undefined]);
  // The lost one takes no room, and may come again.
  window.remember('a', 'lost', 5);
  expect([window.known('a', 'kept'), window.known('a', 'lost')]).toEqual([1, 5]);
  store.open();
  await place.commits.settled();
  expect(window.known('a', 'lost')).toBe(5);
});

it('takes no room for what failed commits lost, however many there are', async () => {
  const store = new GatedStore();
  const place = placeIn(store);
  const window = windowIn(place);
  for (const n of range(1, 50)) {
    window.remember(`sender${n}`, 'x', n);
    place.commits.commit();
    store.fail('the disk is full');
    await new Promise(setImmediate);
  }
  expect(window.bytes).toBe(0);
  store.open();
});

it('is found again by the next run, and bounded there as well', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'malamute-test-'));
  const file = join(directory, 'store.mdb');
  const first = LmdbStore.open(file, { flush: true });
  const place = placeIn(first);
  const window = windowIn(place);
  for (const n of range(1, 5)) window.remember('ä', `id ${n}`, n * 300);
  window.remember('b', 'id 1', 1501);
  await place.commits.settled();
  await first.close();
  const second = LmdbStore.open(file, { flush: true });
  try {
    const again = windowIn(placeIn(second), { idsPerSender: 3 });
    for (const { queue, messages } of second.queues()) {
      expect(queue).toBe('ids/s');
      again.recover([...messages]);
    }
    const known = range(1, 5).map((n) => again.known('ä', `id ${n}`));
    expect(known).toEqual([undefined, undefined, 900, 1200, 1500]);
    expect(again.known('b', 'id 1')).toBe(1501);
  } finally {
    await second.close();
    await rm(directory, { recursive: true });
  }
});

describe('the bound of all windows', () => {
  it('makes the largest one give up the ids of whoever was seen longest ago', () => {
    const place = placeIn(new MemoryStore());
    const bound = new IdBound(40_000);
    const small = new IdWindow({ queue: 'ids/small', place, bound });
    const large = new IdWindow({ queue: 'ids/large', place, bound });
    for (const n of range(1, 10)) small.remember('a', `id${n}`, n);
    for (const n of range(1, 50)) large.remember('first', `id${n}`, n);
    for (const n of range(51, 100)) large.remember('second', `id${n}`, n);
    // It is in use again: the other one goes first.
    expect(large.known('first', 'id1')).toBe(1);
    for (const n of range(101, 400)) large.remember('third', `id${n}`, n);
    expect(small.bytes + large.bytes).toBeLessThanOrEqual(40_000);
    expect(range(1, 10).map((n) => small.known('a', `id${n}`))).toEqual(range(1, 10));
    expect(large.known('second', 'id100')).toBeUndefined();
    expect(large.known('third', 'id400')).toBe(400);
  });

  it('counts what is given back', () => {
    const place = placeIn(new MemoryStore());
    const bound = new IdBound(10_000);
    for (const n of range(1, 100)) {
      const window = new IdWindow({ queue: `ids/${n}`, place, bound });
      for (const sequence of range(1, 40)) window.remember('a', `id${sequence}`, sequence);
      expect(window.known('a', 'id1')).toBe(1);
      window.forget();
    }
  });
});
