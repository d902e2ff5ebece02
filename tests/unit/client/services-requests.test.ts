// The requester's side of services in native sessions: what a request asks for,
// what comes back while it is worked on, and what becomes of those that nobody
// waits for any more.
import { encodeBody } from '../../../client/body.js';
import type { MlmClient } from '../../../client/client.js';
import { MlmError } from '../../../client/errors.js';
import type { RequestOptions } from '../../../client/requests.js';
import { encodeWorkerError } from '../../../client/worker-error.js';
import type { NativeCommand } from '../../../protocol/index.js';
import { settle } from './fakes.js';
import { NativeFakeBroker, nativeMail, Refusal, SILENCE } from './native-fakes.js';
import { failureOf } from '../../support/failure.js';

let broker: NativeFakeBroker;
let client: MlmClient;
beforeEach(async () => {
  broker = new NativeFakeBroker();
  client = await broker.connect();
});
afterEach(async () => {
  const closed = client.close();
  await broker.clock.pass(5000);
  await closed;
});

const requests = (): NativeCommand<'SERVICE SEND'>[] => broker.link.ofName('SERVICE SEND');
const trackerOf = (index: number): string => requests()[index]!.tracker;
const cancelled = (): unknown[] => broker.link.calls('request.cancel');
const confirmed = (): number[] =>
  broker.link.ofName('CONFIRM DELIVERY').map(({ delivery }) => delivery);

function progressed(tracker: string, kind: number, body: unknown): NativeCommand<'PROGRESSED'> {
  return { name: 'PROGRESSED', tracker, kind, content: encodeBody(body) };
}

function confirm(tracker: string, statusCode: number, statusReason = ''): NativeCommand<'CONFIRM'> {
  return { name: 'CONFIRM', tracker, statusCode, statusReason };
}

describe('a request', () => {
  it('carries what it asks for', async () => {
    const options: RequestOptions = {
      timeoutMs: 10_000,
      priority: 3,
      delayMs: 100,
      deadlineMs: 5000,
      key: 'album 7',
      needs: { gpu: true, vramMb: { min: 8000, max: undefined }, models: ['a', 'b'] },
      prefers: { models: 'a' },
      settleMs: 200,
    };
    void failureOf(client.request('svc', 'x', 'body', options));
    void failureOf(client.request('svc', 'plain'));
    await settle();
    expect(requests()[0]).toMatchObject({
      timeout: 9500,
      priority: 3,
      delay: 100,
      deadline: 5000,
      job: 0,
      key: 'album 7',
      wants: {
        needs: { gpu: true, vramMb: { min: 8000 }, models: ['a', 'b'] },
        prefers: { models: 'a' },
        settleMs: 200,
      },
    });
    expect(requests()[0]?.wants).toStrictEqual({
      needs: { gpu: true, vramMb: { min: 8000 }, models: ['a', 'b'] },
      prefers: { models: 'a' },
      settleMs: 200,
    });
    expect(requests()[1]).toMatchObject({ deadline: 0, job: 0, key: '', wants: undefined });
  });

  it.each<[RequestOptions, string]>([
    [{ key: 'x'.repeat(256) }, 'key'],
    [{ deadlineMs: 0 }, 'deadlineMs is 0'],
    [{ deadlineMs: 100, delayMs: 100 }, 'delayMs is 100: the request would be given up before'],
    [{ settleMs: 5 }, 'settleMs means nothing without prefers'],
    [{ prefers: { a: 1 }, settleMs: -1 }, 'settleMs is -1'],
    [{ needs: { gpu: null as never } }, 'needs: "gpu" must be a value'],
    [{ needs: { vramMb: { least: 1 } as never } }, 'needs: "vramMb" must be a value'],
    [{ needs: { vramMb: {} } }, 'needs: "vramMb" must be a value'],
    [{ needs: { '': 1 } }, "needs: a label's name has 1 to 100 characters"],
    [{ prefers: { a: ['x'.repeat(70_000)] } }, 'octets; the wire takes 65535'],
    [{ needs: Object.fromEntries(Array.from({ length: 65 }, (_, n) => [n, 1])) }, '65 labels'],
  ])('that cannot be is refused: %j', async (options, message) => {
    const failure = await failureOf(client.request('svc', 'x', '', options));
    expect(failure.code).toBe('INVALID_ARGUMENT');
    expect(failure.message).toContain(message);
    expect(requests()).toEqual([]);
  });

  it('is told of progress and parts, in order, until it is answered', async () => {
    const told: unknown[] = [];
    const asking = client.request('svc', 'x', '', {
      onProgress: (progress) => told.push(progress),
      onPartial: (part) => told.push([part.subject, part.value()]),
    });
    await settle();
    const tracker = trackerOf(0);
    broker.link.bring(
      progressed(tracker, 1, { fraction: 0.5, note: 'half', more: 1 }),
      progressed(tracker, 2, 'a'),
      progressed(tracker, 2, 'b'),
      progressed(tracker, 1, 'no map'),
      progressed('somebody else', 1, { fraction: 1 }),
      progressed(tracker, 9, 'of a kind to come'),
      nativeMail(1, { tracker, content: encodeBody('reply') }),
      progressed(tracker, 2, 'late'),
    );
    expect((await asking).value()).toBe('reply');
    expect(told).toEqual([{ fraction: 0.5, note: 'half' }, ['x', 'a'], ['x', 'b'], {}]);
  });

  it.each([
    [408, 'it was not done by its deadline', 'EXPIRED'],
    [410, 'cancelled by boss', 'CANCELLED'],
    [300, 'bad-input: no picture', 'WORKER_ERROR'],
  ])('that will not be done rejects (%i)', async (status, reason, code) => {
    const asking = failureOf(client.request('svc', 'x'));
    await settle();
    broker.link.bring(confirm(trackerOf(0), 200), confirm(trackerOf(0), status, reason));
    const failure = await asking;
    expect(failure).toMatchObject({ code, status });
    expect(failure.message).toContain(reason);
    expect(cancelled()).toEqual([]);
  });
});

