// The index of subjects: what it knows while it reads the log and afterwards,
// and how much of it at most.
import { BlockReader, BlockWriter, compilePattern, type Block } from '../../../protocol/index.js';
import { CompactStart } from '../../../broker/streams/compact-start.js';
import { SubjectIndex, type IndexedLog } from '../../../broker/streams/subject-index.js';
import { LoneStreams } from '../../support/streams.js';
import { range } from '../../support/sessions.js';
import { until } from '../../support/until.js';

/** A log of blocks that a test writes. */
class Log implements IndexedLog {
  lastSequence = 0;
  /** How often it was read. */
  reads = 0;
  readonly #blocks: Block[] = [];

  append(...subjects: string[]): Block {
    const writer = new BlockWriter(1024);
    for (const subject of subjects) writer.append(++this.lastSequence, 1, 'w', subject, []);
    const block = writer.take()[0]!;
    this.#blocks.push(block);
    return block;
  }

  /** Blocks of two messages each. */
  appendMany(blocks: number, subjectOf: (n: number) => string): void {
    for (const n of range(1, blocks)) this.append(subjectOf(2 * n), subjectOf(2 * n + 1));
  }

  readBlock(sequence: number): Block | undefined {
    this.reads++;
    return this.#blocks.find(({ last }) => last >= sequence);
  }
}

/** What an index knows, by rising sequence. */
function known(index: SubjectIndex): [string, number][] {
  const entries: [string, number][] = [];
  const each = index.entries();
  for (let next = each.next(); next.done !== true; next = each.next()) entries.push(next.value);
  return entries.sort(([, a], [, b]) => a - b);
}

/** What an index should know of a log. */
function lastsOf(log: Log): [string, number][] {
  const lasts = new Map<string, number>();
  for (let at = 1; at <= log.lastSequence;) {
    const block = log.readBlock(at)!;
    const messages = new BlockReader(block.bytes);
    while (messages.next()) {
      lasts.delete(messages.subject);
      lasts.set(messages.subject, messages.sequence);
    }
    at = block.last + 1;
  }
  return [...lasts];
}

it('knows the last message of each subject, in order', () => {
  const log = new Log();
  log.append('a', 'b', 'a');
  log.append('c', 'b');
  const index = new SubjectIndex(log);
  let told = 0;
  index.whenComplete(() => told++);
  expect(told).toBe(1);
  expect(known(index)).toEqual([
    ['a', 3],
    ['c', 4],
    ['b', 5],
  ]);
  index.note(log.append('a', 'd', 'd'));
  expect(known(index)).toEqual(lastsOf(log));
  expect(['a', 'd', 'x'].map((subject) => index.lastOf(subject))).toEqual([6, 8, undefined]);
});

it('reads a long log in slices, and misses nothing that comes meanwhile', async () => {
  const log = new Log();
  log.appendMany(100, (n) => `s${n % 70}`);
  const index = new SubjectIndex(log);
  let told = 0;
  index.whenComplete(() => told++);
  index.whenComplete(() => told++);
  const readsOf: number[] = [];
  for (let n = 0; told === 0; n++) {
    readsOf.push(log.reads);
    index.note(log.append(`s${n % 7}`, `new${n}`));
    await new Promise(setImmediate);
  }
  expect(told).toBe(2);
  expect(readsOf.length).toBeGreaterThan(4);
  for (const [at, reads] of readsOf.entries()) {
    expect(reads - (readsOf[at - 1] ?? 0)).toBeLessThanOrEqual(16);
  }
  expect(known(index)).toEqual(lastsOf(log));
});

it('forgets the subjects that did not change for the longest time, some at once', () => {
  const log = new Log();
  log.appendMany(10, (n) => `old${n}`);
  const index = new SubjectIndex(log, 80);
  index.whenComplete(() => undefined);
  for (const n of range(1, 500)) {
    index.note(log.append('busy', `s${n}`));
    expect(index.size).toBeLessThanOrEqual(91);
  }
  expect(index.size).toBeGreaterThanOrEqual(80);
  const all = lastsOf(log);
  expect(known(index)).toEqual(all.slice(-index.size));
});

it('that is stopped reads no more', async () => {
  const log = new Log();
  log.appendMany(100, (n) => `s${n}`);
  const index = new SubjectIndex(log);
  let told = 0;
  index.whenComplete(() => told++);
  index.stop();
  const { reads } = log;
  for (let turn = 0; turn < 10; turn++) await new Promise(setImmediate);
  expect([told, log.reads]).toEqual([0, reads]);
});

describe('a compact start', () => {
  /** Streams with `s`, which has so many subjects. */
  async function streamWith(subjects: number) {
    const lone = new LoneStreams();
    const session = lone.session('w');
    lone.streams.write(session, 's');
    for (const n of range(1, subjects)) lone.streams.send(session, `s/${n}`, []);
    lone.storage.commit();
    await lone.storage.settled();
    return lone.streams.get('s')!;
  }

  it('with an exact pattern looks one subject up', async () => {
    const stream = await streamWith(3000);
    const index = new SubjectIndex(stream);
    await new Promise<void>((resolve) => index.whenComplete(resolve));
    let known = 0;
    const start = new CompactStart({
      stream,
      index,
      pattern: compilePattern('^s/2999$'),
      from: 1,
      upTo: 3000,
      known: () => known++,
    });
    start.begin();
    // To look at all subjects would have taken more than one slice.
    expect([start.isKnown, known]).toEqual([true, 1]);
    const { bytes, count } = start.take(10, undefined);
    const messages = new BlockReader(bytes);
    messages.next();
    expect([count, messages.subject, messages.sequence]).toEqual([1, 's/2999', 2999]);
    expect(start.isOver).toBe(true);
  });

  it('with any other pattern looks at a slice of the subjects at a time, until it is stopped', async () => {
    const stream = await streamWith(5000);
    const index = new SubjectIndex(stream);
    const pattern = compilePattern('^s/.*7$');
    const starts = [0, 0].map((_, at) => {
      const start = new CompactStart({
        stream,
        index,
        pattern,
        from: 1000,
        upTo: 4000,
        known: () => known.push(at),
      });
      return start;
    });
    const known: number[] = [];
    for (const start of starts) start.begin();
    expect(known).toEqual([]);
    starts[0]!.stop();
    await until(() => known.length > 0);
    expect(known).toEqual([1]);
    let count = 0;
    while (!starts[1]!.isOver) count += starts[1]!.take(7, undefined).count;
    expect(count).toBe(300);
  });
});
