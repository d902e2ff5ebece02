// The life of a session: opened, watched, lost, opened again, closed.
import { getEventListeners } from 'node:events';
import { MlmError } from '../../../client/errors.js';
import { FakeBroker, OK, settle, streamDelivery, usualAnswer } from './fakes.js';

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

describe('connecting', () => {
  it('sends OPEN with the address and resolves at its OK', async () => {
    const client = await broker.connect({ address: 'alice' });
    expect(broker.link.sent[0]).toEqual({
      name: 'CONNECTION OPEN',
      protocol: 'MALAMUTE',
      version: 1,
      address: 'alice',
    });
    expect([client.state, client.address]).toEqual(['open', 'alice']);
  });

  it('makes up an address of its own, unless it is to be anonymous', async () => {
    const one = await broker.connect({ address: undefined });
    const two = await broker.connect({ address: undefined });
    expect(one.address).toMatch(/^client-[0-9a-f]{16}$/);
    expect(two.address).not.toBe(one.address);
    expect((await broker.connect({ address: '' })).address).toBe('');
  });

  it('fails with the endpoint and what to do when no broker answers', async () => {
    broker.answer = () => [];
    const connecting = broker.connect({ connectTimeoutMs: 500 });
    const failure = connecting.catch((error: unknown) => error as MlmError);
    await broker.clock.pass(500);
    const error = await failure;
    expect(error).toMatchObject({ code: 'CONNECT_TIMEOUT' });
    expect((error as MlmError).message).toMatch(/tcp:\/\/fake.*500 ms.*mlm-broker/);
    expect(broker.link.closed).toBe(true);
    expect(broker.clock.timers).toBe(0);
  });

  it('tries again within its time where the first attempt fails', async () => {
    broker.answer = () => [];
    const connecting = broker.connect();
    broker.link.cut(lostConnection);
    broker.answer = usualAnswer;
    await broker.clock.pass(100);
    expect((await connecting).state).toBe('open');
    expect(broker.links).toHaveLength(2);
  });

  it('fails at once where the broker refuses', async () => {
    broker.answer = () => [{ name: 'ERROR', statusCode: 300, statusReason: 'full house' }];
    const error = await broker.connect().catch((caught: unknown) => caught as MlmError);
    expect(error).toMatchObject({ code: 'REFUSED', status: 300 });
    expect((error as MlmError).message).toContain('full house');
  });

  it('says so where the broker speaks another version', async () => {
    broker.answer = () => [{ name: 'ERROR', statusCode: 501, statusReason: 'version 7 only' }];
    expect(await codeOf(broker.connect())).toBe('UNSUPPORTED');
  });

  it('can be aborted before and meanwhile', async () => {
    expect(await codeOf(broker.connect({ signal: AbortSignal.abort() }))).toBe('ABORTED');
    expect(broker.links).toHaveLength(0);
    broker.answer = () => [];
    const controller = new AbortController();
    const connecting = codeOf(broker.connect({ signal: controller.signal }));
    controller.abort();
    expect(await connecting).toBe('ABORTED');
    expect(broker.link.closed).toBe(true);
  });

  it.each([
    [{ heartbeatMs: 0 }],
    [{ connectTimeoutMs: 1.5 }],
    [{ brokerTimeoutMs: 2 ** 31 }],
    [{ bufferMessagesMax: -1 }],
    [{ bufferBytesMax: NaN }],
    [{ address: 'ä'.repeat(128) }],
  ])('refuses options that make no sense: %j', async (options) => {
    const error = await broker.connect(options).catch((caught: unknown) => caught as MlmError);
    expect(error).toMatchObject({ code: 'INVALID_ARGUMENT' });
    expect((error as MlmError).message).toContain(Object.keys(options)[0]);
  });
});

