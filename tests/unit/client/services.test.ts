// Services from both sides: requests and replies, offers and their end.
import type { MlmClient } from '../../../client/client.js';
import { MlmError } from '../../../client/errors.js';
import { encodeBody } from '../../../client/body.js';
import { encodeWorkerError, readWorkerError } from '../../../client/worker-error.js';
import type { Command } from '../../../protocol/index.js';
import { FakeBroker, mailDelivery, requestDelivery, settle, usualAnswer } from './fakes.js';

let broker: FakeBroker;
let client: MlmClient;
beforeEach(async () => {
  broker = new FakeBroker();
  client = await broker.connect();
});

async function codeOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => 'resolved',
    (error: unknown) => (error as MlmError).code,
  );
}

const requests = (): Command<'SERVICE SEND'>[] => broker.link.ofName('SERVICE SEND');
const replies = (): Command<'MAILBOX SEND'>[] => broker.link.ofName('MAILBOX SEND');
const trackerOf = (index: number): string => (requests()[index] as { tracker: string }).tracker;
const workerCodeOf = (reply: Command<'MAILBOX SEND'> | undefined): string | undefined =>
  readWorkerError('', reply?.content ?? [])?.workerCode;

describe('request', () => {
  it('sends a tracked request and resolves with the reply of that tracker', async () => {
    const first = client.request('svc', 'a', Buffer.from('1'));
    const second = client.request('svc', 'b');
    await settle();
    expect(requests()[0]).toMatchObject({
      address: 'svc',
      subject: 'a',
      content: [Buffer.from('1')],
    });
    expect(trackerOf(0)).not.toBe(trackerOf(1));
    broker.link.bring(mailDelivery('b', trackerOf(1), encodeBody({ n: 2 })));
    broker.link.bring(mailDelivery('a', trackerOf(0), [Buffer.from('x'), Buffer.from('y')]));
    const reply = await second;
    expect([reply.subject, reply.sender, reply.value()]).toEqual(['b', 'friend', { n: 2 }]);
    expect((await first).content).toEqual([Buffer.from('x'), Buffer.from('y')]);
  });

  it('leaves other mail to the mailbox: a reply without the tracker is only mail', async () => {
    const asking = codeOf(client.request('svc', 'a', 1, { timeoutMs: 100 }));
    await settle();
    broker.link.bring(mailDelivery('a'));
    broker.link.bring(mailDelivery('a', 'somebody else'));
    await broker.clock.pass(100);
    expect(await asking).toBe('TIMEOUT');
    const mailbox = client.mailbox();
    expect((await mailbox.next()).value?.tracker).toBe('');
    expect((await mailbox.next()).value?.tracker).toBe('somebody else');
  });

  it('rejects with what the worker threw', async () => {
    const asking = client.request('svc', 'a');
    await settle();
    broker.link.bring(mailDelivery('a', trackerOf(0), encodeWorkerError('E42', 'the reason')));
    await expect(asking).rejects.toMatchObject({ code: 'WORKER_ERROR', workerCode: 'E42' });
    await expect(asking).rejects.toThrow('the reason');
  });

  it.each([
    [408, 'EXPIRED'],
    [300, 'REFUSED'],
  ])('rejects at CONFIRM %i with %s, and waits on at 200', async (statusCode, code) => {
    const asking = codeOf(client.request('svc', 'a'));
    await settle();
    const tracker = trackerOf(0);
    broker.link.bring({ name: 'CONFIRM', tracker, statusCode: 200, statusReason: '' });
    broker.link.bring({ name: 'CONFIRM', tracker, statusCode, statusReason: '' });
    expect(await asking).toBe(code);
  });

  it('lets the broker give it up before it times out here', async () => {
    client.request('svc', 'a', 1, { timeoutMs: 10_000 }).catch(() => undefined);
    client.request('svc', 'a', 1, { timeoutMs: 1 }).catch(() => undefined);
    await settle();
    expect(requests().map(({ timeout }) => timeout)).toEqual([9500, 1]);
  });

  it('drops a reply that comes too late, and tells', async () => {
    const dropped: string[] = [];
    client.on('dropped', ({ from, subject }) => dropped.push(`${from} ${subject}`));
    const asking = codeOf(client.request('svc', 'a', 1, { timeoutMs: 100 }));
    await broker.clock.pass(100);
    expect(await asking).toBe('TIMEOUT');
    broker.link.bring(mailDelivery('a', trackerOf(0)));
    expect(dropped).toEqual(['reply a']);
  });

  it('can be aborted; one that has not left never leaves', async () => {
    broker.link.cut(new MlmError('DISCONNECTED', 'cut'));
    const controller = new AbortController();
    const aborted = codeOf(client.request('svc', 'a', 1, { signal: controller.signal }));
    const late = codeOf(client.request('svc', 'b', 1, { timeoutMs: 10 }));
    client.request('svc', 'c').catch(() => undefined);
    controller.abort();
    await broker.clock.pass(100);
    expect(await Promise.all([aborted, late])).toEqual(['ABORTED', 'TIMEOUT']);
    expect(requests().map(({ subject }) => subject)).toEqual(['c']);
  });

  it('outlives its session: the reply may come in the next one', async () => {
    const asking = client.request('svc', 'a');
    await settle();
    const tracker = trackerOf(0);
    broker.link.cut(new MlmError('DISCONNECTED', 'cut'));
    await broker.clock.pass(100);
    expect(broker.links).toHaveLength(2);
    expect(requests()).toEqual([]);
    broker.link.bring(mailDelivery('a', tracker));
    expect((await asking).subject).toBe('a');
  });

  it('is not for the anonymous, and says why', async () => {
    const anonymous = await broker.connect({ address: '' });
    const error = await anonymous
      .request('svc', 'a')
      .catch((caught: unknown) => caught as MlmError);
    expect(error).toMatchObject({ code: 'UNSUPPORTED' });
    expect((error as MlmError).message).toContain('address');
  });

  it('rejects where there is no room to send it, or no sense in it', async () => {
    const small = await broker.connect({ bufferMessagesMax: 1 });
    broker.link.blocked = true;
    const first = codeOf(small.request('svc', 'a', 1, { timeoutMs: 100 }));
    await settle();
    expect(await codeOf(small.request('svc', 'b'))).toBe('BUFFER_FULL');
    expect(await codeOf(small.request('svc', 'c', 1, { timeoutMs: 0 }))).toBe('INVALID_ARGUMENT');
    expect(await codeOf(small.request('', 'c'))).toBe('INVALID_ARGUMENT');
    expect(await codeOf(small.request('svc', 'c', () => 1))).toBe('INVALID_ARGUMENT');
    await broker.clock.pass(100);
    expect(await first).toBe('TIMEOUT');
  });
});

