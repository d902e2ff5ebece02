// How a reader of a stream in a native session stands with the broker: where it
// begins, goes on in the next session, and how much may wait for it.
import { MlmError } from '../../../client/errors.js';
import type { MlmClient } from '../../../client/client.js';
import type { StreamMessage } from '../../../client/message.js';
import type { From, StreamReader } from '../../../client/stream.js';
import { BlockWriter, type NativeCommand } from '../../../protocol/index.js';
import { coded, range } from '../../support/sessions.js';
import { settle } from './fakes.js';
import { NativeFakeBroker } from './native-fakes.js';

const lost = new MlmError('DISCONNECTED', 'the broker closed the connection');

/** What the broker says of a stream when it is read. */
let stream = { life: 7, lastSequence: 0, from: 1, whole: 0 };
let handles = 0;
let broker: NativeFakeBroker;

beforeEach(() => {
  stream = { life: 7, lastSequence: 0, from: 1, whole: 0 };
  handles = 0;
  broker = new NativeFakeBroker();
  broker.script = (method) => (method === 'read' ? { handle: ++handles, ...stream } : {});
});

function messages(
  handle: number,
  sequences: readonly number[],
  bodyBytes = 10,
): NativeCommand<'STREAM DELIVER'> {
  const writer = new BlockWriter(1024 * 1024);
  for (const sequence of sequences) {
    writer.append(sequence, 1000 + sequence, 'w', `m${sequence}`, [Buffer.alloc(bodyBytes)]);
  }
  const sections = Buffer.concat(writer.take().map(({ bytes }) => bytes));
  return { name: 'STREAM DELIVER', handle, sections };
}

/** Takes what is there. */
async function take(reader: StreamReader, count: number): Promise<(number | undefined)[]> {
  const taken: (StreamMessage | undefined)[] = [];
  for (let n = 0; n < count; n++) taken.push((await reader.next()).value);
  return taken.map((message) => message?.sequence);
}

async function reconnect(): Promise<void> {
  broker.link.cut(lost);
  await broker.clock.pass(1000);
}

/** Where the reader asked to begin, in all of its calls. */
function froms(): unknown[] {
  return broker.link.calls('read').map(({ from }) => from);
}

describe('where it begins', () => {
  it.each([
    ['new', 'new'],
    ['earliest', 'earliest'],
    ['compact', { compact: true }],
    [{ sequence: 0 }, { sequence: 0 }],
    [{ timeMs: 1_700_000_000_000 }, { timeMs: 1_700_000_000_000 }],
    [{ last: 5 }, { last: 5 }],
  ] as const)('is told to the broker: %j', async (from, wire) => {
    const client = await broker.connect();
    await client.stream('s').read({ from }).ready;
    expect(froms()).toEqual([wire]);
  });

  it.each([
    'start',
    '',
    -1,
    5,
    null,
    [],
    {},
    { last: -1 },
    { sequence: 1.5 },
    { timeMs: NaN },
    { last: '5' },
    { sequence: 1, last: 2 },
    { compact: true },
  ])('is refused where it makes no sense, with what is allowed: %j', async (from) => {
    const client = await broker.connect();
    const reading = (): StreamReader => client.stream('s').read({ from: from as unknown as From });
    expect(reading).toThrow(coded('INVALID_ARGUMENT'));
    expect(reading).toThrow(/"new", "earliest", "compact", \{ sequence \}/);
    expect(froms()).toEqual([]);
  });
});