describe('watching', () => {
  it('pings at each heartbeat', async () => {
    await broker.connect({ heartbeatMs: 100 });
    await broker.clock.pass(350);
    expect(broker.link.ofName('CONNECTION PING')).toHaveLength(3);
  });

  it('gives up a silent broker, and not one that only sends deliveries', async () => {
    const client = await broker.connect({ heartbeatMs: 100, brokerTimeoutMs: 500 });
    const reasons: string[] = [];
    client.on('disconnected', (error) => reasons.push(error.message));
    broker.answer = (command) => (command.name === 'CONNECTION PING' ? [] : usualAnswer(command));
    const first = broker.link;
    for (let beat = 0; beat < 20; beat++) {
      await broker.clock.pass(100);
      first.bring(streamDelivery('x'));
    }
    expect(reasons).toEqual([]);
    await broker.clock.pass(600);
    expect(reasons).toEqual([expect.stringContaining('silent')]);
    expect(first.closed).toBe(true);
  });

  it('does not take its own pause for the silence of the broker', async () => {
    const client = await broker.connect({ heartbeatMs: 100, brokerTimeoutMs: 300 });
    const reader = client.stream('s').read({ bufferMessagesMax: 1 });
    await reader.ready;
    broker.answer = () => [];
    broker.link.bring(streamDelivery('x'));
    expect(broker.link.paused).toBe(true);
    await broker.clock.pass(1000);
    expect(client.state).toBe('open');
    await reader.next();
    expect(broker.link.paused).toBe(false);
    await broker.clock.pass(500);
    expect(client.state).not.toBe('open');
  });

  it('resolves a ping at the next PONG, and times out without one', async () => {
    const client = await broker.connect();
    await client.ping();
    broker.answer = () => [];
    const ping = codeOf(client.ping({ timeoutMs: 50 }));
    await broker.clock.pass(50);
    expect(await ping).toBe('TIMEOUT');
  });

  it('queues no second PING while the socket takes none', async () => {
    await broker.connect({ heartbeatMs: 100 });
    broker.link.blocked = true;
    await broker.clock.pass(550);
    broker.link.unblock();
    await settle();
    expect(broker.link.ofName('CONNECTION PING')).toHaveLength(2);
  });
});

