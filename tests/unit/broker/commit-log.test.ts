// The commit log by itself: what was appended is read again after any crash, and
// nothing else is. A crash is a copy of its files as they are at that moment,
// with whatever a write that was under way may have left behind the last record.
import fc from 'fast-check';
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CommitLog, readCommitLog } from '../../../broker/store/commit-log.js';
import {
  decodeGroup,
  encodeGroup,
  groupBytes,
  type Change,
} from '../../../broker/store/changes.js';
import { writeUInt64 } from '../../../protocol/records.js';
import { range } from '../../support/sessions.js';

const FILE_BYTES = 2000;
const HEADER_BYTES = 20;
let folder = '';
let paths: [string, string];
let logs: CommitLog[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'malamute-test-'));
  paths = [join(folder, 'log-1'), join(folder, 'log-2')];
});
afterEach(() => {
  for (const log of logs) log.close();
  logs = [];
  rmSync(folder, { recursive: true, force: true });
});

function open(last = 0): CommitLog {
  const log = new CommitLog(paths, last, FILE_BYTES);
  logs.push(log);
  return log;
}

const payload = (text: string, bytes = 100): Buffer => Buffer.alloc(bytes, text);
const numbersOf = (after: number): number[] =>
  readCommitLog(paths, after).map(({ number }) => number);

it('is empty where there are no files', () => {
  expect(readCommitLog(paths, 0)).toEqual([]);
  expect(readCommitLog(paths, 700)).toEqual([]);
});

it('has what was appended, as it was, and what the database has already is left out', async () => {
  const log = open();
  for (const n of range(1, 5)) await log.append(payload(`${n}`, n));
  expect(log.last).toBe(5);
  const found = readCommitLog(paths, 2);
  expect(found.map(({ number, payload: bytes }) => [number, bytes.toString()])).toEqual([
    [3, '333'],
    [4, '4444'],
    [5, '55555'],
  ]);
  expect(numbersOf(5)).toEqual([]);
});

it('goes on in the other file, and in the first again once the database has what was there', async () => {
  const log = open();
  const sent: number[] = [];
  for (let applied = 0; log.last < 60;) {
    if (!log.hasRoomFor(300)) {
      applied = log.last - 3;
      log.applied(applied);
    }
    expect(log.hasRoomFor(300)).toBe(true);
    await log.append(payload(String.fromCharCode(65 + log.last), 300));
    sent.push(log.last);
    expect(numbersOf(applied)).toEqual(sent.filter((number) => number > applied));
  }
  for (const path of paths) expect(readFileSync(path).length).toBeLessThanOrEqual(FILE_BYTES);
});

it('has no room for more than its files hold, and says so before it is asked to', async () => {
  const log = open();
  expect(log.hasRoomFor(FILE_BYTES)).toBe(false);
  while (log.hasRoomFor(900)) await log.append(payload('x', 900));
  expect(log.last).toBe(4);
  await expect(log.append(payload('x', 900))).rejects.toThrow('the commit log is full');
  expect(numbersOf(0)).toEqual([1, 2, 3, 4]);
  log.applied(4);
  expect(log.hasRoomFor(900)).toBe(true);
});

it('asks for the database before it is full', async () => {
  const log = open();
  await log.append(payload('x'));
  expect(log.isHalfFull).toBe(false);
  await log.append(payload('x', 1000));
  expect(log.isHalfFull).toBe(true);
  log.applied(2);
  expect(log.isHalfFull).toBe(false);
});

it('has what is being written while the database takes over what was there before', async () => {
  const log = open();
  for (const n of range(1, 3)) await log.append(payload(`${n}`, 50));
  const append = log.append(payload('4', 50));
  log.applied(3);
  await append;
  expect(numbersOf(3)).toEqual([4]);
  await log.append(payload('5', 50));
  expect(numbersOf(3)).toEqual([4, 5]);
  log.applied(5);
  await log.append(payload('6', 50));
  expect(numbersOf(5)).toEqual([6]);
});

it('that lacks what comes after the database is not taken for whole', async () => {
  const log = open(10);
  await log.append(payload('x'));
  expect(numbersOf(10)).toEqual([11]);
  expect(() => readCommitLog(paths, 3)).toThrow(
    'the commit log goes on with commit 11, and the database ends with 3',
  );
});

it('that is no log at all is empty', () => {
  writeFileSync(paths[0], Buffer.alloc(3000, 'no log'));
  writeFileSync(paths[1], Buffer.from([0x4d]));
  expect(readCommitLog(paths, 0)).toEqual([]);
});

it('is written over, record by record, once it is opened again; what is left of before does not count', async () => {
  const before = open();
  for (const n of range(1, 5)) await before.append(payload(`${n}`));
  const whole = readFileSync(paths[0]);
  const after = open(5);
  for (const n of range(6, 7)) await after.append(payload(`${n}`));
  const bytes = HEADER_BYTES + 100;
  expect(readFileSync(paths[0]).subarray(2 * bytes)).toEqual(whole.subarray(2 * bytes));
  expect(numbersOf(5)).toEqual([6, 7]);
});