describe('offer', () => {
  it('replies with what the handler returns, under the subject and tracker of the request', async () => {
    await client.offer('svc', ({ subject, service, sender }) => ({ subject, service, sender }));
    broker.link.bring(requestDelivery('a', 'T1'));
    await settle();
    expect(replies()).toMatchObject([
      { address: 'asker', subject: 'a', tracker: 'T1', timeout: 0 },
    ]);
    expect(replies()[0]?.content).toEqual(
      encodeBody({ subject: 'a', service: 'svc', sender: 'asker' }),
    );
  });

  it('replies with an error where the handler throws, or returns what cannot be sent', async () => {
    await client.offer('svc', ({ subject }) => {
      if (subject === 'throw') throw new TypeError('no');
      if (subject === 'reject') return Promise.reject(new RangeError('no'));
      return () => 'a function';
    });
    for (const subject of ['throw', 'reject', 'return']) {
      broker.link.bring(requestDelivery(subject));
    }
    await settle();
    expect(replies().map(workerCodeOf)).toEqual(['TypeError', 'RangeError', 'INVALID_ARGUMENT']);
  });

  it('sends nothing to an anonymous requester', async () => {
    let handled = 0;
    await client.offer('svc', () => ++handled);
    broker.link.bring({ ...(requestDelivery('a') as Command<'SERVICE DELIVER'>), sender: '' });
    await settle();
    expect([handled, replies().length]).toEqual([1, 0]);
  });

  it('runs as many handlers as allowed, the others wait in order', async () => {
    const finish: (() => void)[] = [];
    const begun: string[] = [];
    const offer = await client.offer('svc', { concurrency: 2 }, async ({ subject }) => {
      begun.push(subject);
      await new Promise<void>((resolve) => finish.push(resolve));
    });
    for (const subject of ['1', '2', '3', '4']) broker.link.bring(requestDelivery(subject));
    await settle();
    expect([begun, offer.running, offer.waiting]).toEqual([['1', '2'], 2, 2]);
    finish[1]?.();
    await settle();
    expect([begun, offer.running, offer.waiting]).toEqual([['1', '2', '3'], 2, 1]);
    expect(replies().map(({ subject }) => subject)).toEqual(['2']);
  });

  it('brings each request to the offer whose pattern matches', async () => {
    await client.offer('svc', { pattern: '^a' }, () => 'a');
    await client.offer('svc', { pattern: '^b' }, () => 'b');
    await client.offer('other', () => 'other');
    for (const subject of ['b1', 'a1', 'what the broker matched otherwise']) {
      broker.link.bring(requestDelivery(subject));
    }
    broker.link.bring(requestDelivery('b1', 't', 'other'));
    await settle();
    const answered = replies().map(({ subject, content }) => `${subject}: ${content.join('')}`);
    expect(answered.sort()).toEqual([
      `a1: ${encodeBody('a').join('')}`,
      `b1: ${encodeBody('b').join('')}`,
      `b1: ${encodeBody('other').join('')}`,
      `what the broker matched otherwise: ${encodeBody('a').join('')}`,
    ]);
  });

  it('answers what it has no room for, and tells', async () => {
    client = await broker.connect({ bufferMessagesMax: 1 });
    const dropped: string[] = [];
    client.on('dropped', ({ from, name }) => dropped.push(`${from} ${name}`));
    await client.offer('svc', () => new Promise(() => undefined));
    client.request('other', 'x').catch(() => undefined);
    await settle();
    for (let n = 0; n < 6; n++) broker.link.bring(requestDelivery(String(n)));
    await settle();
    expect(replies().map(workerCodeOf)).toEqual(['OVERLOADED']);
    expect(dropped).toEqual(['service svc']);
  });

  it('is made once for a pattern, and again after it has stopped', async () => {
    const offer = await client.offer('svc', () => 1);
    expect(await codeOf(client.offer('svc', () => 2))).toBe('INVALID_ARGUMENT');
    await offer.stop();
    expect(await codeOf(client.offer('svc', () => 2))).toBe('resolved');
  });

  it('rejects where the broker refuses it', async () => {
    broker.answer = (command) =>
      command.name === 'SERVICE OFFER'
        ? [{ name: 'ERROR', statusCode: 300, statusReason: 'no' }]
        : usualAnswer(command);
    expect(await codeOf(client.offer('svc', () => 1))).toBe('REFUSED');
    await broker.clock.pass(1000);
    expect(broker.link.names()).not.toContain('SERVICE OFFER');
  });

  it('answers what waits where it is refused in a later session', async () => {
    client.on('error', () => undefined);
    await client.offer('svc', () => new Promise(() => undefined));
    for (const subject of ['running', 'waiting']) broker.link.bring(requestDelivery(subject));
    broker.answer = (command) =>
      command.name === 'SERVICE OFFER'
        ? [{ name: 'ERROR', statusCode: 300, statusReason: 'no' }]
        : usualAnswer(command);
    broker.link.cut(new MlmError('DISCONNECTED', 'cut'));
    await broker.clock.pass(1000);
    expect(replies().map((reply) => [reply.subject, workerCodeOf(reply)])).toEqual([
      ['waiting', 'STOPPED'],
    ]);
  });

  it('is reported where it is refused in a later session', async () => {
    const reported: string[] = [];
    client.on('error', ({ code }) => reported.push(code));
    await client.offer('svc', () => 1);
    broker.answer = (command) =>
      command.name === 'SERVICE OFFER'
        ? [{ name: 'ERROR', statusCode: 300, statusReason: 'no' }]
        : usualAnswer(command);
    broker.link.cut(new MlmError('DISCONNECTED', 'cut'));
    await broker.clock.pass(1000);
    expect(reported).toEqual(['REFUSED']);
  });

  it('can be aborted before the broker accepts it', async () => {
    broker.answer = () => [];
    const controller = new AbortController();
    const offering = codeOf(client.offer('svc', { signal: controller.signal }, () => 1));
    await settle();
    controller.abort();
    expect(await offering).toBe('ABORTED');
  });
});

