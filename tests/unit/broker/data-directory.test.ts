import { jest } from '@jest/globals';
import {
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DataDirectory, DataDirectoryError, FORMAT } from '../../../broker/store/data-directory.js';
import { DirectoryLock } from '../../../broker/store/directory-lock.js';

let folder = '';
const taken = new Set<{ release(): Promise<void> }>();

beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'malamute-test-')));
});
afterEach(async () => {
  for (const one of taken) await one.release();
  taken.clear();
  rmSync(folder, { recursive: true, force: true });
});

async function take(path: string): Promise<DataDirectory> {
  const directory = await DataDirectory.take(path);
  taken.add(directory);
  return directory;
}

async function takeLock(): Promise<DirectoryLock | undefined> {
  const lock = await DirectoryLock.take(folder);
  if (lock !== undefined) taken.add(lock);
  return lock;
}

async function giveBack(one: { release(): Promise<void> }): Promise<void> {
  taken.delete(one);
  await one.release();
}

const locks = (): string[] => readdirSync(folder).filter((name) => name.includes('.lock'));

describe('a data directory', () => {
  it('is made with the folders that lead to it, and says its format', async () => {
    const path = join(folder, 'a', 'b', 'data');
    const { path: made } = await take(path);
    expect(made).toBe(path);
    expect(JSON.parse(readFileSync(join(path, 'malamute.json'), 'utf8'))).toEqual({
      format: FORMAT,
    });
  });

  it.each(['/proc/nothing/here', '/dev/null/data', '/sys/data'])(
    'that cannot be made is named with what to do: %s',
    async (path) => {
      const error = await take(path).catch((reason: unknown) => reason);
      expect(error).toBeInstanceOf(DataDirectoryError);
      const { message } = error as Error;
      expect(message).toContain(`cannot make the data directory ${path}: E`);
      expect(message).toContain('choose another directory (--data, MLM_DATA)');
    },
  );

  it('is no file, and no link to nowhere', async () => {
    const path = join(folder, 'data');
    writeFileSync(path, '');
    await expect(take(path)).rejects.toThrow(
      `cannot make the data directory ${path}: it is not a directory`,
    );
    const link = join(folder, 'link');
    symlinkSync(join(folder, 'nowhere'), link);
    await expect(take(link)).rejects.toThrow(`cannot make the data directory ${link}: ENOENT`);
  });

  it('is one, by whatever name', async () => {
    const path = join(folder, 'data');
    const { path: made } = await take(path);
    symlinkSync(path, join(folder, 'link'));
    await expect(take(join(folder, 'link'))).rejects.toThrow(`${made} is in use by another broker`);
  });

  it('may lie deeper than a socket may', async () => {
    const path = join(folder, ...Array.from({ length: 12 }, () => 'a-long-name-of-a-folder'));
    const first = await take(path);
    await expect(take(path)).rejects.toThrow('in use by another broker');
    await giveBack(first);
    await take(path);
  });

  it('is taken though one who took it before was cut off while it wrote', async () => {
    const path = join(folder, 'data');
    mkdirSync(path);
    writeFileSync(join(path, 'malamute.json.new'), '{"for');
    await take(path);
    expect(readFileSync(join(path, 'malamute.json'), 'utf8')).toContain('format');
  });
});

describe('the lock', () => {
  it('is given to one, and to the next once that one gave it back', async () => {
    const first = await takeLock();
    expect(first).toBeDefined();
    expect(await takeLock()).toBeUndefined();
    expect(await takeLock()).toBeUndefined();
    await giveBack(first!);
    expect(locks()).toEqual([]);
    expect(await takeLock()).toBeDefined();
  });

  it('is given to exactly one of many who ask at the same moment', async () => {
    for (let round = 0; round < 20; round++) {
      const all = await Promise.all(Array.from({ length: 6 }, takeLock));
      const holders = all.filter((lock) => lock !== undefined);
      expect(holders).toHaveLength(1);
      expect(locks()).toHaveLength(1);
      await giveBack(holders[0]!);
    }
  });

  /** A socket that was bound and left: nobody listens there any more. */
  async function makeDead(): Promise<string> {
    const dead = join(folder, 'broker-0123456789abcdef.lock');
    const server = createServer();
    const alive = join(folder, 'other');
    await new Promise<void>((done) => server.listen(alive, done));
    linkSync(alive, dead);
    await new Promise<void>((done) => server.close(() => done()));
    return dead;
  }

  it('of a process that is dead is taken over, and its socket removed', async () => {
    const dead = await makeDead();
    expect(existsSync(dead)).toBe(true);
    expect(await takeLock()).toBeDefined();
    expect(existsSync(dead)).toBe(false);
  });

  it('is taken over as well where the one who asks stands still for a while', async () => {
    const dead = await makeDead();
    jest.useFakeTimers({ doNotFake: ['nextTick', 'setImmediate', 'queueMicrotask'] });
    try {
      const taking = takeLock();
      while (jest.getTimerCount() === 0) await new Promise<void>((done) => process.nextTick(done));
      // It has asked, and no turn of the event loop has passed since: nothing was read.
      jest.advanceTimersByTime(3000);
      expect(await taking).toBeDefined();
    } finally {
      jest.useRealTimers();
    }
    expect(existsSync(dead)).toBe(false);
  });

  it('is left to one who lives and does not speak', async () => {
    const server = createServer();
    await new Promise<void>((done) => server.listen(join(folder, 'broker-0.lock'), done));
    expect(await takeLock()).toBeUndefined();
    server.close();
    expect(locks()).toEqual([]);
  });
});