describe('a lost session', () => {
  it('is opened again on a fresh transport, with everything declared, in order', async () => {
    const client = await broker.connect();
    const events: string[] = [];
    client.on('disconnected', () => events.push('disconnected'));
    client.on('reconnecting', ({ attempt }) => events.push(`attempt ${attempt}`));
    client.on('connected', () => events.push('connected'));
    await client.offer('svc', { pattern: '^a' }, () => 1);
    client.stream('s').read({ pattern: 'x' });
    client.stream('t').read();
    const left = client.stream('u').read();
    await left.cancel();
    broker.link.cut(lostConnection);
    void client.stream('s').send('waits', Buffer.from('1'));
    expect(client.state).toBe('disconnected');
    await broker.clock.pass(100);
    expect(events).toEqual(['disconnected', 'attempt 1', 'connected']);
    expect(broker.links).toHaveLength(2);
    expect(broker.link.sent).toMatchObject([
      { name: 'CONNECTION OPEN', address: 'me' },
      { name: 'SERVICE OFFER', address: 'svc', pattern: '^a' },
      { name: 'STREAM READ', stream: 's', pattern: 'x' },
      { name: 'STREAM READ', stream: 't', pattern: '' },
      { name: 'STREAM WRITE', stream: 's' },
      { name: 'STREAM SEND', subject: 'waits' },
    ]);
  });

  it('is what ERROR 500 to a PING means', async () => {
    const client = await broker.connect({ heartbeatMs: 100 });
    client.stream('s').read();
    await settle();
    broker.answer = (command) =>
      command.name === 'CONNECTION PING'
        ? [{ name: 'ERROR', statusCode: 500, statusReason: '' }]
        : usualAnswer(command);
    const first = broker.link;
    await broker.clock.pass(100);
    expect(first.closed).toBe(true);
    await broker.clock.pass(90);
    expect(broker.link.names()).toEqual(['CONNECTION OPEN', 'STREAM READ']);
  });

  it('keeps a command that was not answered, and answers it in the next session', async () => {
    const client = await broker.connect();
    broker.answer = () => [];
    const reader = client.stream('s').read();
    const offering = client.offer('svc', () => 1);
    await settle();
    broker.link.cut(lostConnection);
    broker.answer = usualAnswer;
    await broker.clock.pass(100);
    await reader.ready;
    expect((await offering).service).toBe('svc');
  });

  it('waits longer after each failure, and short again once a session was stable', async () => {
    const client = await broker.connect({ heartbeatMs: 100, brokerTimeoutMs: 1000 });
    const delays: number[] = [];
    client.on('reconnecting', ({ delayMs }) => delays.push(delayMs));
    for (let round = 0; round < 3; round++) {
      broker.link.cut(lostConnection);
      await broker.clock.pass(delays.at(-1) ?? 0);
      expect(client.state).toBe('open');
    }
    await broker.clock.pass(1000);
    broker.link.cut(lostConnection);
    expect(delays).toEqual([75, 150, 300, 75]);
  });

  it('is opened again after an attempt that nobody answers', async () => {
    const client = await broker.connect({ connectTimeoutMs: 1000 });
    broker.answer = () => [];
    broker.link.cut(lostConnection);
    await broker.clock.pass(75 + 1000);
    broker.answer = usualAnswer;
    await broker.clock.pass(150);
    expect(client.state).toBe('open');
    expect(broker.links).toHaveLength(3);
  });

  it('keeps sends within the bounds, refuses more, and sends them in order', async () => {
    const client = await broker.connect({ bufferMessagesMax: 3 });
    broker.link.cut(lostConnection);
    const sends = ['1', '2', '3', '4'].map((subject) => codeOf(client.stream('s').send(subject)));
    expect(await sends[3]).toBe('BUFFER_FULL');
    await broker.clock.pass(100);
    expect(await Promise.all(sends)).toEqual(['resolved', 'resolved', 'resolved', 'BUFFER_FULL']);
    expect(broker.link.ofName('STREAM SEND').map(({ subject }) => subject)).toEqual([
      '1',
      '2',
      '3',
    ]);
  });

  it('sends what the lost socket had not taken, once', async () => {
    const client = await broker.connect();
    await client.stream('s').send('0');
    const first = broker.link;
    first.blocked = true;
    const sends = ['1', '2'].map((subject) => client.stream('s').send(subject));
    await settle();
    first.cut(lostConnection);
    first.unblock();
    await broker.clock.pass(100);
    await Promise.all(sends);
    expect(broker.link.ofName('STREAM SEND').map(({ subject }) => subject)).toEqual(['1', '2']);
  });

  it('is the end where it is not to be opened again', async () => {
    const client = await broker.connect({ reconnect: false });
    const closed: unknown[] = [];
    client.on('closed', (error) => closed.push(error?.code));
    const reader = client.stream('s').read();
    const next = codeOf(reader.next());
    const asking = codeOf(client.request('svc', 'x'));
    broker.link.cut(lostConnection);
    await broker.clock.pass(10_000);
    expect(await Promise.all([next, asking])).toEqual(['DISCONNECTED', 'DISCONNECTED']);
    expect(await codeOf(client.sendTo('a', 'b'))).toBe('DISCONNECTED');
    expect(closed).toEqual(['DISCONNECTED']);
    expect([client.state, broker.links.length, broker.clock.timers]).toEqual(['closed', 1, 0]);
    await client.close();
  });

  it("is lost, too, where the broker sends what is not MLM/1, or a client's command", async () => {
    const client = await broker.connect();
    const reasons: string[] = [];
    client.on('disconnected', (error) => reasons.push(error.message));
    broker.link.bringFrames([Buffer.from('HTTP/1.1 400')]);
    await broker.clock.pass(100);
    broker.link.bring({ name: 'CREDIT', amount: 1 });
    expect(reasons).toEqual([
      expect.stringContaining('not MLM/1'),
      expect.stringContaining('CREDIT'),
    ]);
  });
});

describe('an ERROR other than 500', () => {
  const refusal = { name: 'ERROR', statusCode: 300, statusReason: 'no such luck' } as const;

  it('fails the command that it answers; the others are repeated without it', async () => {
    const client = await broker.connect();
    const reported: MlmError[] = [];
    client.on('error', (error) => reported.push(error));
    broker.answer = (command) =>
      command.name === 'STREAM READ' && command.stream === 'forbidden'
        ? [refusal]
        : usualAnswer(command);
    const allowed = client.stream('s').read();
    const forbidden = client.stream('forbidden').read();
    const next = forbidden.next();
    await expect(forbidden.ready).rejects.toMatchObject({ code: 'REFUSED', status: 300 });
    await expect(next).rejects.toMatchObject({ code: 'REFUSED' });
    await broker.clock.pass(100);
    await allowed.ready;
    expect(broker.link.ofName('STREAM READ').map(({ stream }) => stream)).toEqual(['s']);
    expect(reported).toEqual([]);
  });

  it('fails what waits for a stream that may not be written, and is reported', async () => {
    const client = await broker.connect();
    const reported: string[] = [];
    client.on('error', (error) => reported.push(error.code));
    broker.answer = (command) =>
      command.name === 'STREAM WRITE' ? [refusal] : usualAnswer(command);
    await client.stream('s').send('left already');
    broker.link.blocked = true;
    const waiting = codeOf(client.stream('s').send('waits'));
    await settle();
    expect(await waiting).toBe('REFUSED');
    expect(reported).toEqual(['REFUSED']);
    await broker.clock.pass(100);
    expect(broker.link.ofName('STREAM SEND')).toEqual([]);
  });

  it('is reported where no command is open', async () => {
    const client = await broker.connect();
    const reported: MlmError[] = [];
    client.on('error', (error) => reported.push(error));
    broker.link.bring(refusal);
    expect(reported).toMatchObject([{ code: 'REFUSED', status: 300 }]);
    expect(client.state).toBe('disconnected');
  });
});

