// The compact view over real sockets: a stream as a table of current states.
import type { MlmClient, StreamMessage } from '../../client/index.js';
import { failureOf, next, range, take, World } from '../support/sessions.js';
import { until } from '../support/until.js';

const world = new World();

afterEach(() => world.close());

function shown(messages: readonly StreamMessage[]): string[] {
  return messages.map((message) => `${message.subject}=${String(message.value())}`);
}

/** Writes states of subjects, and waits until they are accepted. */
async function write(client: MlmClient, states: readonly (readonly [string, unknown])[]) {
  for (const [subject, state] of states) {
    if (!client.stream('s').publish(subject, state)) await client.stream('s').ready();
  }
  await client.flush();
}

it('begins with the last message of each subject, then goes on', async () => {
  await world.broker();
  const [writer, reading] = [await world.client(), await world.client()];
  await write(writer, [
    ['a', 1],
    ['b', 1],
    ['a', 2],
    ['c', 1],
    ['b', 2],
    ['c', 2],
    ['c', 3],
  ]);
  const reader = reading.stream('s').read({ from: 'compact' });
  const some = reading.stream('s').read({ from: 'compact', pattern: '^[ab]$' });
  const one = reading.stream('s').read({ from: 'compact', pattern: '^a$' });
  await Promise.all([reader.ready, some.ready, one.ready]);
  expect(shown(await take(reader, 3))).toEqual(['a=2', 'b=2', 'c=3']);
  await write(writer, [
    ['a', 3],
    ['a', 4],
    ['b', 3],
  ]);
  expect(shown(await take(reader, 3))).toEqual(['a=3', 'a=4', 'b=3']);
  expect(shown(await take(some, 5))).toEqual(['a=2', 'b=2', 'a=3', 'a=4', 'b=3']);
  expect(shown(await take(one, 3))).toEqual(['a=2', 'a=3', 'a=4']);
});

it('leaves out the own messages, unless they are asked for', async () => {
  await world.broker();
  const [writer, client] = [await world.client(), await world.client()];
  await write(client, [['a', 'mine']]);
  await write(writer, [['b', 'theirs']]);
  const reader = client.stream('s').read({ from: 'compact' });
  expect(shown(await take(reader, 1))).toEqual(['b=theirs']);
  const all = client.stream('s').read({ from: 'compact', own: true });
  expect(shown(await take(all, 2))).toEqual(['a=mine', 'b=theirs']);
});

it('of many subjects misses nothing and repeats nothing, while a writer goes on', async () => {
  await world.broker({ data: await world.directory() });
  const [writer, reading] = [await world.client(), await world.client()];
  const subjects = 4000;
  await write(
    writer,
    range(1, 2 * subjects).map((n) => [`s/${n % subjects}`, n]),
  );
  let writing = true;
  let last = 2 * subjects;
  const goOn = async (): Promise<void> => {
    while (writing) {
      await write(
        writer,
        range(1, 20).map(() => [`s/${++last % subjects}`, last]),
      );
    }
  };
  const written = goOn();
  const table = new Map<string, unknown>();
  const got: number[] = [];
  const reader = reading.stream('s').read({ from: 'compact' });
  const follow = async (): Promise<void> => {
    for await (const message of reader) {
      got.push(message.sequence!);
      table.set(message.subject, message.value());
    }
  };
  const followed = follow();
  await until(() => got.length > subjects + 100);
  writing = false;
  await written;
  await until(() => got.at(-1) === last);
  await reader.cancel();
  await followed;
  // Each state once, then every message.
  expect(got.slice(0, subjects)).toHaveLength(new Set(got.slice(0, subjects)).size);
  expect(got.every((sequence, at) => at === 0 || sequence > got[at - 1]!)).toBe(true);
  const first = got[subjects]!;
  expect(got.slice(subjects)).toEqual(range(first, last));
  expect(first).toBe(got[subjects - 1]! + 1);
  expect(table.size).toBe(subjects);
  for (const n of range(last - subjects + 1, last)) expect(table.get(`s/${n % subjects}`)).toBe(n);
});

it('goes on compacted after a lost session, and then with everything', async () => {
  const data = await world.directory();
  const broker = await world.broker({ data });
  const [writer, reading] = [await world.client(), await world.client()];
  await write(
    writer,
    range(1, 1000).map((n) => [`s/${n % 100}`, n]),
  );
  const reader = reading.stream('s').read({ from: 'compact', credit: 10 });
  const begun = await take(reader, 30);
  const back = [writer, reading].map((client) => next(client, 'connected'));
  await broker.stop();
  await world.broker({ data });
  await Promise.all(back);
  await write(writer, [
    ['s/1', 'new'],
    ['s/2', 'new'],
    ['s/1', 'newer'],
  ]);
  const rest: StreamMessage[] = [];
  while (rest.at(-1)?.sequence !== 1003) rest.push(...(await take(reader, 1)));
  const table = new Map([...begun, ...rest].map(({ subject, sequence }) => [subject, sequence]));
  expect(table.size).toBe(100);
  expect([table.get('s/1'), table.get('s/2'), table.get('s/3')]).toEqual([1003, 1002, 903]);
  const sequences = [...begun, ...rest].map(({ sequence }) => sequence!);
  expect(sequences).toEqual([...new Set(sequences)].sort((a, b) => a - b));
  expect(sequences.length).toBeLessThanOrEqual(103);
});

it('of a stream with a cursor goes on after it', async () => {
  await world.broker();
  const [writer, reading] = [await world.client(), await world.client()];
  await write(
    writer,
    range(1, 20).map((n) => [`s/${n % 4}`, n]),
  );
  const options = { from: 'compact', cursor: 'c', confirm: 'manual' } as const;
  const first = reading.stream('s').read(options);
  const [, second] = await take(first, 4);
  second!.confirm();
  await first.cancel();
  const again = await take(reading.stream('s').read(options), 2);
  expect(again.map(({ sequence }) => sequence)).toEqual([19, 20]);
});

it('is not for MLM/1', async () => {
  await world.broker();
  const client = await world.client({ protocol: 'v1' });
  const read = (): unknown => client.stream('s').read({ from: 'compact' });
  expect(read).toThrow('native session');
  expect(await failureOf(Promise.resolve().then(read))).toMatchObject({ code: 'UNSUPPORTED' });
  const wrong = (): unknown => client.stream('s').read({ from: 'start' as 'new' });
  expect(await failureOf(Promise.resolve().then(wrong))).toMatchObject({
    code: 'INVALID_ARGUMENT',
  });
});

it('of what the broker writes is there before anything was written', async () => {
  await world.broker();
  const client = await world.client();
  const reader = client.stream('$jobs').read({ from: 'compact' });
  await reader.ready;
  expect(reader.position).toBe(1);
  expect(await client.streamInfo('$jobs')).toMatchObject({ lastSequence: 0 });
});
