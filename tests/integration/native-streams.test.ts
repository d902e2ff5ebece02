// Streams in native sessions, over real sockets and a broker in this process:
// acceptance with sequences, readers at any place of the log, cursors, gaps, and
// readers that fall behind and catch up.
import type { Gap, Refused, StreamMessage } from '../../client/index.js';
import { coded, failureOf, range, take, World } from '../support/sessions.js';
import { until } from '../support/until.js';

const world = new World();

afterEach(() => world.close());

function sequences(messages: readonly StreamMessage[]): (number | undefined)[] {
  return messages.map(({ sequence }) => sequence);
}

describe('a session', () => {
  it('is native with this broker, and MLM/1 where that is wished', async () => {
    await world.broker();
    expect((await world.client()).protocol).toBe('native');
    expect((await world.client({ protocol: 'v1' })).protocol).toBe('v1');
  });

  it('of MLM/1 says what it cannot do', async () => {
    await world.broker();
    const client = await world.client({ protocol: 'v1' });
    const unsupported = { code: 'UNSUPPORTED' };
    for (const options of [{ from: 'earliest' }, { cursor: 'c' }, { own: true }] as const) {
      expect(() => client.stream('s').read(options)).toThrow(coded('UNSUPPORTED'));
    }
    expect(await failureOf(client.streamInfo('s'))).toMatchObject(unsupported);
    expect(await failureOf(client.request('s', '', '', { priority: 3 }))).toMatchObject(
      unsupported,
    );
    expect(await failureOf(client.request('s', '', '', { delayMs: 3 }))).toMatchObject(unsupported);
    expect(await client.stream('s').send('x')).toEqual({ sequence: undefined });
  });

  it('of either kind reads what the other writes', async () => {
    await world.broker();
    const clients = [await world.client(), await world.client({ protocol: 'v1' })] as const;
    for (const [writer, reading] of [clients, clients.toReversed()]) {
      const reader = reading.stream('s').read();
      await reader.ready;
      writer.stream('s').publish('value', { n: 1 });
      writer.stream('s').publish('frames', [Buffer.from('a'), Buffer.from('b')]);
      const [value, frames] = await take(reader, 2);
      expect([value!.value(), value!.sender]).toEqual([{ n: 1 }, writer.address]);
      expect(frames!.content.join()).toBe('a,b');
      await reader.cancel();
    }
  });
});

