// Streams against a simple model: whatever their readers do, each gets every
// message that was sent while it read the stream and that it asked for, once
// and in order, as far as the log reaches back; what it missed is counted.
import fc from 'fast-check';
import { decode } from '../../protocol/index.js';
import { MemoryStore } from '../../broker/store/memory.js';
import type { Store } from '../../broker/store/store.js';
import { World } from '../support/broker-world.js';
import type { FakePeer } from '../support/fake-transport.js';
import { LateStore } from '../support/late-store.js';
import { cancel, CLOSE, credit, open, read, send, write } from '../support/v1-commands.js';

const STREAMS = ['s', 't'];
const SUBJECTS = ['a', 'b', 'ab', 'c'];
const PATTERNS = ['a', '^b', 'c$', ''];

const client = fc.nat(100);
const stream = fc.constantFrom(...STREAMS);
const operation = fc.oneof(
  { weight: 2, arbitrary: fc.record({ open: fc.constantFrom('r1', 'r2', 'r3', '') }) },
  { weight: 1, arbitrary: fc.record({ close: client }) },
  { weight: 1, arbitrary: fc.record({ vanish: client }) },
  { weight: 3, arbitrary: fc.record({ pipe: fc.constantFrom(0, 1, 4, Infinity), of: client }) },
  { weight: 3, arbitrary: fc.record({ take: fc.nat(20), of: client }) },
  {
    weight: 4,
    arbitrary: fc.record({ read: stream, pattern: fc.constantFrom(...PATTERNS), of: client }),
  },
  { weight: 1, arbitrary: fc.record({ cancel: stream, of: client }) },
  { weight: 1, arbitrary: fc.record({ credit: fc.nat(10), of: client }) },
  { weight: 2, arbitrary: fc.record({ write: stream, of: client }) },
  {
    weight: 8,
    arbitrary: fc.record({
      send: fc.array(fc.constantFrom(...SUBJECTS), { minLength: 1, maxLength: 40 }),
      by: client,
    }),
  },
  { weight: 3, arbitrary: fc.record({ pass: fc.constantFrom(1, 10, 70) }) },
);
type Operation = typeof operation extends fc.Arbitrary<infer T> ? T : never;

/** What one client is to get of one stream since it began to read it. */
interface Reading {
  readonly patterns: Set<string>;
  /** The last message that was sent before. */
  readonly since: number;
  /** Numbers of the messages that it asked for, in order. */
  readonly wanted: number[];
  /** Those of them that its socket took, in order. */
  readonly got: number[];
}

interface Client {
  readonly peer: FakePeer;
  readonly address: string;
  alive: boolean;
  writes: string | undefined;
  readonly readings: Map<string, Reading>;
  /** Readings that it has ended: what was queued of them may still come. */
  readonly cancelled: Set<string>;
}

class Run {
  readonly world: World;
  readonly clients: Client[] = [];
  readonly #faults: string[] = [];
  #sendings = 0;
  readonly #writers = new Map<number, Client>();
  readonly #body: Buffer;

  constructor(bodyBytes: number, store: Store) {
    this.world = new World(store);
    this.#body = Buffer.alloc(bodyBytes);
  }

  async start(outboxMessages: number, streamBytes: number): Promise<void> {
    const { world } = this;
    await world.start({
      timeout: 86_400_000,
      'outbox-messages-max': outboxMessages,
      'stream-bytes-max': streamBytes,
    });
    world.network.onTaken = (peer, frames) => this.#taken(peer, frames);
  }

  async do(action: Operation): Promise<void> {
    if ('open' in action) this.#open(action.open);
    else if ('pass' in action) this.world.clock.advance(action.pass);
    else if ('send' in action) this.#send(this.#chosen(action.by), action.send);
    else this.#let(this.#chosen('of' in action ? action.of : 0), action);
    await this.world.settle();
    expect(this.#faults).toEqual([]);
  }

  #chosen(which: number): Client | undefined {
    const alive = this.clients.filter((one) => one.alive);
    return alive[which % Math.max(1, alive.length)];
  }