describe('stop', () => {
  it('lets the running handlers finish, answers the rest, and begins a session without it', async () => {
    let finish: (value: string) => void = () => undefined;
    const offer = await client.offer('svc', () => new Promise((resolve) => (finish = resolve)));
    const reader = client.stream('s').read();
    await reader.ready;
    broker.link.bring(requestDelivery('running', '1'));
    broker.link.bring(requestDelivery('waiting', '2'));
    const first = broker.link;
    let stopped = false;
    const stopping = offer.stop().then(() => (stopped = true));
    first.bring(requestDelivery('late', '3'));
    await settle();
    expect(first.names().at(-1)).toBe('CONNECTION CLOSE');
    expect(broker.link.names()).toEqual([
      'CONNECTION OPEN',
      'STREAM READ',
      'MAILBOX SEND',
      'MAILBOX SEND',
    ]);
    expect(replies().map((reply) => [reply.subject, workerCodeOf(reply)])).toEqual([
      ['waiting', 'STOPPED'],
      ['late', 'STOPPED'],
    ]);
    expect(stopped).toBe(false);
    finish('done');
    await stopping;
    await settle();
    expect(replies()[2]).toMatchObject({ subject: 'running', content: encodeBody('done') });
    expect(broker.links).toHaveLength(2);
  });

  it('is one for several callers, and for the signal', async () => {
    const controller = new AbortController();
    const offer = await client.offer('svc', { signal: controller.signal }, () => 1);
    controller.abort();
    await Promise.all([offer.stop(), offer.stop()]);
    await settle();
    expect(broker.links).toHaveLength(2);
    expect(broker.link.names()).toEqual(['CONNECTION OPEN']);
  });

  it('needs no broker', async () => {
    const offer = await client.offer('svc', () => 1);
    broker.link.cut(new MlmError('DISCONNECTED', 'cut'));
    await offer.stop();
    await broker.clock.pass(1000);
    expect(broker.link.names()).toEqual(['CONNECTION OPEN']);
  });

  it('does not wait for ever for a broker that does not answer', async () => {
    client = await broker.connect({ closeTimeoutMs: 100 });
    const offer = await client.offer('svc', () => 1);
    broker.answer = () => [];
    const stopping = offer.stop();
    await broker.clock.pass(100);
    await stopping;
  });
});

describe('close', () => {
  it('tells the handlers that run, and answers what waits', async () => {
    let signal: AbortSignal | undefined;
    await client.offer('svc', (request) => {
      signal = request.signal;
      return new Promise(() => undefined);
    });
    broker.link.bring(requestDelivery('running', '1'));
    broker.link.bring(requestDelivery('waiting', '2'));
    await client.close();
    expect(signal?.aborted).toBe(true);
    expect(replies().map(workerCodeOf)).toEqual(['STOPPED']);
  });
});