describe.each(['memory', 'disk'])('a stream (%s)', (kind) => {
  beforeEach(async () => {
    await world.broker(kind === 'disk' ? { data: await world.directory() } : {});
  });

  it('gives each message the next sequence, awaited or not, and keeps their order', async () => {
    const [one, two] = [await world.client(), await world.client()];
    expect(await one.stream('s').send('first')).toEqual({ sequence: 1 });
    const sends = range(0, 299).map((n) => one.stream('s').send(String(n)));
    expect(await Promise.all(sends)).toEqual(range(2, 301).map((sequence) => ({ sequence })));
    expect(await two.stream('s').send('last')).toEqual({ sequence: 302 });
    const messages = await take(two.stream('s').read({ from: { sequence: 2 } }), 300);
    expect(messages.map(({ subject }) => subject)).toEqual(range(0, 299).map(String));
  });

  it('takes bodies of every kind and size', async () => {
    const client = await world.client();
    const big = Buffer.alloc(3_000_000, 7);
    const bodies = [
      undefined,
      Buffer.from('raw'),
      [Buffer.from('a'), Buffer.alloc(0), big],
      big,
      { n: [1, 'two'] },
    ];
    for (const body of bodies) client.stream('s').publish('x', body);
    await client.flush();
    const messages = await take(client.stream('s').read({ from: 'earliest', own: true }), 5);
    expect(messages[0]!.content).toEqual([]);
    expect(messages[1]!.text()).toBe('raw');
    expect(messages[2]!.content.map(({ length }) => length)).toEqual([1, 0, big.length]);
    expect(messages[3]!.content[0]!.equals(big)).toBe(true);
    expect(messages[4]!.value()).toEqual({ n: [1, 'two'] });
  });

  it('is read from everywhere', async () => {
    const [writer, client] = [await world.client(), await world.client()];
    const stream = client.stream('s');
    for (const n of range(1, 50))
      writer.stream('s').publish(`${n % 2 === 0 ? 'even' : 'odd'}.${n}`);
    await writer.flush();
    const [tenth] = await take(stream.read({ from: { sequence: 10 } }), 1);
    // Later than all of them, by the broker's clock, which is that of this process.
    const written = Date.now();
    await until(() => Date.now() > written);
    const between = Date.now();
    await until(() => Date.now() > between);
    for (const n of range(51, 100)) writer.stream('s').publish(`late.${n}`);
    await writer.flush();
    const firstOf = async (from: Parameters<typeof stream.read>[0]): Promise<unknown> =>
      sequences(await take(stream.read(from), 1))[0];
    expect(tenth).toMatchObject({ sequence: 10, subject: 'even.10', sender: writer.address });
    expect(await firstOf({ from: 'earliest' })).toBe(1);
    expect(await firstOf({ from: { sequence: 77 } })).toBe(77);
    expect(await firstOf({ from: { last: 3 } })).toBe(98);
    expect(await firstOf({ from: { timeMs: between } })).toBe(51);
    expect(await firstOf({ from: 'earliest', pattern: '^late' })).toBe(51);
    const even = await take(stream.read({ from: 'earliest', pattern: '^even' }), 25);
    expect(sequences(even)).toEqual(range(1, 25).map((n) => n * 2));
    const fresh = stream.read();
    await fresh.ready;
    writer.stream('s').publish('new');
    expect(sequences(await take(fresh, 1))).toEqual([101]);
  });

  it('is read in lists', async () => {
    const [writer, client] = [await world.client(), await world.client()];
    for (const n of range(1, 5000)) writer.stream('s').publish(String(n));
    await writer.flush();
    const read: (number | undefined)[] = [];
    for await (const batch of client.stream('s').read({ from: 'earliest' }).batches()) {
      expect(batch.length).toBeGreaterThan(0);
      read.push(...sequences(batch));
      if (read.length === 5000) break;
    }
    expect(read).toEqual(range(1, 5000));
  });

  it('is read on by a cursor, in another client too', async () => {
    const [writer, one] = [await world.client(), await world.client()];
    for (const n of range(1, 30)) writer.stream('s').publish(String(n));
    await writer.flush();
    const first = one.stream('s').read({ from: 'earliest', cursor: 'c' });
    // The tenth is given out, and not dealt with.
    expect(sequences(await take(first, 10))).toEqual(range(1, 10));
    await first.cancel();
    await one.close();
    const two = await world.client();
    expect(await two.cursors('s')).toEqual([{ stream: 's', name: 'c', sequence: 9 }]);
    const manual = two.stream('s').read({ cursor: 'c', confirm: 'manual' });
    const messages = await take(manual, 5);
    expect(sequences(messages)).toEqual(range(10, 14));
    messages[2]!.confirm();
    await manual.cancel();
    const three = await world.client();
    const third = three.stream('s').read({ from: 'new', cursor: 'c' });
    expect(sequences(await take(third, 2))).toEqual([13, 14]);
    await third.cancel();
    await three.setCursor('s', 'c', 28);
    expect(sequences(await take(three.stream('s').read({ cursor: 'c' }), 2))).toEqual([29, 30]);
    await three.deleteCursor('s', 'c');
    expect(await three.cursors('s')).toEqual([]);
  });

  it('does not wait for a slow reader, which gets everything: live, from the log, live again', async () => {
    const [writer, client] = [await world.client(), await world.client()];
    const reader = client.stream('s').read({ credit: 100 });
    await reader.ready;
    const count = 20_000;
    const stream = writer.stream('s');
    let expected = 1;
    for (let n = 1; n <= count; n++) {
      if (!stream.publish('x', Buffer.alloc(100))) await stream.ready();
      // It reads a little while the writer goes on.
      if (n % 500 !== 0) continue;
      await writer.flush();
      for (const sequence of sequences(await take(reader, 50))) expect(sequence).toBe(expected++);
    }
    for (; expected <= count; expected++) {
      const { value } = await reader.next();
      if (value?.sequence !== expected) throw new Error(`${value?.sequence} came for ${expected}`);
    }
    await writer.flush();
    stream.publish('live');
    expect(sequences(await take(reader, 1))).toEqual([count + 1]);
    expect(reader.lost).toBe(0);
  });

  it('is looked after', async () => {
    const client = await world.client();
    expect(await failureOf(client.streamInfo('s'))).toMatchObject({ code: 'REFUSED' });
    for (const n of range(1, 10)) client.stream('s').publish(String(n));
    await client.flush();
    const reader = client.stream('s').read({ cursor: 'c' });
    await reader.ready;
    expect(await client.streamInfo('s')).toMatchObject({
      stream: 's',
      firstSequence: 1,
      lastSequence: 10,
      writers: 1,
      readers: 1,
      behind: 0,
      cursors: [{ stream: 's', name: 'c', sequence: 10 }],
    });
    expect(await client.trimStream('s', 0)).toMatchObject({ lastSequence: 10 });
    expect(await failureOf(client.deleteStream('s'))).toMatchObject({ code: 'REFUSED' });
  });
});