describe('writing', () => {
  it('selects a stream before its messages and not more often than needed', async () => {
    const client = await broker.connect();
    const [a, b] = [client.stream('a'), client.stream('b')];
    await Promise.all([a.send('a1'), a.send('a2'), b.send('b1'), a.send('a3')]);
    await a.send('a4');
    const told = broker.link.sent.slice(1).map((command) => {
      if (command.name === 'STREAM WRITE') return `WRITE ${command.stream}`;
      return command.name === 'STREAM SEND' ? command.subject : command.name;
    });
    expect(told).toEqual(['WRITE a', 'a1', 'a2', 'WRITE b', 'b1', 'WRITE a', 'a3', 'a4']);
  });

  it('does not wait for the OK of a selection, and does not mistake it for another', async () => {
    const client = await broker.connect();
    broker.answer = () => [];
    await client.stream('a').send('1');
    const reader = client.stream('b').read();
    let ready = false;
    void reader.ready.then(() => (ready = true));
    broker.link.bring(OK);
    await settle();
    expect(ready).toBe(false);
    broker.link.bring(streamDelivery('between', 'x', 'b'));
    broker.link.bring(OK);
    await reader.ready;
    expect((await reader.next()).value?.subject).toBe('between');
  });

  it('can be aborted while the message waits', async () => {
    const client = await broker.connect();
    broker.link.cut(lostConnection);
    const controller = new AbortController();
    const stream = client.stream('s');
    const taken = codeOf(stream.send('1', 1, { signal: controller.signal }));
    const kept = codeOf(stream.send('2'));
    controller.abort();
    expect(await taken).toBe('ABORTED');
    await broker.clock.pass(100);
    expect(await kept).toBe('resolved');
    expect(broker.link.ofName('STREAM SEND').map(({ subject }) => subject)).toEqual(['2']);
  });

  it.each([
    ['a subject that is too long', 'x'.repeat(256)],
    ['a subject that is too long as UTF-8', '€'.repeat(86)],
  ])('refuses %s', async (_, subject) => {
    const client = await broker.connect();
    expect(await codeOf(client.stream('s').send(subject))).toBe('INVALID_ARGUMENT');
    await client.stream('s').send('x'.repeat(255));
  });
});

