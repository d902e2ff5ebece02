// Readers of streams: who gets what, and what the broker is told.
import type { MlmClient } from '../../../client/client.js';
import type { StreamReader } from '../../../client/stream.js';
import { FakeBroker, OK, settle, streamDelivery, usualAnswer } from './fakes.js';

let broker: FakeBroker;
let client: MlmClient;
beforeEach(async () => {
  broker = new FakeBroker();
  client = await broker.connect();
});

/** What a reader has, taken out. */
async function taken(reader: StreamReader): Promise<string[]> {
  const all: string[] = [];
  for (;;) {
    const next = await Promise.race([reader.next(), settle().then(() => undefined)]);
    if (next?.value === undefined) return all;
    all.push(`${next.value.subject}=${next.value.text()}`);
  }
}

const reads = (): string[] => broker.link.ofName('STREAM READ').map(({ pattern }) => pattern);

describe('readers of one stream', () => {
  it('each get what their own pattern matches', async () => {
    const stream = client.stream('s');
    const temp = stream.read({ pattern: '^temp' });
    const moscow = stream.read({ pattern: 'moscow$' });
    const other = client.stream('other').read();
    for (const subject of ['temp.moscow', 'rain.moscow', 'temp.madrid', 'rain.madrid']) {
      broker.link.bring(streamDelivery(subject));
    }
    expect(await taken(temp)).toEqual(['temp.moscow=temp.moscow', 'temp.madrid=temp.madrid']);
    expect(await taken(moscow)).toEqual(['temp.moscow=temp.moscow', 'rain.moscow=rain.moscow']);
    expect(await taken(other)).toEqual([]);
  });

  it('are told to the broker once for each pattern, and not at all where all is read', async () => {
    const stream = client.stream('s');
    for (const pattern of ['a', 'a', 'b', '', 'c']) stream.read({ pattern });
    await settle();
    expect(reads()).toEqual(['a', 'b', '']);
  });

  it('read everything and sort it out here where there are many patterns', async () => {
    const stream = client.stream('s');
    const readers = Array.from({ length: 40 }, (_, n) => stream.read({ pattern: `^${n}$` }));
    await Promise.all(readers.map((reader) => reader.ready));
    expect(reads()).toHaveLength(17);
    expect(reads().at(-1)).toBe('');
    broker.link.bring(streamDelivery('39'));
    expect(await taken(readers[39] as StreamReader)).toEqual(['39=39']);
    expect(await taken(readers[38] as StreamReader)).toEqual([]);
  });

  it('cancel only with the last of them, and begin anew after that', async () => {
    const stream = client.stream('s');
    const [one, two] = [stream.read({ pattern: 'a' }), stream.read({ pattern: 'b' })];
    await one.cancel();
    expect(broker.link.ofName('STREAM CANCEL')).toEqual([]);
    broker.link.bring(streamDelivery('ab'));
    expect(await taken(two)).toEqual(['ab=ab']);
    await two.cancel();
    expect(broker.link.ofName('STREAM CANCEL')).toEqual([{ name: 'STREAM CANCEL', stream: 's' }]);
    broker.link.bring(streamDelivery('ab'));
    stream.read({ pattern: 'a' });
    await settle();
    expect(broker.link.names().slice(-2)).toEqual(['STREAM CANCEL', 'STREAM READ']);
    expect(await taken(two)).toEqual([]);
  });

  it('are cancelled by leaving the loop and by their signal', async () => {
    const controller = new AbortController();
    const looping = (async () => {
      for await (const message of client.stream('s').read()) return message.subject;
      return undefined;
    })();
    const ending = (async () => {
      for await (const message of client.stream('t').read({ signal: controller.signal })) {
        throw new Error(message.subject);
      }
    })();
    broker.link.bring(streamDelivery('x'));
    controller.abort();
    expect(await looping).toBe('x');
    await ending;
    await settle();
    const cancelled = broker.link.ofName('STREAM CANCEL').map(({ stream }) => stream);
    expect(cancelled.sort()).toEqual(['s', 't']);
  });

  it('with a signal that has fired read nothing and tell nothing', async () => {
    const reader = client.stream('s').read({ signal: AbortSignal.abort() });
    expect((await reader.next()).done).toBe(true);
    expect(reads()).toEqual([]);
  });

  it('hand out the delivered frames themselves', async () => {
    const reader = client.stream('s').read();
    broker.link.bring({
      name: 'STREAM DELIVER',
      address: 's',
      sender: 'w',
      subject: 'x',
      content: [Buffer.from('a'), Buffer.alloc(0), Buffer.from([255])],
    });
    const { value } = await reader.next();
    expect(value).toMatchObject({ stream: 's', sender: 'w', subject: 'x' });
    expect(value?.content).toEqual([Buffer.from('a'), Buffer.alloc(0), Buffer.from([255])]);
  });

  it.each(['(', '*', '[a'])('refuse the pattern %s before anything is sent', (pattern) => {
    expect(() => client.stream('s').read({ pattern })).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT' }) as Error,
    );
    expect(reads()).toEqual([]);
  });

  it('cancel without a session, and are not declared in the next one', async () => {
    const reader = client.stream('s').read();
    await reader.ready;
    broker.answer = () => [];
    broker.link.bring({ name: 'ERROR', statusCode: 500, statusReason: '' });
    await reader.cancel();
    broker.answer = usualAnswer;
    await broker.clock.pass(1000);
    expect(client.state).toBe('open');
    expect(broker.link.names()).not.toContain('STREAM READ');
  });

  it('need not wait for the OK of a CANCEL that is lost with its session', async () => {
    const reader = client.stream('s').read();
    await reader.ready;
    broker.answer = () => [];
    const cancelled = reader.cancel();
    await settle();
    broker.link.bring({ name: 'ERROR', statusCode: 500, statusReason: '' });
    await cancelled;
  });
});