describe('what is refused', () => {
  it('rejects the send with the broker’s reason; what is published raises an event', async () => {
    await world.broker({ 'message-bytes-max': 2000 });
    const client = await world.client();
    const stream = client.stream('s');
    const refused: Refused[] = [];
    client.on('refused', (what) => refused.push(what));
    const [before, tooLarge] = [
      stream.send('fits', Buffer.alloc(10)),
      failureOf(client.stream('t').send('large', Buffer.alloc(3000))),
    ];
    expect(await before).toEqual({ sequence: 1 });
    const failure = await tooLarge;
    expect(failure).toMatchObject({ code: 'REFUSED', status: 300 });
    expect(failure.message).toContain('octets are more than a message may have');
    expect(refused).toEqual([]);
    client.stream('t').publish('large', Buffer.alloc(3000));
    await client.flush();
    expect(refused).toMatchObject([{ stream: 't', count: 1, error: { code: 'REFUSED' } }]);
    expect(await stream.send('fits')).toEqual({ sequence: 2 });
  });

  it('is told where a stream cannot be written or read at all', async () => {
    await world.broker({ 'subscriptions-max': 1 });
    const client = await world.client();
    const writing = client.stream('$own').send('x');
    const after = client.stream('s').send('x');
    expect(await failureOf(writing)).toMatchObject({ code: 'REFUSED' });
    expect(await after).toEqual({ sequence: 1 });
    await client.stream('s').read().ready;
    const reader = client.stream('t').read();
    expect(await failureOf(reader.ready)).toMatchObject({ code: 'REFUSED' });
    expect(await failureOf(reader.next())).toMatchObject({ code: 'REFUSED' });
    expect((await reader.next()).done).toBe(true);
  });

  it('is more than the bounds allow: publish says when to wait, and throws where nobody does', async () => {
    await world.broker();
    const client = await world.client({ bufferMessagesMax: 100 });
    const stream = client.stream('s');
    for (let n = 1; n < 100; n++) expect(stream.publish('x')).toBe(true);
    expect(stream.publish('x')).toBe(false);
    expect(() => stream.publish('x')).toThrow(coded('BUFFER_FULL'));
    expect(await failureOf(stream.send('x'))).toMatchObject({ code: 'BUFFER_FULL' });
    await stream.ready();
    expect(stream.publish('x')).toBe(true);
    await client.flush();
    expect((await client.streamInfo('s')).lastSequence).toBe(101);
  });

  it('may be taken back while it waits', async () => {
    const broker = await world.broker();
    const client = await world.client();
    await client.stream('s').send('1');
    const lost = new Promise((resolve) => client.once('disconnected', resolve));
    await broker.stop();
    await lost;
    const cut = new AbortController();
    const aborted = failureOf(client.stream('s').send('2', '', { signal: cut.signal }));
    const stays = client.stream('s').send('3');
    cut.abort();
    expect(await aborted).toMatchObject({ code: 'ABORTED' });
    await world.broker();
    expect(await stays).toEqual({ sequence: 1 });
  });
});

it('a reader whom retention overtakes comes to a gap, is told, and goes on', async () => {
  await world.broker({ 'stream-bytes-max': 100_000 });
  const [writer, client] = [await world.client(), await world.client()];
  const stream = writer.stream('s');
  for (let round = 0; round < 100; round++) {
    for (let n = 0; n < 20; n++) stream.publish('x', Buffer.alloc(100));
    await writer.flush();
  }
  const gaps: Gap[] = [];
  const told: Gap[] = [];
  client.on('gap', (gap) => told.push(gap));
  const onGap = (gap: Gap): unknown => gaps.push(gap);
  const reader = client.stream('s').read({ from: { sequence: 1 }, onGap });
  const [first] = await take(reader, 1);
  const { firstSequence, lastSequence } = await client.streamInfo('s');
  expect(lastSequence).toBe(2000);
  expect(first!.sequence).toBe(firstSequence);
  expect(gaps).toMatchObject([{ stream: 's', first: 1, last: firstSequence - 1 }]);
  expect(told).toEqual(gaps);
  expect(reader.lost).toBe(firstSequence - 1);
  const rest = await take(reader, 2000 - firstSequence);
  expect(sequences(rest)).toEqual(range(firstSequence + 1, 2000));
});

it('a reader of a log that was emptied comes to a gap, though nothing follows it', async () => {
  await world.broker();
  const client = await world.client();
  for (let n = 1; n <= 3; n++) await client.stream('s').send('x');
  expect(await client.trimStream('s', 0)).toMatchObject({ firstSequence: 4, lastSequence: 3 });
  const gaps: Gap[] = [];
  const onGap = (gap: Gap): unknown => gaps.push(gap);
  const reader = client.stream('s').read({ from: { sequence: 2 }, onGap, own: true });
  expect(reader.position).toBeUndefined();
  await reader.ready;
  expect(reader.position).toBe(2);
  const next = reader.next();
  await until(() => gaps.length > 0);
  expect(gaps).toMatchObject([{ stream: 's', first: 2, last: 3 }]);
  expect(reader.position).toBe(4);
  await client.stream('s').send('y');
  expect((await next).value?.sequence).toBe(4);
});

it('a session writes to more streams than may be open at a time', async () => {
  await world.broker({ 'subscriptions-max': 1000 });
  const client = await world.client();
  const names = range(1, 1500).map((n) => `s${n}`);
  for (const round of [1, 2]) {
    const sent = names.map((name) => client.stream(name).send(String(round)));
    expect((await Promise.all(sent)).every(({ sequence }) => sequence === round)).toBe(true);
  }
  expect(await client.streamInfo('s1')).toMatchObject({ lastSequence: 2 });
  expect(await client.streamInfo('s1500')).toMatchObject({ lastSequence: 2, writers: 1 });
});