describe('a request that nobody waits for any more', () => {
  it('is cancelled when its signal fires or its time is over', async () => {
    const controller = new AbortController();
    const { signal } = controller;
    const aborted = failureOf(client.request('svc', 'a', '', { signal }));
    const late = failureOf(client.request('other', 'b', '', { timeoutMs: 1000 }));
    await settle();
    controller.abort();
    await broker.clock.pass(1000);
    expect([(await aborted).code, (await late).code]).toEqual(['ABORTED', 'TIMEOUT']);
    expect(cancelled()).toEqual([
      { service: 'svc', tracker: trackerOf(0) },
      { service: 'other', tracker: trackerOf(1) },
    ]);
  });

  it('is not cancelled where it never left', async () => {
    broker.link.blocked = true;
    void client.sendTo('somebody', 'takes the socket');
    await settle();
    const controller = new AbortController();
    const asking = failureOf(client.request('svc', 'a', '', controller));
    controller.abort();
    broker.link.unblock();
    await settle();
    expect((await asking).code).toBe('ABORTED');
    expect([requests(), cancelled()]).toEqual([[], []]);
  });

  it('is cancelled in the next session, where there is none', async () => {
    broker.accepts = false;
    const asking = failureOf(client.request('svc', 'a', '', { timeoutMs: 1000 }));
    await settle();
    const tracker = trackerOf(0);
    broker.script = () => SILENCE;
    await broker.clock.pass(1000);
    expect(cancelled()).toEqual([{ service: 'svc', tracker }]);
    broker.link.cut(new MlmError('DISCONNECTED', 'cut'));
    await broker.clock.pass(1000);
    expect((await asking).code).toBe('TIMEOUT');
    expect(broker.links).toHaveLength(2);
    // Whether the first one was heard is unknown: it is said again.
    expect(cancelled()).toEqual([{ service: 'svc', tracker }]);
  });

  it('is taken back from what is to be sent again, and cancelled all the same', async () => {
    broker.accepts = false;
    const controller = new AbortController();
    const asking = failureOf(client.request('svc', 'a', '', controller));
    await settle();
    const tracker = trackerOf(0);
    broker.link.cut(new MlmError('DISCONNECTED', 'cut'));
    controller.abort();
    await broker.clock.pass(1000);
    expect((await asking).code).toBe('ABORTED');
    expect(requests()).toEqual([]);
    expect(cancelled()).toEqual([{ service: 'svc', tracker }]);
  });

  it('is cancelled at the close of the client', async () => {
    const asking = failureOf(client.request('svc', 'a'));
    await settle();
    await client.close();
    expect((await asking).code).toBe('CLOSED');
    expect(cancelled()).toEqual([{ service: 'svc', tracker: trackerOf(0) }]);
  });

  it('is not cancelled once it was answered, or refused', async () => {
    const asking = client.request('svc', 'a');
    await settle();
    broker.link.bring(nativeMail(1, { tracker: trackerOf(0) }));
    await asking;
    const refused = failureOf(client.request('svc', 'b'));
    await settle();
    broker.link.bring(confirm(trackerOf(1), 300, 'no'));
    await refused;
    await client.close();
    expect(cancelled()).toEqual([]);
  });
});

