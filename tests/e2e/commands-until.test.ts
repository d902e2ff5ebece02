// Where the reading of a stream ends by itself, over real sockets and a broker in
// this process: whatever retention, patterns, cursors and restarts do, the
// reading ends when nothing up to its end can come any more, and never before.
import type { MlmClient, ReadOptions, StreamReader } from '../../client/index.js';
import type { Until } from '../../client/commands/shared/place.js';
import { StreamEnd } from '../../client/commands/shared/stream-end.js';
import { StreamLists } from '../../client/commands/shared/stream-lists.js';
import { failureOf, next, range, World } from '../support/sessions.js';
import { until } from '../support/until.js';

const world = new World();
afterEach(() => world.close());

let broker: Awaited<ReturnType<World['broker']>>;
let client: MlmClient;
let writer: MlmClient;
beforeEach(async () => {
  broker = await world.broker();
  [client, writer] = [await world.client(), await world.client()];
});

/** Sends messages, with subjects `odd` and `even`. */
async function send(count: number): Promise<void> {
  const { lastSequence } = await client.streamInfo('s').catch(() => ({ lastSequence: 0 }));
  for (let n = lastSequence + 1; n <= lastSequence + count; n++) {
    await writer.stream('s').send(n % 2 === 0 ? 'even' : 'odd', n);
  }
}

interface Reading {
  readonly seen: number[];
  readonly over: Promise<void>;
  readonly reader: StreamReader;
}

/** Begins to read up to an end; `over` resolves when it has ended. `hold` holds it after the first list. */
async function begin(
  until: Until,
  options: ReadOptions = {},
  { stop = new AbortController(), hold = Promise.resolve() } = {},
): Promise<Reading> {
  const { pattern = '', cursor, ...rest } = options;
  const end = await StreamEnd.find(client, 's', until);
  const reader = client.stream('s').read({
    ...rest,
    cursor,
    own: true,
    confirm: 'manual',
    onGap: () => lists.look(),
  });
  const hasCursor = cursor !== undefined;
  const lists = new StreamLists({ reader, end, pattern, hasCursor, stop: stop.signal });
  const seen: number[] = [];
  const over = (async () => {
    try {
      for await (const list of lists) {
        seen.push(...list.map(({ sequence = 0 }) => sequence));
        await hold;
      }
    } finally {
      end.close();
    }
  })();
  over.catch(() => undefined);
  return { seen, over, reader };
}

function holder(): { readonly promise: Promise<void>; readonly release: () => void } {
  let release = (): void => undefined;
  const promise = new Promise<void>((resolve) => (release = resolve));
  return { promise, release: () => release() };
}

/** Everything that is read. */
async function read(until: Until, options?: ReadOptions): Promise<number[]> {
  const { seen, over } = await begin(until, options);
  await over;
  return seen;
}

it('ends with what the stream held, whatever its subjects are', async () => {
  await send(5);
  expect(await read('now', { from: 'earliest' })).toEqual([1, 2, 3, 4, 5]);
  expect(await read('now', { from: 'earliest', pattern: 'even' })).toEqual([2, 4]);
  expect(await read('now', { from: 'earliest', pattern: 'none' })).toEqual([]);
  expect(await read('now', { from: { last: 2 }, pattern: 'even' })).toEqual([4]);
});

it('ends with the last message of each subject', async () => {
  await send(5);
  const from = 'compact';
  expect(await read('now', { from })).toEqual([4, 5]);
  expect(await read('now', { from, pattern: 'even' })).toEqual([4]);
  expect(await read({ sequence: 4 }, { from })).toEqual([4]);
  await client.trimStream('s', 0);
  expect(await read('now', { from })).toEqual([]);
});

it('ends at once where nothing up to there is to be read', async () => {
  await send(3);
  expect(await read('now')).toEqual([]);
  expect(await read({ sequence: 2 }, { from: { timeMs: Date.now() + 1000 } })).toEqual([]);
  await client.trimStream('s', 0);
  expect(await read('now', { from: 'earliest' })).toEqual([]);
});