describe('in the next session it goes on', () => {
  let client: MlmClient;

  beforeEach(async () => {
    client = await broker.connect();
  });

  it('with the next message, and gives nothing out twice', async () => {
    const reader = client.stream('s').read();
    await reader.ready;
    broker.link.bring(messages(1, [1, 2, 3, 4]));
    expect(await take(reader, 2)).toEqual([1, 2]);
    stream = { ...stream, lastSequence: 4, from: 3 };
    await reconnect();
    expect(froms()).toEqual([{ sequence: 3 }]);
    broker.link.bring(messages(2, [2, 3, 4, 5]));
    expect(await take(reader, 3)).toEqual([3, 4, 5]);
  });

  it.each([
    ['is another one by now, though it is longer', { life: 8, lastSequence: 100 }],
    ['is another one, and shorter', { life: 8, lastSequence: 1 }],
  ])('with what is younger, where the stream %s', async (_, now) => {
    const reader = client.stream('s').read();
    await reader.ready;
    broker.link.bring(messages(1, [1, 2, 3]));
    expect(await take(reader, 3)).toEqual([1, 2, 3]);
    stream = { ...stream, ...now, from: 1 };
    await reconnect();
    expect(froms()).toEqual([{ sequence: 4 }, { timeMs: 1004 }]);
    const credits = broker.link.calls('read').map(({ credit }) => credit);
    expect(credits[1]).toBe(credits[0]);
    expect(broker.link.calls('cancel')).toEqual([{ handle: 2 }]);
    // What the broker sent under the handle that was given up is nobody's.
    broker.link.bring(messages(2, [50]), messages(3, [1, 2]));
    expect(await take(reader, 2)).toEqual([1, 2]);
  });

  it('at the end of a stream that ends earlier now: what was on its way is gone', async () => {
    stream = { ...stream, lastSequence: 5, from: 9 };
    const reader = client.stream('s').read();
    await reader.ready;
    expect(reader.position).toBe(9);
    stream = { ...stream, from: 6 };
    await reconnect();
    expect(froms()).toEqual([{ sequence: 9 }, { sequence: 6 }]);
    expect(reader.position).toBe(6);
    broker.link.bring(messages(2, [9]), messages(3, [6, 7]));
    expect(await take(reader, 2)).toEqual([6, 7]);
  });

  it('compacted, as long as what it has not got was compacted', async () => {
    stream = { ...stream, lastSequence: 90, whole: 91 };
    const reader = client.stream('s').read({ from: 'compact' });
    await reader.ready;
    broker.link.bring(messages(1, [5, 50]));
    expect(await take(reader, 2)).toEqual([5, 50]);
    stream = { ...stream, lastSequence: 99, whole: 100 };
    await reconnect();
    expect(froms()).toEqual([{ compact: true, sequence: 51 }]);
    broker.link.bring(messages(2, [80, 100, 101]));
    expect(await take(reader, 3)).toEqual([80, 100, 101]);
    stream = { ...stream, lastSequence: 101, whole: 0 };
    await reconnect();
    expect(froms()).toEqual([{ sequence: 102 }]);
  });

  it('that is lost once more before the answer, from where it was', async () => {
    const reader = client.stream('s').read();
    await reader.ready;
    broker.link.bring(messages(1, [1, 2, 3]));
    expect(await take(reader, 3)).toEqual([1, 2, 3]);
    stream = { ...stream, life: 8, lastSequence: 1 };
    const { script } = broker;
    let reads = 0;
    broker.script = (...call) => {
      if (call[0] === 'read' && ++reads === 2) broker.link.cut(lost);
      return script(...call);
    };
    await reconnect();
    await broker.clock.pass(5000);
    expect(froms()).toEqual([{ sequence: 4 }, { timeMs: 1004 }]);
  });
});

describe('what waits for it', () => {
  const bufferBytesMax = 100_000;

  it('is bounded in octets: where messages grow, it reads on when there is room', async () => {
    const client = await broker.connect({ bufferBytesMax });
    const reader = client.stream('s').read();
    await reader.ready;
    // Small ones make it believe that a large window does no harm.
    for (let block = 0; block < 12; block++) {
      const first = block * 10 + 1;
      broker.link.bring(messages(1, range(first, first + 9)));
      await take(reader, 10);
      await settle();
    }
    const granted = broker.link.ofName('CREDIT').reduce((sum, { amount }) => sum + amount, 0);
    expect(granted).toBeGreaterThan(1000);
    for (const n of range(121, 140)) broker.link.bring(messages(1, [n], 20_000));
    await settle();
    expect(broker.link.calls('cancel')).toEqual([{ handle: 1 }]);
    stream = { ...stream, lastSequence: 140 };
    expect(await take(reader, 3)).toEqual([121, 122, 123]);
    expect(froms()).toHaveLength(1);
    expect(await take(reader, 1)).toEqual([124]);
    await settle();
    expect(froms().slice(1)).toEqual([{ sequence: 126 }]);
    // By now it knows how large they are.
    expect(broker.link.calls('read')[1]?.['credit']).toBeLessThan(10);
    broker.link.bring(messages(2, [126, 127], 20_000));
    expect(await take(reader, 3)).toEqual([125, 126, 127]);
  });

  it('is one message at least, however large', async () => {
    const client = await broker.connect({ bufferBytesMax: 1000 });
    const reader = client.stream('s').read();
    await reader.ready;
    broker.link.bring(messages(1, [1], 5000));
    expect(await take(reader, 1)).toEqual([1]);
    stream = { ...stream, lastSequence: 1 };
    const next = reader.next();
    await settle();
    expect(froms()).toEqual(['new', { sequence: 2 }]);
    broker.link.bring(messages(2, [2], 5));
    expect((await next).value?.sequence).toBe(2);
  });

  it('is thrown away with the reader, which leaves nothing open', async () => {
    const client = await broker.connect({ bufferBytesMax });
    const reader = client.stream('s').read();
    await reader.ready;
    broker.link.bring(messages(1, [1, 2, 3], 50_000));
    await settle();
    await reader.cancel();
    await settle();
    expect((await reader.next()).done).toBe(true);
    await settle();
    expect(broker.link.calls('cancel')).toEqual([{ handle: 1 }]);
    expect(froms()).toHaveLength(1);
  });
});
