// What waits to be sent when a client ends: it goes out in one more session, or
// whoever is concerned is told.
import type { MlmClient } from '../../../client/client.js';
import { MlmError } from '../../../client/errors.js';
import { NativeOutbox } from '../../../client/native/outbox.js';
import { StreamWriter } from '../../../client/native/stream-writer.js';
import { coded } from '../../support/sessions.js';
import { FakeBroker, OK, settle, usualAnswer } from './fakes.js';

const lostConnection = new MlmError('DISCONNECTED', 'the broker closed the connection');

async function codeOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => 'resolved',
    (error: unknown) => (error as MlmError).code,
  );
}

let broker: FakeBroker;
beforeEach(() => {
  broker = new FakeBroker();
});

describe('close without a session', () => {
  /** What was refused, as count and code. */
  function refusals(client: MlmClient): [number, string][] {
    const all: [number, string][] = [];
    client.on('refused', ({ count, error }) => all.push([count, error.code]));
    return all;
  }

  it('opens one more for what waits, declares nothing in it, and ends it', async () => {
    const client = await broker.connect();
    await client.stream('s').read().ready;
    await client.offer('svc', () => 1);
    broker.link.cut(lostConnection);
    const sent = codeOf(client.stream('s').send('awaited'));
    client.stream('s').publish('published');
    const mailed = codeOf(client.sendTo('a', 'mailed'));
    const refused = refusals(client);
    await client.close();
    expect(await Promise.all([sent, mailed])).toEqual(['resolved', 'resolved']);
    expect(broker.link.names()).toEqual([
      'CONNECTION OPEN',
      'STREAM WRITE',
      'STREAM SEND',
      'STREAM SEND',
      'MAILBOX SEND',
      'CONNECTION CLOSE',
    ]);
    expect(refused).toEqual([]);
    expect([client.state, broker.links.length, broker.clock.timers]).toEqual(['closed', 2, 0]);
  });

  it('waits for the one that is being opened', async () => {
    const client = await broker.connect();
    broker.link.cut(lostConnection);
    broker.answer = () => [];
    await broker.clock.pass(100);
    expect(client.state).toBe('connecting');
    const sent = codeOf(client.stream('s').send('x'));
    const closing = client.close();
    expect(client.state).toBe('closing');
    expect(await codeOf(client.stream('s').send('late'))).toBe('CLOSED');
    broker.answer = usualAnswer;
    broker.link.bring(OK);
    await closing;
    expect(await sent).toBe('resolved');
    expect(broker.links).toHaveLength(2);
    expect(broker.link.names().slice(-2)).toEqual(['STREAM SEND', 'CONNECTION CLOSE']);
  });

  it('waits until the one that is renewed is over, and opens the next', async () => {
    const client = await broker.connect();
    const offer = await client.offer('svc', () => 1);
    broker.answer = () => [];
    const first = broker.link;
    const stopped = offer.stop();
    await settle();
    const sent = codeOf(client.stream('s').send('x'));
    const closing = client.close();
    await settle();
    expect([first.names().at(-1), broker.links.length]).toEqual(['CONNECTION CLOSE', 1]);
    broker.answer = usualAnswer;
    first.bring(OK);
    await Promise.all([closing, stopped]);
    expect(await sent).toBe('resolved');
    expect(broker.link.names()).toEqual([
      'CONNECTION OPEN',
      'STREAM WRITE',
      'STREAM SEND',
      'CONNECTION CLOSE',
    ]);
  });

  it('ends at once while it is renewed, where nothing waits', async () => {
    const client = await broker.connect();
    const offer = await client.offer('svc', () => 1);
    broker.answer = () => [];
    const stopped = offer.stop();
    await settle();
    await client.close();
    await stopped;
    expect([client.state, broker.links.length, broker.clock.timers]).toEqual(['closed', 1, 0]);
  });

  it('tries again until its time is over; then what waits fails, and what was published is told', async () => {
    const client = await broker.connect({ closeTimeoutMs: 1000 });
    const closed: unknown[] = [];
    client.on('closed', (error) => closed.push(error));
    const refused = refusals(client);
    broker.link.cut(lostConnection);
    const sent = client
      .stream('s')
      .send('awaited')
      .catch((error: unknown) => error as MlmError);
    for (let n = 0; n < 3; n++) client.stream('s').publish(String(n));
    broker.answer = () => [];
    const closing = client.close();
    broker.link.cut(lostConnection);
    await broker.clock.pass(999);
    expect(client.state).toBe('closing');
    expect(broker.links.length).toBeGreaterThan(2);
    await broker.clock.pass(1);
    await closing;
    const error = (await sent) as MlmError;
    expect(error.code).toBe('CLOSED');
    expect(error.message).toMatch(/did not take 4 messages in closeTimeoutMs \(1000 ms\)/);
    expect(refused).toEqual([[3, 'CLOSED']]);
    expect(closed).toEqual([undefined]);
    expect([client.state, broker.link.closed, broker.clock.timers]).toEqual(['closed', true, 0]);
  });

  it('opens one more where the last one is lost before all was sent', async () => {
    const client = await broker.connect();
    broker.link.blocked = true;
    const sent = codeOf(client.stream('s').send('x'));
    const closing = client.close();
    await settle();
    broker.link.cut(lostConnection);
    await broker.clock.pass(100);
    await closing;
    expect(await sent).toBe('resolved');
    expect(broker.links).toHaveLength(2);
    expect(broker.link.names().at(-1)).toBe('CONNECTION CLOSE');
  });

  it('opens none where the user wants no other', async () => {
    const client = await broker.connect({ reconnect: false });
    const refused = refusals(client);
    broker.link.blocked = true;
    const sent = codeOf(client.stream('s').send('x'));
    client.stream('t').publish('y');
    const closing = client.close();
    await settle();
    broker.link.cut(lostConnection);
    await closing;
    expect(await sent).toBe('CLOSED');
    expect(refused).toEqual([[1, 'CLOSED']]);
    expect([broker.links.length, broker.clock.timers]).toEqual([1, 0]);
  });

  it('is not confused by a broker that refuses again and again', async () => {
    const client = await broker.connect({ closeTimeoutMs: 1000 });
    broker.link.cut(lostConnection);
    const sent = codeOf(client.stream('s').send('x'));
    broker.answer = () => [{ name: 'ERROR', statusCode: 300, statusReason: 'full house' }];
    client.on('error', () => undefined);
    const closing = client.close();
    await broker.clock.pass(1000);
    await closing;
    expect(await sent).toBe('CLOSED');
    expect(broker.clock.timers).toBe(0);
  });
});

