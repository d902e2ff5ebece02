// The writer by itself, on a real database and a real commit log, whose files are
// small: when the database takes over what the log has, and what happens where it
// cannot. Only the beginning of its transactions is in the hands of the test.
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger } from '../../../broker/log.js';
import type { Change } from '../../../broker/store/changes.js';
import { CommitLog } from '../../../broker/store/commit-log.js';
import { DatabaseFile, logPathsOf } from '../../../broker/store/database-file.js';
import { appliedOf, LmdbWriter, tablesOf, type Tables } from '../../../broker/store/lmdb-writer.js';
import { openDatabase, type OpenDatabase } from '../../../broker/store/open-database.js';

/** So small that the log is half full with two commits. */
const FILE_BYTES = 400;
let folder = '';
let file = '';
let database: OpenDatabase;
let tables: Tables;
let log: CommitLog;
let writer: LmdbWriter;
/** Why transactions fail; empty where they do not. */
let failure: string;
/** What the writer was told to explain. */
let explained: unknown[];
let logged: [level: string, message: string, fields: unknown][];
/** Ends the transactions that have begun. */
let open: () => void;
let opened: Promise<void>;
/** Up to which commit the database went, each time that it was written to. */
let written: number[];
let tell: () => void;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'malamute-test-'));
  file = join(folder, 'store.mdb');
  database = openDatabase(file, { flush: true });
  tables = tablesOf(database.root);
  [written, explained, logged, failure] = [[], [], [], ''];
  tell = () => undefined;
  opened = new Promise((resolve) => (open = resolve));
  log = new CommitLog(logPathsOf(file), 0, FILE_BYTES);
  writer = writerWith(log);
});
afterEach(async () => {
  open();
  await writer.close();
  await database.root.close();
  rmSync(folder, { recursive: true, force: true });
});

function writerWith(given: CommitLog): LmdbWriter {
  const { root, whyFailed } = database;
  return new LmdbWriter({
    file: new DatabaseFile(file, logPathsOf(file)),
    root: {
      batch: async (action) => {
        await opened;
        if (failure !== '') throw new Error(failure);
        return root.batch(action);
      },
    },
    tables,
    whyFailed: (error) => {
      explained.push(error);
      return whyFailed(error);
    },
    log: given,
    logger: {
      ...silentLogger,
      error: (message, fields) => void logged.push(['error', message, fields]),
      info: (message, fields) => void logged.push(['info', message, fields]),
    },
    written: (commit) => {
      written.push(commit);
      root.resetReadTxn();
      tell();
    },
  });
}

const put = (name: string, bytes = 150): Change[] => [
  { table: 'documents', key: Buffer.from(name), value: Buffer.alloc(bytes, name) },
];
const isIn = (name: string): boolean => tables.documents.get(Buffer.from(name)) !== undefined;

async function untilWritten(commit: number): Promise<void> {
  while (written.at(-1) !== commit) await new Promise<void>((resolve) => (tell = resolve));
}

it('has the database take over what was logged while it wrote, though nothing follows', async () => {
  await writer.commit(put('a'));
  await writer.commit(put('b'));
  // The database has begun to take over, and the log is half full again.
  await writer.commit(put('c'));
  expect(log.isHalfFull).toBe(true);
  open();
  await untilWritten(3);
  expect(['a', 'b', 'c'].map(isIn)).toEqual([true, true, true]);
  expect(writer.waiting('documents', Buffer.from('c'))).toBeUndefined();
  expect(log.isHalfFull).toBe(false);
});

it('says once that the database takes over nothing, with the reason, and once that it does again', async () => {
  open();
  for (const episode of [1, 2]) {
    failure = `no room ${episode}`;
    explained.length = 0;
    // Each of these has it tried, once the log is half full.
    while (explained.length < 2) {
      await writer.commit(put('a', 10));
      await new Promise(setImmediate);
    }
    failure = '';
    await writer.commit(put('b', 300 * 1024));
    expect(isIn('a') && isIn('b')).toBe(true);
    expect(logged).toEqual([
      [
        'error',
        'the database does not take over what the commit log holds: it is tried again every second',
        { why: `no room ${episode}` },
      ],
      [
        'info',
        'the database takes over what the commit log holds again',
        { failedTimes: explained.length },
      ],
    ]);
    logged.length = 0;
  }
});

it('leaves no failure unexplained, which a later one would be explained with', async () => {
  open();
  await writer.commit(put('a'));
  failure = 'no room';
  const remove: Change = { table: 'documents', key: Buffer.from('a'), value: undefined };
  // What is removed is tried by itself, when all together failed.
  await expect(writer.commit([remove, ...put('large', 300 * 1024)])).rejects.toThrow('no room');
  expect(explained).toHaveLength(2);
  failure = '';
});

it('has the database say that it is beyond what the log could not write, and may hold', async () => {
  open();
  symlinkSync('/dev/full', join(folder, 'full'));
  const broken = writerWith(new CommitLog([join(folder, 'full'), join(folder, 'other')], 0));
  for (const commit of [1, 2]) {
    expect(await broken.commit(put(`n${commit}`))).toBeUndefined();
    expect(isIn(`n${commit}`)).toBe(true);
    expect(appliedOf(tables)).toBe(commit);
  }
  await broken.close();
});

it('refuses commits once a file of the log is gone; the database has what was in it', async () => {
  open();
  await writer.commit(put('a'));
  const [gone] = logPathsOf(file);
  rmSync(gone);
  await writer.commit(put('b'));
  await untilWritten(2);
  expect(isIn('a') && isIn('b')).toBe(true);
  for (const bytes of [10, 300 * 1024]) {
    await expect(writer.commit(put('c', bytes))).rejects.toThrow(`${gone} was removed or replaced`);
  }
});