it('ends at a sequence, the one of a message that matches or not', async () => {
  await send(6);
  expect(await read({ sequence: 4 }, { from: 'earliest', pattern: 'odd' })).toEqual([1, 3]);
  expect(await read({ sequence: 4 }, { from: 'earliest', pattern: 'even' })).toEqual([2, 4]);
  const later = await begin({ sequence: 8 }, { from: { sequence: 6 } });
  await until(() => later.seen.length === 1);
  await send(5);
  await later.over;
  expect(later.seen).toEqual([6, 7, 8]);
});

it('ends where retention took what was to come', async () => {
  await send(3);
  await client.trimStream('s', 0);
  expect(await read('now', { from: { sequence: 1 } })).toEqual([]);
  await send(3);
  expect(await read({ sequence: 5 }, { from: { sequence: 2 } })).toEqual([4, 5]);
  expect(await read({ sequence: 3 }, { from: { sequence: 1 } })).toEqual([]);
});

it('ends where a gap comes to a reader that had begun', async () => {
  await send(10);
  const hold = holder();
  const options = { from: 'earliest', credit: 1, cursor: 'c' } as const;
  const { seen, over } = await begin('now', options, { hold: hold.promise });
  await until(() => seen.length === 1);
  await client.trimStream('s', 0);
  hold.release();
  await over;
  // One more may have been on its way.
  expect(seen.length).toBeLessThan(4);
});

it('ends at a time, past or to come', async () => {
  await send(2);
  const betweenMs = Date.now() + 1;
  await until(() => Date.now() > betweenMs + 1);
  await send(2);
  expect(await read({ timeMs: betweenMs }, { from: 'earliest' })).toEqual([1, 2]);
  expect(await read({ timeMs: 0 }, { from: 'earliest' })).toEqual([]);
  const { seen, over } = await begin({ timeMs: Date.now() + 500 }, { from: 'earliest' });
  await over;
  expect(seen).toEqual([1, 2, 3, 4]);
});

it('moves a cursor past what it was through with, matching or not', async () => {
  await send(5);
  const options = { cursor: 'c', from: 'earliest', pattern: 'even' } as const;
  expect(await read('now', options)).toEqual([2, 4]);
  expect(await client.cursors('s')).toMatchObject([{ sequence: 5 }]);
  expect(await read('now', options)).toEqual([]);
  await send(3);
  expect(await read('now', options)).toEqual([6, 8]);
  expect(await client.cursors('s')).toMatchObject([{ sequence: 8 }]);
});

it('reads much in little time, and all of it', async () => {
  for (let n = 1; n <= 50_000; n++) {
    if (!writer.stream('s').publish('x', n)) await writer.stream('s').ready();
  }
  await writer.flush();
  expect(await read('now', { from: 'earliest', cursor: 'c' })).toEqual(range(1, 50_000));
  expect(await client.cursors('s')).toMatchObject([{ sequence: 50_000 }]);
});

it('is ended by who reads, at once', async () => {
  await send(2);
  const stop = new AbortController();
  const { seen, over } = await begin({ sequence: 9 }, { from: 'earliest' }, { stop });
  await until(() => seen.length === 2);
  stop.abort();
  await over;
  const stopped = await begin({ sequence: 9 }, { from: 'earliest' }, { stop });
  await stopped.over;
  expect(stopped.seen).toEqual([]);
});

it('fails where the stream is not there', async () => {
  expect(await failureOf(StreamEnd.find(client, 'none', 'now'))).toMatchObject({
    code: 'REFUSED',
    message: 'the broker refused: there is no stream none',
  });
});

it('fails where the broker forgot the stream before its end came', async () => {
  await send(3);
  const hold = holder();
  const options = { from: 'earliest', credit: 1 } as const;
  const { seen, over } = await begin('now', options, { hold: hold.promise });
  await until(() => seen.length === 1);
  const connected = next(client, 'connected');
  await broker.stop();
  await world.broker();
  await connected;
  hold.release();
  expect(await failureOf(over)).toMatchObject({
    message: 'the broker lost the stream "s" when it ended: it goes to 0 now, not to 3',
  });
  expect(seen).toEqual([1]);
});