it('takes nothing while a record may be there that it could not write, until the database is beyond it', async () => {
  // Takes nothing, whoever asks it; the other file would.
  symlinkSync('/dev/full', paths[0]);
  const log = open();
  await expect(log.append(payload('x'))).rejects.toThrow('ENOSPC');
  expect(log.hasRoomFor(1)).toBe(false);
  log.applied(0);
  expect(log.hasRoomFor(1)).toBe(false);
  // No record that counts will have its number.
  expect(log.last).toBe(1);
  log.applied(log.last);
  expect(log.hasRoomFor(1)).toBe(true);
});

it('cannot be made where there is no folder', () => {
  paths = [join(folder, 'none', 'log-1'), join(folder, 'none', 'log-2')];
  expect(() => open()).toThrow('ENOENT');
});

it('has all that was appended, and nothing else, whenever the machine dies', async () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant('append' as const), bytes: fc.integer({ min: 0, max: 700 }) }),
    fc.record({
      kind: fc.constant('applied' as const),
      behind: fc.integer({ min: 0, max: 4 }),
      /** True where that happens while something is written. */
      meanwhile: fc.boolean(),
    }),
    fc.record({
      kind: fc.constant('crash' as const),
      /** How much of the next record is there, and what of it is wrong. */
      written: fc.integer({ min: 0, max: 100 }),
      spoilt: fc.boolean(),
    }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      for (const path of paths) rmSync(path, { force: true });
      let log = open();
      let applied = 0;
      const commits = new Map<number, Buffer>();
      for (const each of steps) {
        if (each.kind === 'append') {
          if (!log.hasRoomFor(each.bytes)) {
            log.applied(log.last);
            applied = log.last;
          }
          const bytes = Buffer.alloc(each.bytes, commits.size);
          await log.append(bytes);
          commits.set(log.last, bytes);
        } else if (each.kind === 'applied') {
          applied = Math.max(applied, log.last - each.behind);
          const bytes = Buffer.alloc(30, `while ${log.last}`);
          const append = each.meanwhile && log.hasRoomFor(30) ? log.append(bytes) : undefined;
          log.applied(applied);
          await append;
          if (append !== undefined) commits.set(log.last, bytes);
        } else {
          const bytes = Buffer.alloc(80, `torn ${log.last}`);
          const isWhole = await tear(log, bytes, each.written, each.spoilt);
          if (isWhole) commits.set(log.last, bytes);
          const last = Math.max(...commits.keys(), applied);
          const found = readCommitLog(paths, applied);
          expect(found.map(({ number }) => number)).toEqual(range(applied + 1, last));
          for (const each of found) expect(each.payload).toEqual(commits.get(each.number));
          // The next start: the database takes over everything.
          log.close();
          logs.pop();
          applied = last;
          log = open(last);
        }
      }
      log.close();
      logs.pop();
    }),
    { numRuns: 60 },
  );
});

/**
 * The machine dies while a record is written: a part of it stands in the files.
 *
 * @returns true where that is all of it
 */
async function tear(
  log: CommitLog,
  bytes: Buffer,
  written: number,
  spoilt: boolean,
): Promise<boolean> {
  if (!log.hasRoomFor(bytes.length)) return false;
  const before = paths.map((path) => readFileSync(path));
  await log.append(bytes);
  const head = Buffer.alloc(12);
  head.writeUInt32BE(bytes.length, 0);
  writeUInt64(head, log.last, 4);
  for (const [at, path] of paths.entries()) {
    const now = readFileSync(path);
    const found = now.indexOf(head);
    if (found === -1) continue;
    const [start, end] = [found - 4, found - 4 + HEADER_BYTES + bytes.length];
    const part = Buffer.from(now.subarray(0, Math.min(start + written, end)));
    if (spoilt && written > 0) part[start] = (part[start] ?? 0) ^ 0xff;
    const torn = Buffer.concat([part, (before[at] ?? Buffer.alloc(0)).subarray(part.length)]);
    writeFileSync(path, torn);
    return torn.subarray(start, end).equals(now.subarray(start, end));
  }
  throw new Error('what was appended is nowhere');
}

describe('a group of changes', () => {
  const change = fc.record({
    table: fc.constantFrom(
      'logs' as const,
      'streams' as const,
      'kept' as const,
      'documents' as const,
    ),
    key: fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
    value: fc.option(
      fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
      { nil: undefined },
    ),
  });

  it('is itself again', () => {
    fc.assert(
      fc.property(fc.array(change), (changes: Change[]) => {
        const group = encodeGroup(changes, groupBytes(changes));
        expect(decodeGroup(group.bytes)).toEqual(changes);
        expect(group.changes).toEqual(changes);
      }),
    );
  });

  it('that is spoilt is a RangeError, or other changes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        try {
          decodeGroup(Buffer.from(bytes));
        } catch (error) {
          // Jest's own RangeError is another one than that of Node's buffers.
          expect((error as Error).name).toBe('RangeError');
        }
      }),
    );
  });
});
