// Native sessions through the end of a broker: writers, readers, requesters and
// workers go on with the next one, and lose nothing that was accepted.
import { PATIENCE_MS } from '../support/processes.js';
import { coded, failureOf, next, range, take, World } from '../support/sessions.js';
import { until } from '../support/until.js';

const world = new World();

afterEach(() => world.close());

it('writers and readers of a durable stream go on: nothing accepted is lost, nothing comes out of order', async () => {
  const data = await world.directory();
  let broker = await world.broker({ data });
  const [writer, reading] = [await world.client(), await world.client()];
  const stream = writer.stream('s');
  const reader = reading.stream('s').read({ from: 'earliest', credit: 500 });
  const accepted = new Map<number, number>();
  let sent = 0;
  let writing = true;
  const write = async (): Promise<void> => {
    while (writing) {
      const sends = range(sent + 1, sent + 50).map(async (n) => {
        const { sequence } = await stream.send(String(n));
        accepted.set(n, sequence!);
      });
      sent += 50;
      await Promise.all(sends);
    }
  };
  const read: { n: number; sequence: number }[] = [];
  const follow = async (): Promise<void> => {
    for await (const { subject, sequence } of reader)
      read.push({ n: Number(subject), sequence: sequence! });
  };
  const [written, followed] = [write(), follow()];
  for (let restart = 0; restart < 3; restart++) {
    const before = read.length;
    await until(() => read.length > before + 500);
    const back = [writer, reading].map((client) => next(client, 'connected'));
    await broker.stop();
    broker = await world.broker({ data });
    await Promise.all(back);
  }
  writing = false;
  await written;
  const { lastSequence } = await writer.streamInfo('s');
  await until(() => read.length >= lastSequence);
  await reader.cancel();
  await followed;
  // Every sequence once, in order.
  expect(read.map(({ sequence }) => sequence)).toEqual(range(1, lastSequence));
  // Every accepted message is there, under the sequence that its sender was told.
  expect(accepted.size).toBe(sent);
  for (const [n, sequence] of accepted) expect(read[sequence - 1]).toEqual({ n, sequence });
  // First occurrences are in the order of sending, whatever came twice.
  const firsts = [...new Set(read.map(({ n }) => n))];
  expect(firsts).toEqual(range(1, sent));
});

it('what is sent while there is no broker is accepted by the next one, in order', async () => {
  const data = await world.directory();
  const first = await world.broker({ data });
  const client = await world.client();
  await client.stream('s').send('0');
  const lost = next(client, 'disconnected');
  await first.stop();
  await lost;
  const sends = range(1, 100).map((n) => client.stream('s').send(String(n)));
  const mail = client.sendTo('box', 'mail');
  const request = client.request('svc', 'x');
  client.stream('s').publish('101');
  await world.broker({ data });
  await client.offer('svc', () => 'done');
  expect(await Promise.all(sends)).toEqual(range(2, 101).map((sequence) => ({ sequence })));
  await mail;
  expect((await request).value()).toBe('done');
  await client.flush();
  const all = await take(client.stream('s').read({ from: 'earliest', own: true }), 102);
  expect(all.map(({ subject }) => Number(subject))).toEqual(range(0, 101));
});

it('mail and requests of a durable broker are done after its restart', async () => {
  const data = await world.directory();
  const first = await world.broker({ data });
  const asking = await world.client();
  await asking.sendTo('owner', 'kept');
  const request = asking.request('svc', 'x', 'body');
  await asking.flush();
  await first.stop();
  await world.broker({ data });
  const working = await world.client({ address: 'owner' });
  await working.offer('svc', (received) => received);
  expect((await request).value()).toBe('body');
  expect((await take(working.mailbox(), 1))[0]!.subject).toBe('kept');
});

it('a request whose worker loses its session is done again; the first reply goes nowhere', async () => {
  const data = await world.directory();
  const first = await world.broker({ data });
  const [asking, working] = [await world.client(), await world.client()];
  const attempts: (number | undefined)[] = [];
  let release: () => void = () => undefined;
  let wasAborted: boolean | undefined;
  await working.offer('svc', { capacity: 2 }, async ({ attempt, signal }) => {
    attempts.push(attempt);
    if (attempts.length > 1) return 'second';
    await new Promise<void>((resolve) => (release = resolve));
    wasAborted = signal.aborted;
    return 'first';
  });
  const request = asking.request('svc', 'x');
  await until(() => attempts.length === 1);
  const dropped: unknown[] = [];
  asking.on('dropped', (what) => dropped.push(what));
  await first.stop();
  await world.broker({ data });
  expect((await request).value()).toBe('second');
  release();
  await until(() => wasAborted !== undefined);
  expect(wasAborted).toBe(true);
  await working.ping();
  await asking.ping();
  expect(dropped).toEqual([]);
});

it('a stream in memory begins anew with its broker, and its reader with it', async () => {
  const first = await world.broker();
  const [writer, reading] = [await world.client(), await world.client()];
  const reader = reading.stream('s').read();
  await reader.ready;
  for (const n of range(1, 10)) writer.stream('s').publish(`old.${n}`);
  expect(await take(reader, 10)).toHaveLength(10);
  const back = [writer, reading].map((client) => next(client, 'connected'));
  await first.stop();
  await world.broker();
  await Promise.all(back);
  await reading.ping();
  for (const n of range(1, 3)) writer.stream('s').publish(`new.${n}`);
  const subjects = (await take(reader, 3)).map(({ subject }) => subject);
  expect(subjects).toEqual(['new.1', 'new.2', 'new.3']);
});

it('a client that is closed leaves nothing unsent, and fails what waits', async () => {
  const broker = await world.broker();
  // One has all the time that it needs; the other one closes when there is no broker.
  const writer = await world.client({ closeTimeoutMs: PATIENCE_MS });
  const reading = await world.client({ closeTimeoutMs: 100 });
  const reader = reading.stream('s').read();
  await reader.ready;
  for (const n of range(1, 5000)) writer.stream('s').publish(String(n));
  const waiting = failureOf(writer.request('nobody', 'x'));
  await writer.close();
  expect(await waiting).toMatchObject({ code: 'CLOSED' });
  expect(() => writer.stream('s').publish('x')).toThrow(coded('CLOSED'));
  expect(await failureOf(writer.stream('s').ready())).toMatchObject({ code: 'CLOSED' });
  expect(await failureOf(writer.streamInfo('s'))).toMatchObject({ code: 'CLOSED' });
  const subjects = (await take(reader, 5000)).map(({ subject }) => Number(subject));
  expect(subjects).toEqual(range(1, 5000));
  const lost = next(reading, 'disconnected');
  await broker.stop();
  await lost;
  const unsent = failureOf(reading.stream('s').send('x'));
  const flushing = failureOf(reading.flush());
  await reading.close();
  expect(await unsent).toMatchObject({ code: 'CLOSED' });
  expect(await flushing).toMatchObject({ code: 'CLOSED' });
  expect((await reader.next()).done).toBe(true);
});
