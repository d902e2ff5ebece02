// Messages with an id in native sessions, over real sockets: whatever happens to
// the session or the broker between sending and acceptance, each is written once.
import type { MlmClient } from '../../client/index.js';
import { NativeClient } from '../support/native-client.js';
import { failureOf, next, range, take, World } from '../support/sessions.js';
import { until } from '../support/until.js';

const world = new World();

afterEach(() => world.close());

/** The subjects of a stream, from its first message to its last. */
async function subjectsOf(client: MlmClient, name: string): Promise<string[]> {
  const { lastSequence } = await client.streamInfo(name);
  const messages = await take(
    client.stream(name).read({ from: 'earliest', own: true }),
    lastSequence,
  );
  return messages.map(({ subject }) => subject);
}

it('a repeat resolves with the sequence of the first one', async () => {
  await world.broker();
  const client = await world.client();
  const stream = client.stream('s');
  expect(await stream.send('a', 1, { id: 'x' })).toEqual({ sequence: 1 });
  expect(await stream.send('b', 2, { id: 'y' })).toEqual({ sequence: 2 });
  expect(await stream.send('a', 1, { id: 'x' })).toEqual({ sequence: 1 });
  expect(await (await world.client()).stream('s').send('a', 1, { id: 'x' })).toEqual({
    sequence: 3,
  });
  expect(await subjectsOf(client, 's')).toEqual(['a', 'b', 'a']);
});

it('keeps its place among what is sent without one, awaited or not', async () => {
  await world.broker();
  const client = await world.client();
  const stream = client.stream('s');
  const sent = range(1, 300).map(async (n) => {
    if (n % 3 === 0) return stream.send(String(n), n, { id: `id${n}` });
    if (n % 3 === 1) return stream.send(String(n), n);
    stream.publish(String(n), n);
    return { sequence: n };
  });
  const sequences = (await Promise.all(sent)).map(({ sequence }) => sequence);
  expect(sequences).toEqual(range(1, 300));
  expect(await subjectsOf(client, 's')).toEqual(range(1, 300).map(String));
});

it('is known again by a broker that starts anew, to a program that starts anew', async () => {
  const data = await world.directory();
  const broker = await world.broker({ data });
  const first = await world.client({ address: 'camera' });
  await Promise.all(range(1, 100).map((n) => first.stream('s').send(`${n}`, n, { id: `${n}` })));
  await first.close();
  await broker.stop();
  await world.broker({ data });
  const second = await world.client({ address: 'camera' });
  const sent = range(51, 150).map((n) => second.stream('s').send(`${n}`, n, { id: `${n}` }));
  expect((await Promise.all(sent)).map(({ sequence }) => sequence)).toEqual(range(51, 150));
  expect(await subjectsOf(second, 's')).toEqual(range(1, 150).map(String));
});

it('comes once, however often the broker ends between sending and acceptance', async () => {
  const data = await world.directory();
  let broker = await world.broker({ data });
  const client = await world.client();
  const stream = client.stream('s');
  const accepted = new Map<number, number>();
  let sent = 0;
  let writing = true;
  const write = async (): Promise<void> => {
    while (writing) {
      const sends = range(sent + 1, sent + 50).map(async (n) => {
        const { sequence } = await stream.send(String(n), undefined, { id: `id-${n}` });
        accepted.set(n, sequence!);
      });
      sent += 50;
      await Promise.all(sends);
    }
  };
  const written = write();
  for (let restart = 0; restart < 3; restart++) {
    const before = accepted.size;
    await until(() => accepted.size > before + 200);
    const back = next(client, 'connected');
    await broker.stop();
    broker = await world.broker({ data });
    await back;
  }
  writing = false;
  await written;
  const subjects = await subjectsOf(client, 's');
  expect(subjects).toEqual(range(1, sent).map(String));
  for (const [n, sequence] of accepted) expect(subjects[sequence - 1]).toBe(String(n));
});

it('comes once, though somebody takes the session over while it is on its way', async () => {
  await world.broker();
  const client = await world.client({ address: 'camera' });
  const stream = client.stream('s');
  let sent = 0;
  const accepted: (number | undefined)[] = [];
  for (let round = 0; round < 3; round++) {
    const back = next(client, 'connected');
    const sends = range(1, 500).map(() => {
      const n = ++sent;
      return stream.send(String(n), undefined, { id: `id-${n}` });
    });
    const other = await NativeClient.open(world.endpoint, 'camera');
    await back;
    other.close();
    accepted.push(...(await Promise.all(sends)).map(({ sequence }) => sequence));
  }
  expect(accepted).toEqual(range(1, sent));
  expect(await subjectsOf(client, 's')).toEqual(range(1, sent).map(String));
});

it('is not for MLM/1, nor for an anonymous client, nor of any length', async () => {
  await world.broker();
  const v1 = await world.client({ protocol: 'v1' });
  expect(await failureOf(v1.stream('s').send('x', 1, { id: 'x' }))).toMatchObject({
    code: 'UNSUPPORTED',
  });
  const [client, anonymous] = [await world.client(), await world.client({ address: '' })];
  for (const id of ['', 'x'.repeat(256)]) {
    const failure = await failureOf(client.stream('s').send('x', 1, { id }));
    expect(failure).toMatchObject({ code: 'INVALID_ARGUMENT' });
  }
  expect(await failureOf(anonymous.stream('s').send('x', 1, { id: 'x' }))).toMatchObject({
    code: 'INVALID_ARGUMENT',
  });
});

it('may be taken back while it waits, and is bounded by what the broker remembers', async () => {
  const broker = await world.broker();
  const client = await world.client();
  const stream = client.stream('s');
  await stream.send('first', undefined, { id: 'first' });
  const lost = next(client, 'disconnected');
  await broker.stop();
  await lost;
  const controller = new AbortController();
  const back = failureOf(stream.send('x', 1, { id: 'x', signal: controller.signal }));
  controller.abort();
  expect(await back).toMatchObject({ code: 'ABORTED' });
  const waiting = range(1, 10_000).map((n) => stream.send('y', undefined, { id: `${n}` }));
  expect(await failureOf(stream.send('y', 1, { id: 'one too many' }))).toMatchObject({
    code: 'BUFFER_FULL',
  });
  await world.broker();
  expect((await Promise.all(waiting)).map(({ sequence }) => sequence)).toEqual(range(1, 10_000));
  expect(await stream.send('y', 1, { id: 'room again' })).toEqual({ sequence: 10_001 });
});