describe('copies', () => {
  // The C broker delivers once for each matching pattern, ours once.
  async function twoReaders(): Promise<[StreamReader, StreamReader]> {
    const stream = client.stream('s');
    const readers: [StreamReader, StreamReader] = [
      stream.read({ pattern: '^a' }),
      stream.read({ pattern: 'b$' }),
    ];
    await Promise.all(readers.map((reader) => reader.ready));
    return readers;
  }

  it('of the C broker reach each reader once', async () => {
    const [first, second] = await twoReaders();
    for (const [subject, body] of [
      ['ab', '1'],
      ['ab', '1'],
      ['ax', '2'],
      ['ab', '3'],
      ['ab', '3'],
      ['ab', '3'],
      ['ab', '3'],
    ] as const) {
      broker.link.bring(streamDelivery(subject, body));
    }
    expect(await taken(first)).toEqual(['ab=1', 'ax=2', 'ab=3', 'ab=3']);
    expect(await taken(second)).toEqual(['ab=1', 'ab=3', 'ab=3']);
  });

  it('are not seen in equal messages of a broker that makes none', async () => {
    const [first] = await twoReaders();
    for (const body of ['1', '2', '2', '2']) broker.link.bring(streamDelivery('ab', body));
    expect(await taken(first)).toEqual(['ab=1', 'ab=2', 'ab=2', 'ab=2']);
  });

  it('are seen though a message from before the second READ came once', async () => {
    const stream = client.stream('s');
    const first = stream.read({ pattern: '^a' });
    await first.ready;
    broker.answer = () => [];
    const second = stream.read({ pattern: 'b$' });
    for (const body of ['1', '2']) broker.link.bring(streamDelivery('ab', body));
    broker.link.bring(OK);
    await second.ready;
    for (const body of ['3', '3', '4', '4']) broker.link.bring(streamDelivery('ab', body));
    expect(await taken(first)).toEqual(['ab=1', 'ab=2', 'ab=3', 'ab=4']);
  });

  it('are looked for again when another pattern is read', async () => {
    const [first] = await twoReaders();
    for (const body of ['1', '2']) broker.link.bring(streamDelivery('ab', body));
    await client.stream('s').read({ pattern: 'x' }).ready;
    for (const body of ['3', '3', '4', '4']) broker.link.bring(streamDelivery('ab', body));
    expect(await taken(first)).toEqual(['ab=1', 'ab=2', 'ab=3', 'ab=4']);
  });

  it('are not seen where only one pattern matches', async () => {
    const [first] = await twoReaders();
    for (let n = 0; n < 3; n++) broker.link.bring(streamDelivery('ax', 'same'));
    expect(await taken(first)).toEqual(['ax=same', 'ax=same', 'ax=same']);
  });
});

describe('a slow reader', () => {
  it('makes the client take no more, until it has taken half', async () => {
    const events: string[] = [];
    client.on('paused', () => events.push('paused')).on('resumed', () => events.push('resumed'));
    const reader = client.stream('s').read({ bufferMessagesMax: 4 });
    await reader.ready;
    for (let n = 0; n < 4; n++) broker.link.bring(streamDelivery(String(n)));
    expect(broker.link.paused).toBe(true);
    for (let n = 0; n < 3; n++) await reader.next();
    expect(broker.link.paused).toBe(false);
    expect(events).toEqual(['paused', 'resumed']);
  });

  it('does not wait for itself: while it awaits a reply, messages are taken', async () => {
    const reader = client.stream('s').read({ bufferMessagesMax: 1 });
    await reader.ready;
    broker.link.bring(streamDelivery('0'));
    expect(broker.link.paused).toBe(true);
    const asking = client.request('svc', 'x');
    expect(broker.link.paused).toBe(false);
    await settle();
    const { tracker } = broker.link.ofName('SERVICE SEND')[0] as { tracker: string };
    broker.link.bring({
      name: 'MAILBOX DELIVER',
      sender: 'w',
      address: 'me',
      subject: 'x',
      tracker,
      content: [],
    });
    await asking;
    expect(broker.link.paused).toBe(true);
  });

  it('loses messages only then, beyond four times its bound, and is told', async () => {
    const dropped: string[] = [];
    client.on('dropped', ({ from, name, subject }) => dropped.push(`${from} ${name} ${subject}`));
    const reader = client.stream('s').read({ bufferMessagesMax: 2 });
    await reader.ready;
    client.request('svc', 'x').catch(() => undefined);
    for (let n = 0; n < 11; n++) broker.link.bring(streamDelivery(String(n)));
    expect(reader.lost).toBe(3);
    expect(dropped).toEqual(['stream s 8']);
    await reader.next();
    broker.link.bring(streamDelivery('11'));
    broker.link.bring(streamDelivery('12'));
    expect(reader.lost).toBe(4);
    expect(dropped).toEqual(['stream s 8', 'stream s 12']);
    expect((await taken(reader)).map((text) => text.split('=')[0])).toEqual([
      '1',
      '2',
      '3',
      '4',
      '5',
      '6',
      '7',
      '11',
    ]);
  });

  it('frees the others when it leaves', async () => {
    const reader = client.stream('s').read({ bufferMessagesMax: 1 });
    await reader.ready;
    broker.link.bring(streamDelivery('0'));
    expect(broker.link.paused).toBe(true);
    await reader.return();
    await settle();
    expect(broker.link.paused).toBe(false);
  });
});
