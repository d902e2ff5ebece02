// Compact readers against a simple model: each begins with the last message of
// every subject that it asked for, then gets everything that follows, once and in
// order; what retention took meanwhile is named in a gap.
import fc from 'fast-check';
import { MemoryStore } from '../../broker/store/memory.js';
import type { Store } from '../../broker/store/store.js';
import { World } from '../support/broker-world.js';
import { FakeNativePeer, only } from '../support/fake-native-peer.js';
import { LateStore } from '../support/late-store.js';
import { messagesOf } from '../support/native-client.js';

const SUBJECTS = ['a', 'b', 'ab', 'c', 'd/1', 'd/2'];
const PATTERNS = ['', '^a$', '^a', 'b', '^d/1$', '^nothing$', '^d/'];
const QUIET = 3;

const which = fc.nat(20);
const operation = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      send: fc.array(fc.constantFrom(...SUBJECTS), { minLength: 1, maxLength: 12 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      read: fc.constantFrom(...PATTERNS),
      credit: fc.constantFrom(0, 1, 5, 1000),
      after: fc.constantFrom(0, 0, 0, 5),
    }),
  },
  { weight: 3, arbitrary: fc.record({ credit: fc.nat(6), of: which }) },
  { weight: 1, arbitrary: fc.record({ trim: fc.constantFrom(0, 400, 2000) }) },
  { weight: 1, arbitrary: fc.record({ cancel: which }) },
  { weight: 1, arbitrary: fc.record({ pass: fc.constantFrom(100, 700_000) }) },
);
type Operation = typeof operation extends fc.Arbitrary<infer T> ? T : never;

interface Reader {
  readonly handle: number;
  readonly pattern: RegExp;
  /** The first sequence that it asked for, and the first one that is not compacted. */
  readonly from: number;
  readonly whole: number;
  readonly got: number[];
  readonly missed: Set<number>;
  cancelled: boolean;
}

class Run {
  readonly world: World;
  readonly readers: Reader[] = [];
  /** What was sent, by sequence. */
  readonly #sent: string[] = [''];
  #writer!: FakeNativePeer;
  #reading!: FakeNativePeer;
  #handle = 0;

  constructor(store: Store) {
    this.world = new World(store);
  }

  async start(): Promise<void> {
    await this.world.start({ timeout: 86_400_000, 'outbox-messages-max': 3 });
    this.#writer = await FakeNativePeer.open(this.world, 'writer');
    this.#reading = await FakeNativePeer.open(this.world, 'reader');
    this.#handle = (await this.#writer.ask<{ handle: number }>('write', { stream: 's' })).handle;
  }

  async do(action: Operation): Promise<void> {
    if ('send' in action) this.#send(action.send);
    else if ('read' in action) await this.#read(action);
    else if ('trim' in action)
      await this.#writer.ask('stream.trim', { stream: 's', bytes: action.trim });
    else if ('pass' in action) await this.world.pass(action.pass);
    else await this.#let(action);
    await this.world.settle();
    this.#take();
  }

  #send(subjects: readonly string[]): void {
    this.#sent.push(...subjects);
    this.#writer.sendToStream(
      this.#handle,
      subjects.map((subject) => [subject, 'some body']),
    );
  }

  async #read({ read, credit, after }: Extract<Operation, { read: string }>): Promise<void> {
    const from = { compact: true, sequence: after };
    const call = this.#reading.call('read', { stream: 's', pattern: read, from, credit });
    await this.world.settle();
    const said = this.#reading.read();
    const result = only(said, 'RESULT').find((one) => one.call === call);
    const { handle, from: first, whole } = result?.value as Record<string, number>;
    this.readers.push({
      handle: handle!,
      pattern: new RegExp(read),
      from: first!,
      whole: whole!,
      got: [],
      missed: new Set(),
      cancelled: false,
    });
    this.#note(said);
  }

  async #let(action: { credit: number; of: number } | { cancel: number }): Promise<void> {
    const alive = this.readers.filter(({ cancelled }) => !cancelled);
    const reader = alive[('of' in action ? action.of : action.cancel) % Math.max(1, alive.length)];
    if (reader === undefined) return;
    const { handle } = reader;
    if ('credit' in action) {
      this.#reading.send({ name: 'CREDIT', handle, amount: action.credit });
      return;
    }
    reader.cancelled = true;
    this.#reading.call('cancel', { handle });
    await this.world.settle();
  }

  #take(): void {
    this.#note(this.#reading.read());
  }

  #note(said: ReturnType<FakeNativePeer['read']>): void {
    for (const { handle, sections } of only(said, 'STREAM DELIVER')) {
      const reader = this.readers.find((one) => one.handle === handle)!;
      for (const { sequence, subject } of messagesOf(sections)) {
        expect(this.#sent[sequence]).toBe(subject);
        reader.got.push(sequence);
      }
    }
    for (const { handle, first, last } of only(said, 'GAP')) {
      const { missed } = this.readers.find((one) => one.handle === handle)!;
      for (let sequence = first; sequence <= last; sequence++) missed.add(sequence);
    }
  }

  async finish(): Promise<void> {
    for (let quiet = 0; quiet < QUIET; quiet++) {
      for (const { handle, cancelled } of this.readers) {
        if (!cancelled) this.#reading.send({ name: 'CREDIT', handle, amount: 10_000 });
      }
      await this.world.settle();
      this.#take();
    }
    for (const reader of this.readers) this.#check(reader);
  }

  #check({ pattern, from, whole, got, missed, cancelled }: Reader): void {
    expect(got).toEqual([...new Set(got)].sort((a, b) => a - b));
    const matching = this.#sent.flatMap((subject, sequence) =>
      sequence > 0 && pattern.test(subject) ? [sequence] : [],
    );
    const lasts = new Map<string, number>();
    for (const at of matching) if (at < whole) lasts.set(this.#sent[at]!, at);
    const wanted = [
      ...[...lasts.values()].filter((at) => at >= from).sort((a, b) => a - b),
      ...matching.filter((at) => at >= whole),
    ];
    const expected = wanted.filter((at) => got.includes(at) || !missed.has(at));
    if (cancelled) expect(got).toEqual(expected.slice(0, got.length));
    else expect(got).toEqual(expected);
  }
}

const STORES: [name: string, store: () => Store][] = [
  ['in memory', () => new MemoryStore()],
  ['on a disk', () => new LateStore()],
];

it.each(STORES)('begin with what is the case now, then miss nothing, %s', async (_, store) => {
  const operations = fc.array(operation, { minLength: 10, maxLength: 60, size: 'max' });
  await fc.assert(
    fc.asyncProperty(operations, async (actions) => {
      const run = new Run(store());
      await run.start();
      try {
        for (const action of actions) await run.do(action);
        await run.finish();
      } finally {
        await run.world.stop();
      }
    }),
    { numRuns: 60 },
  );
});
