// The store on disk, opened again: what it kept, queue by queue.
import fc from 'fast-check';
import { cpSync, mkdtempSync, readdirSync, readlinkSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { logPathsOf } from '../../../broker/store/database-file.js';
import { decodeKept, encodeKept } from '../../../broker/store/kept-codec.js';
import { LmdbStore } from '../../../broker/store/lmdb.js';
import { tablesOf } from '../../../broker/store/lmdb-writer.js';
import { openDatabase } from '../../../broker/store/open-database.js';
import { PLAIN_KEPT, type KeptMessage } from '../../../broker/store/store.js';
import { BlockWriter, lastSequenceOf, readUInt64 } from '../../../protocol/records.js';
import { range } from '../../support/sessions.js';

const MESSAGE: KeptMessage = {
  ...PLAIN_KEPT,
  sequence: 1,
  sender: 'sender',
  subject: 'subject',
  acceptedWallMs: 1,
};

let folder = '';
let store: LmdbStore;

beforeEach(() => {
  folder = mkdtempSync(join(realpathSync(tmpdir()), 'malamute-test-'));
  store = open();
});
afterEach(async () => {
  await store.close();
  rmSync(folder, { recursive: true, force: true });
});

function open(): LmdbStore {
  return LmdbStore.open(join(folder, 'store.mdb'), { flush: true });
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

  it('can be read one by one once they are durable, wherever they lie', async () => {
    store.keep('a', numbered(1));
    expect(store.readKept('a', 1)).toBeUndefined();
    await store.commit();
    expect(store.readKept('a', 1)).toEqual(numbered(1));
    expect(store.readKept('a', 2)).toBeUndefined();
    expect(store.readKept('b', 1)).toBeUndefined();
    const body = Buffer.alloc(1_000_000, 'x');
    const large = { ...MESSAGE, sequence: 2, content: [body] };
    store.keep('a', large);
    await store.commit();
    expect(store.readKept('a', 2)?.content[0]?.equals(body)).toBe(true);
    await reopen();
    expect(store.readKept('a', 1)).toEqual(numbered(1));
    expect(store.readKept('a', 2)?.content[0]?.equals(body)).toBe(true);
    store.release('a', 1);
    await store.commit();
    expect(store.readKept('a', 1)).toBeUndefined();
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

it('a store that is damaged says so, and leaves none of its files open', async () => {
  const file = join(folder, 'damaged.mdb');
  const { root } = openDatabase(file, { flush: true });
  // A stream of which too little is said.
  await tablesOf(root).streams.put(Buffer.from('s'), Buffer.from([1]));
  await root.close();
  expect(() => LmdbStore.open(file, { flush: true })).toThrow(`${file} is damaged`);
  const [one, two] = logPathsOf(file);
  expect(openFiles().filter((path) => path === one || path === two)).toEqual([]);
});

function openFiles(): string[] {
  return readdirSync('/proc/self/fd').map((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`);
    } catch {
      // It was what read the folder.
      return '';
    }
  });
}

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
    failures: [
      { timeMs: 5, worker: 'w', reason: 'no' },
      { timeMs: 6, worker: 'v', reason: 'gone', lost: true },
    ],
  };
  const octets = encodeKept(message);
  const read = decodeKept(7, octets);
  octets.fill(0xff);
  expect(read).toEqual(message);
});

/** Every commit is flushed, and other tests have the disk busy at the same time. */
const PATIENCE_MS = 600_000;

describe('what is committed', () => {
  /** More than goes through the commit log. */
  const LARGE_BYTES = 300_000;
  const streams = ['s', 't'] as const;
  const queues = ['q', 'r'] as const;

  const append = fc.record({
    kind: fc.constant('append' as const),
    stream: fc.constantFrom(...streams),
    messages: fc.integer({ min: 1, max: 3 }),
    bytes: fc.constantFrom(10, 10, 10, 1000, LARGE_BYTES),
  });
  const trim = fc.record({
    kind: fc.constant('trim' as const),
    stream: fc.constantFrom(...streams),
    messages: fc.integer({ min: 1, max: 5 }),
  });
  const step = fc.oneof(
    { weight: 4, arbitrary: append },
    { weight: 3, arbitrary: trim },
    fc.record({
      kind: fc.constant('keep' as const),
      queue: fc.constantFrom(...queues),
      sequence: fc.integer({ min: 1, max: 6 }),
    }),
    fc.record({
      kind: fc.constant('release' as const),
      queue: fc.constantFrom(...queues),
      sequence: fc.integer({ min: 1, max: 6 }),
    }),
    fc.record({
      kind: fc.constant('set' as const),
      name: fc.constantFrom('x', 'y'),
      value: fc.option(fc.string()),
    }),
    fc.record({ kind: fc.constant('drop' as const), stream: fc.constantFrom(...streams) }),
    fc.record({ kind: fc.constant('close' as const) }),
    fc.record({ kind: fc.constant('crash' as const) }),
    fc.record({ kind: fc.constant('crash' as const) }),
  );

  it(
    'is there whenever the broker dies, in the commit log or in the database',
    async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
          await begin();
          const model = new Model();
          for (const each of steps) {
            if (each.kind === 'close') await reopen();
            else if (each.kind === 'crash') await crash();
            else {
              model.change(store, each);
              // Everything so far is durable, or would be lost with a crash.
              await store.commit();
            }
            model.check(store);
            if (each.kind === 'close' || each.kind === 'crash') model.checkStart(store);
          }
          await crash();
          model.check(store);
          model.checkStart(store);
        }),
        { numRuns: 30 },
      );
    },
    PATIENCE_MS,
  );

  it('is gone from the commit log too once it was trimmed', async () => {
    const model = new Model();
    for (let round = 0; round < 10; round++) {
      // A block of two, of which the second can still be asked for when the block is gone.
      model.change(store, { kind: 'append', stream: 's', messages: 2, bytes: 10 });
      await store.commit();
      model.change(store, { kind: 'trim', stream: 's', messages: 2 });
      model.check(store);
    }
  });

  async function begin(): Promise<void> {
    await store.close();
    rmSync(folder, { recursive: true });
    folder = mkdtempSync(join(tmpdir(), 'malamute-test-'));
    store = open();
  }

  /** The files as they are now are what the next start finds. */
  async function crash(): Promise<void> {
    const copy = mkdtempSync(join(tmpdir(), 'malamute-test-'));
    cpSync(folder, copy, { recursive: true });
    await store.close();
    rmSync(folder, { recursive: true });
    folder = copy;
    store = open();
  }

  type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;

  class Model {
    readonly #blocks = new Map<string, Buffer[]>();
    readonly #kept = new Map<string, string>();
    readonly #documents = new Map<string, string>();
    #writes = 0;

    change(given: LmdbStore, each: Step): void {
      const text = `write ${++this.#writes}`;
      switch (each.kind) {
        case 'append': {
          const blocks = this.#blocks.get(each.stream) ?? [];
          const writer = new BlockWriter();
          const last = blocks.at(-1);
          const first = last === undefined ? 1 : lastSequenceOf(last) + 1;
          for (const n of range(first, first + each.messages - 1)) {
            writer.append(n, 1, 'w', text, [Buffer.alloc(each.bytes, n)]);
          }
          for (const block of writer.take()) {
            given.appendBlock(each.stream, block);
            blocks.push(Buffer.from(block.bytes));
          }
          this.#blocks.set(each.stream, blocks);
          return;
        }
        case 'keep':
          given.keep(each.queue, { ...numbered(each.sequence), subject: text });
          this.#kept.set(`${each.queue} ${each.sequence}`, text);
          return;
        case 'release':
          given.release(each.queue, each.sequence);
          this.#kept.delete(`${each.queue} ${each.sequence}`);
          return;
        case 'set':
          given.setDocument(
            'd',
            each.name,
            each.value === null ? undefined : Buffer.from(each.value),
          );
          if (each.value === null) this.#documents.delete(each.name);
          else this.#documents.set(each.name, each.value);
          return;
        case 'trim': {
          given.trim(each.stream, { bytesMax: Infinity, messagesMax: each.messages }, 1);
          const blocks = this.#blocks.get(each.stream) ?? [];
          while (blocks.length > 1 && messagesIn(blocks.slice(1)) >= each.messages) blocks.shift();
          return;
        }
        case 'drop':
          given.dropStream(each.stream);
          this.#blocks.delete(each.stream);
          return;
        default:
      }
    }

    /** What can be asked of a store at any time. */
    check(given: LmdbStore): void {
      for (const stream of streams) {
        const blocks = this.#blocks.get(stream) ?? [];
        const found: Buffer[] = [];
        for (let at = 1; ;) {
          const block = given.readBlock(stream, at);
          if (block === undefined) break;
          expect(block.last).toBe(lastSequenceOf(block.bytes));
          found.push(block.bytes);
          at = block.last + 1;
        }
        // Octet by octet, but not by Jest: blocks are large.
        expect(found.map(({ length }) => length)).toEqual(blocks.map(({ length }) => length));
        expect(found.every((bytes, at) => bytes.equals(blocks[at]!))).toBe(true);
        expect(given.streamBytes(stream)).toBe(blocks.reduce((sum, { length }) => sum + length, 0));
      }
      for (const queue of queues) {
        for (const sequence of range(1, 6)) {
          const subject = given.readKept(queue, sequence)?.subject;
          expect(subject).toBe(this.#kept.get(`${queue} ${sequence}`));
        }
      }
    }

    /** What a store says when it was just opened. */
    checkStart(given: LmdbStore): void {
      const kept: [string, string][] = [];
      for (const { queue, messages } of given.queues()) {
        for (const { sequence, subject } of messages) kept.push([`${queue} ${sequence}`, subject]);
      }
      expect(new Map(kept)).toEqual(this.#kept);
      const documents = [...given.documents('d')].map(([name, value]) => [name, value.toString()]);
      expect(new Map(documents as [string, string][])).toEqual(this.#documents);
      const names = given.streams().map(({ name }) => name);
      expect(names.sort()).toEqual([...this.#blocks.keys()].sort());
    }
  }

  function messagesIn(blocks: readonly Buffer[]): number {
    const [first] = blocks;
    if (first === undefined) return 0;
    return lastSequenceOf(blocks.at(-1) ?? first) - firstOf(first) + 1;
  }

  const firstOf = (bytes: Buffer): number => readUInt64(bytes, 8);
});