describe('what was published', () => {
  it('is told where the client ends without a session', async () => {
    const client = await broker.connect({ reconnect: false });
    const refused: [string, number, string][] = [];
    client.on('refused', ({ stream, count, error }) => refused.push([stream, count, error.code]));
    broker.link.blocked = true;
    client.stream('s').publish('1');
    await settle();
    for (const subject of ['2', '3']) client.stream('s').publish(subject);
    client.stream('t').publish('4');
    broker.link.cut(lostConnection);
    await settle();
    expect(refused).toEqual([
      ['s', 3, 'DISCONNECTED'],
      ['t', 1, 'DISCONNECTED'],
    ]);
  });

  it('and is too large for what there is room for is refused, not dropped', async () => {
    const client = await broker.connect({ bufferBytesMax: 100 });
    broker.link.blocked = true;
    client.stream('s').publish('fits', Buffer.alloc(60));
    expect(() => client.stream('s').publish('does not', Buffer.alloc(60))).toThrow(
      coded('BUFFER_FULL'),
    );
  });
});

it('in native sessions, what was published and not accepted is told as well', () => {
  const refused: [string | undefined, number, string][] = [];
  const outbox = new NativeOutbox(100, 100_000, ({ writer, count, waiters }, error) => {
    refused.push([writer?.stream, count - waiters.length, error.code]);
  });
  const failed: string[] = [];
  const [one, two] = [new StreamWriter('one', 'me'), new StreamWriter('two', 'me')];
  for (const writer of [one, one, two]) {
    writer.sections.append('subject', Buffer.from('x'));
    outbox.gathered(writer, 1);
  }
  two.await(
    () => undefined,
    ({ code }) => failed.push(code),
  );
  outbox.fail(new MlmError('CLOSED', 'over'));
  expect(refused).toEqual([['one', 2, 'CLOSED']]);
  expect(failed).toEqual(['CLOSED']);
  expect(outbox.messages).toBe(0);
});