describe('close', () => {
  it('sends what waits, then CLOSE, and resolves at its OK', async () => {
    const client = await broker.connect();
    broker.link.blocked = true;
    const sent = codeOf(client.stream('s').send('last'));
    const closing = client.close();
    await settle();
    expect(client.state).toBe('closing');
    broker.link.unblock();
    await closing;
    expect(await sent).toBe('resolved');
    expect(broker.link.names().slice(-2)).toEqual(['STREAM SEND', 'CONNECTION CLOSE']);
    expect([client.state, broker.link.closed, broker.clock.timers]).toEqual(['closed', true, 0]);
  });

  it('ends in its time where the broker does not answer', async () => {
    const client = await broker.connect({ closeTimeoutMs: 300 });
    broker.answer = () => [];
    const closing = client.close();
    await broker.clock.pass(300);
    await closing;
    expect(broker.link.closed).toBe(true);
  });

  it('ends in its time where the socket takes nothing; what waits fails', async () => {
    const client = await broker.connect({ closeTimeoutMs: 300 });
    broker.link.blocked = true;
    const sent = codeOf(client.stream('s').send('x'));
    const closing = client.close();
    await broker.clock.pass(300);
    await closing;
    expect(await sent).toBe('CLOSED');
  });

  it("is the user's doing, whatever happens meanwhile", async () => {
    const client = await broker.connect();
    const closed: unknown[] = [];
    client.on('closed', (error) => closed.push(error));
    broker.answer = () => [];
    const closing = client.close();
    broker.link.cut(lostConnection);
    await closing;
    expect(closed).toEqual([undefined]);
  });

  it('leaves no listener on any signal', async () => {
    const client = await broker.connect();
    const { signal } = new AbortController();
    const reader = client.stream('s').read({ signal });
    const loop = (async () => {
      for await (const mail of client.mailbox({ signal })) await mail.confirm();
    })();
    const others = [
      codeOf(client.stream('s').send('x', 1, { signal })),
      codeOf(client.sendTo('a', 'b', 1, { signal, confirm: true })),
      codeOf(client.request('svc', 'x', 1, { signal })),
    ];
    expect(getEventListeners(signal, 'abort')).toHaveLength(5);
    await client.close();
    await Promise.all([loop, ...others]);
    expect((await reader.next()).done).toBe(true);
    expect(getEventListeners(signal, 'abort')).toHaveLength(0);
  });

  it('ends at once where there is no session and nothing waits', async () => {
    const client = await broker.connect();
    broker.link.cut(lostConnection);
    const closing = client.close();
    expect([client.state, broker.links.length, broker.clock.timers]).toEqual(['closed', 1, 0]);
    await closing;
  });

  it('ends all that waits with CLOSED, lets readers take what they have, refuses the rest', async () => {
    const client = await broker.connect();
    const closed: unknown[] = [];
    client.on('closed', (error) => closed.push(error));
    const reader = client.stream('s').read();
    await reader.ready;
    broker.link.bring(streamDelivery('had'));
    const mail = client.mailbox().next();
    const asking = codeOf(client.request('svc', 'x'));
    const confirming = codeOf(client.sendTo('a', 'b', 1, { confirm: true }));
    broker.answer = () => [];
    const pinging = codeOf(client.ping());
    broker.answer = usualAnswer;
    await client.close();
    expect(await Promise.all([asking, confirming, pinging])).toEqual([
      'CLOSED',
      'CLOSED',
      'CLOSED',
    ]);
    expect((await mail).done).toBe(true);
    expect((await reader.next()).value?.subject).toBe('had');
    expect((await reader.next()).done).toBe(true);
    expect(closed).toEqual([undefined]);
    for (const late of [
      client.stream('s').send('x'),
      client.sendTo('a', 'b'),
      client.request('a', 'b'),
      client.offer('a', () => 1),
      client.ping(),
    ]) {
      expect(await codeOf(late)).toBe('CLOSED');
    }
    expect(() => client.stream('s').read()).toThrow(MlmError);
    expect(() => client.mailbox()).toThrow(MlmError);
    await client.close();
  });

  it('may be called by who is told that the session is lost', async () => {
    const client = await broker.connect();
    client.on('disconnected', () => void client.close());
    const attempts: unknown[] = [];
    client.on('reconnecting', (attempt) => attempts.push(attempt));
    broker.link.cut(lostConnection);
    await broker.clock.pass(10_000);
    expect([client.state, attempts.length, broker.clock.timers]).toEqual(['closed', 0, 0]);
  });
});

describe('events', () => {
  it('reach each listener, once where asked, none that was taken off', async () => {
    const client = await broker.connect();
    const heard: string[] = [];
    const off = (): void => void heard.push('off');
    client.on('disconnected', off).off('disconnected', off);
    client.once('disconnected', () => heard.push('once'));
    client.on('disconnected', () => heard.push('on'));
    for (let round = 0; round < 2; round++) {
      broker.link.cut(lostConnection);
      await broker.clock.pass(1000);
    }
    expect(heard).toEqual(['once', 'on', 'on']);
  });

  it('that nobody listens for become warnings where they are errors', async () => {
    await broker.connect();
    const warnings: unknown[] = [];
    const emitWarning = process.emitWarning.bind(process);
    process.emitWarning = (...what: unknown[]) => void warnings.push(what);
    try {
      broker.link.bring({ name: 'ERROR', statusCode: 300, statusReason: 'no reason' });
    } finally {
      process.emitWarning = emitWarning;
    }
    expect(warnings).toEqual([
      [expect.stringContaining('no reason'), { type: 'MlmError', code: 'REFUSED' }],
    ]);
  });
});
