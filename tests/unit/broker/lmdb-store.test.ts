// The store on disk, opened again: what it kept, queue by queue.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decodeKept, encodeKept } from '../../../broker/store/kept-codec.js';
import { LmdbStore } from '../../../broker/store/lmdb.js';
import type { KeptMessage } from '../../../broker/store/store.js';
import { range } from '../../support/sessions.js';

const MESSAGE: KeptMessage = {
  sequence: 1,
  sender: 'sender',
  subject: 'subject',
  tracker: '',
  acceptedWallMs: 1,
  expiresWallMs: 0,
  priority: 0,
  notBeforeWallMs: 0,
  deadlineWallMs: 0,
  key: '',
  job: false,
  wants: undefined,
  attempts: 0,
  failures: [],
  content: [],
};

let folder = '';
let store: LmdbStore;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'malamute-test-'));
  store = open();
});
afterEach(async () => {
  await store.close();
  rmSync(folder, { recursive: true, force: true });
});

function open(): LmdbStore {
  return LmdbStore.open(join(folder, 'store.mdb'), { flush: false });
}

async function reopen(): Promise<void> {
  await store.close();
  store = open();
}

function numbered(sequence: number): KeptMessage {
  const content = [Buffer.from(`n${sequence}`), Buffer.alloc(sequence * 100, sequence)];
  return { ...MESSAGE, sequence, content };
}

describe('kept messages', () => {
  /** Names of which one begins as another does, and one holds what separates names from numbers. */
  const names = ['a', 'ab', 'a\0b', 'a\0', 'b', 'ä'];

  it('come back in their queues, in the order of their sequences', async () => {
    for (const name of names) {
      for (const sequence of [300, 2, 70_000]) store.keep(name, numbered(sequence % 1000));
    }
    await reopen();
    const found = new Map<string, KeptMessage[]>();
    for (const { queue, messages } of store.queues()) found.set(queue, [...messages]);
    expect([...found.keys()].sort()).toEqual([...names].sort());
    // Read again after everything else was read: nothing is a view of what the store reads into.
    for (const messages of found.values()) expect(messages).toEqual([0, 2, 300].map(numbered));
  });

  it('of a queue that nobody reads, or not to its end, are passed over', async () => {
    for (const name of ['a', 'b', 'c']) for (const n of range(1, 5)) store.keep(name, numbered(n));
    await reopen();
    const begun: string[] = [];
    for (const { queue, messages } of store.queues()) {
      if (queue === 'b') continue;
      for (const { sequence } of messages) {
        begun.push(`${queue}${sequence}`);
        if (sequence === 2) break;
      }
    }
    expect(begun).toEqual(['a1', 'a2', 'c1', 'c2']);
  });

  it('that were released are gone', async () => {
    for (const n of range(1, 3)) store.keep('a', numbered(n));
    await store.commit();
    store.release('a', 2);
    await reopen();
    const found: number[] = [];
    for (const { messages } of store.queues()) {
      for (const { sequence } of messages) found.push(sequence);
    }
    expect(found).toEqual([1, 3]);
  });
});

it('a kept message is itself again, and keeps nothing of the octets it was read from', () => {
  const message: KeptMessage = {
    ...numbered(7),
    tracker: 't',
    key: 'ä',
    expiresWallMs: 2 ** 41,
    deadlineWallMs: 3,
    notBeforeWallMs: 4,
    priority: 9,
    job: true,
    wants: { needs: { gpu: true, blob: new Uint8Array([1, 2]) } },
    attempts: 3,
    failures: [{ timeMs: 5, worker: 'w', reason: 'no' }],
  };
  const octets = encodeKept(message);
  const read = decodeKept(7, octets);
  octets.fill(0xff);
  expect(read).toEqual(message);
});
