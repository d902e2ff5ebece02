import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseFile, logPathsOf } from '../../../broker/store/database-file.js';

/** More than any disk has. */
const HUGE = 2 ** 62;
let folder = '';
let path = '';
let file: DatabaseFile;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'malamute-test-'));
  path = join(folder, 'fsync.mdb');
  writeFileSync(path, 'x');
  file = new DatabaseFile(path);
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const check =
  (bytes: number, removes = false) =>
  () =>
    file.checkFor(bytes, removes);

it('may be written to, as long as nobody knows better', () => {
  expect(check(HUGE)).not.toThrow();
});

it('is not tried with what a full disk did not take, but with less, and with what makes room', () => {
  file.didNotTake(HUGE);
  file.didNotTake(2 * HUGE);
  expect(check(HUGE)).toThrow('the disk is full, or fails');
  expect(check(HUGE, true)).not.toThrow();
  expect(check(HUGE - 1024)).not.toThrow();
  file.didNotTake(1);
  expect(check(HUGE - 1024)).toThrow('the disk is full');
  // There is room for that.
  expect(check(1)).not.toThrow();
  file.took();
  expect(check(HUGE)).not.toThrow();
});

it('that is gone, or another one, is named', () => {
  writeFileSync(join(folder, 'other'), 'x');
  renameSync(join(folder, 'other'), path);
  expect(check(1, true)).toThrow(`${path} was removed or replaced`);
  rmSync(folder, { recursive: true });
  expect(check(1)).toThrow('start the broker again');
});

it('lacks what lay beside it, once that was looked for, and until it is there again', () => {
  const [log, other] = logPathsOf(path);
  for (const each of [log, other]) writeFileSync(each, 'x');
  file = new DatabaseFile(path, [log, other]);
  file.lookBeside();
  expect(check(1)).not.toThrow();
  renameSync(other, join(folder, 'away'));
  file.lookBeside();
  expect(check(1)).toThrow(`${other} was removed or replaced`);
  renameSync(join(folder, 'away'), other);
  expect(check(1)).not.toThrow();
});