describe('a reply that nobody waits for', () => {
  const dropped: string[] = [];
  beforeEach(() => {
    dropped.length = 0;
    client.on('dropped', ({ from, subject }) => dropped.push(`${from} ${subject}`));
  });

  it('is taken out of the mailbox, and told of', async () => {
    const asking = failureOf(client.request('svc', 'a', '', { timeoutMs: 1000 }));
    await broker.clock.pass(1000);
    await asking;
    broker.link.bring(nativeMail(5, { subject: 'a', tracker: trackerOf(0) }));
    await settle();
    expect([dropped, confirmed()]).toEqual([['reply a'], [5]]);
  });

  it('is fetched, though it came while there was no session', async () => {
    broker.script = () => {
      throw new Refusal('there is no such request');
    };
    const asking = failureOf(client.request('svc', 'a', '', { timeoutMs: 500 }));
    await settle();
    const tracker = trackerOf(0);
    await broker.clock.pass(450);
    broker.link.cut(new MlmError('DISCONNECTED', 'cut'));
    await broker.clock.pass(1000);
    await asking;
    expect(broker.links).toHaveLength(2);
    const granted = broker.link.ofName('CREDIT').reduce((sum, { amount }) => sum + amount, 0);
    expect(granted).toBeGreaterThan(0);
    broker.link.bring(nativeMail(1, { subject: 'a', tracker }));
    await settle();
    expect([dropped, confirmed()]).toEqual([['reply a'], [1]]);
  });

  it('is not fetched for ever, nor where the request was cancelled', async () => {
    const cancels = failureOf(client.request('svc', 'a', '', { timeoutMs: 500 }));
    await broker.clock.pass(500);
    await cancels;
    broker.link.cut(new MlmError('DISCONNECTED', 'cut'));
    await broker.clock.pass(1000);
    expect(broker.link.ofName('CREDIT')).toEqual([]);
    broker.script = () => {
      throw new Refusal('there is no such request');
    };
    const finished = failureOf(client.request('svc', 'b', '', { timeoutMs: 500 }));
    await broker.clock.pass(500);
    await finished;
    await broker.clock.pass(120_000);
    broker.link.cut(new MlmError('DISCONNECTED', 'cut'));
    await broker.clock.pass(1000);
    expect(broker.link.ofName('CREDIT')).toEqual([]);
  });

  it('to who had the address before is no mail either', async () => {
    const reader = client.mailbox();
    await settle();
    broker.link.bring(
      nativeMail(1, { subject: 'old', tracker: 'r-0123456789ab-17' }),
      nativeMail(2, { subject: 'mail', tracker: 'r-mine' }),
    );
    const { value } = await reader.next();
    expect([value?.subject, dropped]).toEqual(['mail', ['reply old']]);
  });

  it.each(['first', 'last'])('is no news where it says what the broker said %s', async (order) => {
    const asking = failureOf(client.request('svc', 'a'));
    await settle();
    const tracker = trackerOf(0);
    const word = confirm(tracker, 300, 'bad-input: no');
    const mail = nativeMail(1, { tracker, content: encodeWorkerError('bad-input', 'no') });
    if (order === 'first') broker.link.bring(word, mail);
    else broker.link.bring(mail, word);
    expect(await asking).toMatchObject({ code: 'WORKER_ERROR', workerCode: 'bad-input' });
    await settle();
    expect([dropped, confirmed()]).toEqual([[], [1]]);
  });
});

describe('on MLM/1', () => {
  it.each<[RequestOptions, string]>([
    [{ deadlineMs: 100 }, 'a deadline'],
    [{ key: 'k' }, 'a key'],
    [{ needs: { gpu: true } }, 'needs or prefers'],
    [{ id: 'j1' }, 'a job'],
  ])('%j is not supported', async (options, what) => {
    const { FakeBroker } = await import('./fakes.js');
    const plain = await new FakeBroker().connect({ protocol: 'v1' });
    const failure = await failureOf(plain.request('svc', 'x', '', options));
    expect(failure.code).toBe('UNSUPPORTED');
    expect(failure.message).toContain(what);
    await plain.close();
  });
});