  #open(address: string): void {
    if (address !== '')
      for (const other of this.clients) if (other.address === address) other.alive = false;
    const peer = this.world.network.connect();
    this.clients.push({
      peer,
      address,
      alive: true,
      writes: undefined,
      readings: new Map(),
      cancelled: new Set(),
    });
    peer.send(open(address));
  }

  #let(
    one: Client | undefined,
    action: Exclude<Operation, { open: string } | { pass: number }>,
  ): void {
    if (one === undefined) return;
    const { peer } = one;
    if ('close' in action) {
      one.alive = false;
      peer.send(CLOSE);
    } else if ('vanish' in action) {
      one.alive = false;
      peer.vanish();
    } else if ('pipe' in action) peer.pipeMessages = action.pipe;
    else if ('take' in action) peer.read(action.take);
    else if ('credit' in action) peer.send(credit(action.credit));
    else if ('write' in action) {
      one.writes = action.write;
      peer.send(write(action.write));
    } else if ('cancel' in action) {
      if (one.readings.delete(action.cancel)) one.cancelled.add(action.cancel);
      peer.send(cancel(action.cancel));
    } else if ('read' in action) this.#read(one, action.read, action.pattern);
  }

  #read(one: Client, name: string, pattern: string): void {
    // After a cancel, one cannot tell what was queued before from what comes now.
    if (one.cancelled.has(name)) return;
    let reading = one.readings.get(name);
    if (reading === undefined) {
      reading = { patterns: new Set(), since: this.#sendings, wanted: [], got: [] };
      one.readings.set(name, reading);
    }
    reading.patterns.add(pattern);
    one.peer.send(read(name, pattern));
  }

  #send(one: Client | undefined, subjects: readonly string[]): void {
    if (one?.writes === undefined) return;
    for (const subject of subjects) {
      const number = ++this.#sendings;
      this.#writers.set(number, one);
      for (const other of this.clients) {
        const reading = other.readings.get(one.writes);
        if (reading === undefined || other === one || !other.alive) continue;
        const wanted = [...reading.patterns].some((pattern) => new RegExp(pattern).test(subject));
        if (wanted) reading.wanted.push(number);
      }
      one.peer.send(send(subject, Buffer.from(String(number)), this.#body));
    }
  }

  #taken(peer: FakePeer, frames: Buffer[]): void {
    const command = decode(frames);
    if (command.name !== 'STREAM DELIVER') return;
    const one = this.clients.find((other) => other.peer === peer);
    const number = Number(command.content[0]?.toString());
    if (one?.cancelled.has(command.address) === true) return;
    const reading = one?.readings.get(command.address);
    const last = reading?.got.at(-1) ?? reading?.since ?? Infinity;
    if (number <= last) this.#faults.push(`${number} after ${last}`);
    // A pattern that is added while the reader is behind holds for what it has still to read.
    const patterns = [...(reading?.patterns ?? [])];
    if (!patterns.some((pattern) => new RegExp(pattern).test(command.subject))) {
      this.#faults.push(`${number} was not asked for`);
    }
    if (this.#writers.get(number) === one) this.#faults.push(`${number} to its own writer`);
    reading?.got.push(number);
  }

  /** All readers take what there is; then each must have got what it wanted, but for counted gaps. */
  async finish(): Promise<void> {
    const { world, clients } = this;
    for (const { peer } of clients) {
      peer.pipeMessages = Infinity;
      for (let n = 0; n < 3; n++) peer.send(credit(0xffff));
    }
    for (let turn = 0; turn < 10; turn++) await world.pass(70);
    expect(this.#faults).toEqual([]);
    let missed = 0;
    for (const { alive, readings } of clients) {
      for (const { wanted, got } of readings.values()) {
        if (!alive) continue;
        const gotten = new Set(got);
        missed += wanted.filter((number) => !gotten.has(number)).length;
      }
    }
    // The gap counts what was in the log, wanted or not, and of readers that have gone too.
    expect(missed).toBeLessThanOrEqual(world.broker.counters.streamGaps);
    const behind = await world.view<{ behind: number }[]>('streams');
    expect(behind.filter((row) => row.behind > 0)).toEqual([]);
    for (const one of clients) if (one.alive) one.peer.send(CLOSE);
    await world.settle();
  }
}

/** Plays random histories. @returns the messages that readers missed in all of them */
async function play(
  options: { streamBytes: number; bodyBytes: number; numRuns: number; store: () => Store },
  beginning: readonly Operation[] = [],
): Promise<number> {
  const outboxMessages = fc.constantFrom(1, 3, 10);
  const operations = fc.array(operation, { minLength: 20, maxLength: 100, size: 'max' });
  let gaps = 0;
  await fc.assert(
    fc.asyncProperty(operations, outboxMessages, async (actions, outbox) => {
      const run = new Run(options.bodyBytes, options.store());
      await run.start(outbox, options.streamBytes);
      try {
        for (const action of [...beginning, ...actions]) await run.do(action);
        await run.finish();
        gaps += run.world.broker.counters.streamGaps;
      } finally {
        await run.world.stop();
      }
    }),
    { numRuns: options.numRuns },
  );
  return gaps;
}

const STORES: [name: string, store: () => Store][] = [
  ['in memory', () => new MemoryStore()],
  ['on a disk', () => new LateStore()],
];

it.each(STORES)(
  'every reader gets everything it asked for, once and in order, %s',
  async (_, store) => {
    const streamBytes = 64 * 1024 * 1024;
    expect(await play({ streamBytes, bodyBytes: 10, numRuns: 70, store })).toBe(0);
  },
);

it.each(STORES)('past the retention, what a reader misses is counted, %s', async (_, store) => {
  const many = new Array<string>(40).fill('a');
  const missing: Operation[] = [
    { open: 'r1' },
    { read: 's', pattern: '', of: 0 },
    { pipe: 0, of: 0 },
    { open: 'r2' },
    { write: 's', of: 1 },
    { send: many, by: 1 },
    { send: many, by: 1 },
    { pipe: Infinity, of: 0 },
    { pass: 70 },
  ];
  const gaps = await play(
    { streamBytes: 64 * 1024, bodyBytes: 30_000, numRuns: 20, store },
    missing,
  );
  expect(gaps).toBeGreaterThan(0);
});
