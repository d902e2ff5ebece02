// The worker's side of services in native sessions: what is said of a request
// while it is worked on and in the end, leases, and what is taken back.
import { decode as unpack } from '@msgpack/msgpack';
import { encodeBody } from '../../../client/body.js';
import type { MlmClient } from '../../../client/client.js';
import { MlmError } from '../../../client/errors.js';
import type { ServiceRequest } from '../../../client/service-request.js';
import { RequestFailure } from '../../../client/worker-error.js';
import { settle } from './fakes.js';
import { NativeFakeBroker, nativeRequest, Refusal, revoked } from './native-fakes.js';

let broker: NativeFakeBroker;
let client: MlmClient;
beforeEach(async () => {
  broker = new NativeFakeBroker();
  client = await broker.connect();
});
afterEach(() => client.close());

/** Handlers that begin at once and end when the test says so. */
class Gate {
  readonly requests: ServiceRequest[] = [];
  readonly #open: ((result: unknown) => void)[] = [];

  readonly handle = (request: ServiceRequest): Promise<unknown> => {
    this.requests.push(request);
    return new Promise((resolve) => this.#open.push(resolve));
  };

  /** Lets the oldest handler end. */
  release(result: unknown = 'done'): void {
    this.#open.shift()?.(result);
  }
}

/** What was said of deliveries, in order: the name and the number, and what goes with them. */
function said(): unknown[] {
  return broker.link.said.flatMap((command): unknown[] => {
    switch (command.name) {
      case 'REPLY':
        return [['REPLY', command.delivery, String(command.content[0] ?? '')]];
      case 'CONFIRM DELIVERY':
        return [[command.statusCode, command.delivery, command.statusReason]];
      case 'EXTEND':
        return [['EXTEND', command.delivery]];
      case 'PROGRESS':
        return [[command.kind, command.delivery, unpack(command.content[0] as Buffer)]];
      case 'STREAM SEND':
      case 'SERVICE SEND':
        return [command.name];
      default:
        return [];
    }
  });
}

const text = (value: string): Buffer => Buffer.from(value);

async function codeOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => 'resolved',
    (error: unknown) => (error as MlmError).code,
  );
}

describe('a request', () => {
  it('is answered by REPLY, which is no sending', async () => {
    await client.offer('svc', ({ subject }) => text(`done ${subject}`));
    broker.link.bring(nativeRequest(1), nativeRequest(2, { sender: '' }));
    await settle();
    expect(said()).toEqual([
      ['REPLY', 1, 'done r1'],
      ['REPLY', 2, 'done r2'],
    ]);
    expect(broker.link.ofName('MAILBOX SEND')).toEqual([]);
  });

  it.each(['x', 'ä', '日', '😀'])(
    'fails with as much of the reason as the wire takes (%s)',
    async (character) => {
      const message = character.repeat(300);
      await client.offer('svc', () => {
        throw new RequestFailure('bad-input', message);
      });
      broker.link.bring(nativeRequest(1));
      await settle();
      const [[status, , reason]] = said() as [[number, number, string]];
      expect(status).toBe(400);
      expect(`bad-input: ${message}`.startsWith(reason)).toBe(true);
      const bytes = Buffer.byteLength(reason);
      expect(bytes).toBeLessThanOrEqual(255);
      expect(bytes + Buffer.byteLength(character)).toBeGreaterThan(255);
    },
  );

  it('has what the broker says of it', async () => {
    const gate = new Gate();
    await client.offer('svc', gate.handle);
    broker.link.bring(nativeRequest(7, { attempt: 3 }));
    await settle();
    expect(gate.requests[0]).toMatchObject({
      service: 'svc',
      sender: 'asker',
      subject: 'r7',
      tracker: 't7',
      attempt: 3,
      timeMs: 1_700_000_000_007,
    });
  });

  it.each([
    ['anything', new RangeError('no'), 300, 'RangeError: no'],
    ['failed', new RequestFailure('failed', 'no'), 300, 'failed: no'],
    ['transient', new RequestFailure('transient', 'no'), 300, 'transient: no'],
    ['out of memory', new RequestFailure('out-of-memory', '8 GB'), 300, 'out-of-memory: 8 GB'],
    ['bad input', new RequestFailure('bad-input', 'no picture'), 400, 'bad-input: no picture'],
    ['not ready', new RequestFailure('not-ready', 'loading'), 503, 'not-ready: loading'],
  ])('that fails (%s) is given up with its status and reason', async (_what, thrown, ...word) => {
    await client.offer('svc', () => Promise.reject(thrown));
    broker.link.bring(nativeRequest(1));
    await settle();
    const [status, reason] = word;
    expect(said()).toEqual([[status, 1, reason]]);
  });

  it('whose reply is more than the broker takes is bad input, in words', async () => {
    await client.offer('svc', ({ subject }) =>
      Buffer.alloc(subject === 'r1' ? 1_000_001 : 900_000),
    );
    broker.link.bring(nativeRequest(1));
    await settle();
    broker.link.bring(nativeRequest(2));
    await settle();
    expect(said()).toEqual([
      [
        400,
        1,
        'bad-input: a result of 1000001 octets is more than the broker takes, which is 1000000',
      ],
      ['REPLY', 2, expect.any(String)],
    ]);
  });

  it('is answered behind what its handler sent before', async () => {
    broker.script = (method) => (method === 'write' ? { handle: 1 } : {});
    await client.offer('svc', () => {
      client.stream('log').publish('working');
      return text('done');
    });
    broker.link.bring(nativeRequest(1));
    await settle();
    expect(said()).toEqual(['STREAM SEND', ['REPLY', 1, 'done']]);
  });

  it('is nobody here to do: it is left to others', async () => {
    broker.link.bring(nativeRequest(1, { address: 'other' }));
    await settle();
    expect(said()).toEqual([[503, 1, 'this worker has stopped']]);
  });
});

describe('progress', () => {
  it('is passed on ten times a second at most, the last word before the reply', async () => {
    const gate = new Gate();
    await client.offer('svc', gate.handle);
    broker.link.bring(nativeRequest(1));
    await settle();
    const [request] = gate.requests;
    for (const fraction of [0.1, 0.2, 0.3]) request?.progress(fraction);
    await broker.clock.pass(50);
    request?.progress(0.4, 'nearly');
    await broker.clock.pass(50);
    expect(said()).toEqual([
      [1, 1, { fraction: 0.1 }],
      [1, 1, { fraction: 0.4, note: 'nearly' }],
    ]);
    await broker.clock.pass(1000);
    request?.progress(0.5);
    request?.progress(1, 'done');
    gate.release(text('reply'));
    await settle();
    expect(said().slice(2)).toEqual([
      [1, 1, { fraction: 0.5 }],
      [1, 1, { fraction: 1, note: 'done' }],
      ['REPLY', 1, 'reply'],
    ]);
    request?.progress(0.1);
    await broker.clock.pass(1000);
    expect(said()).toHaveLength(5);
  });

  it('lies between 0 and 1; what is no number is left out', async () => {
    const gate = new Gate();
    await client.offer('svc', gate.handle);
    broker.link.bring(nativeRequest(1));
    await settle();
    for (const [fraction, note] of [[7], [-1], [NaN, 'n'], [Infinity], [undefined, 'x']] as const) {
      gate.requests[0]?.progress(fraction, note);
      await broker.clock.pass(100);
    }
    expect(said().map((word) => (word as unknown[])[2])).toEqual([
      { fraction: 1 },
      { fraction: 0 },
      { note: 'n' },
      { fraction: 1 },
      { note: 'x' },
    ]);
  });

  it('of each request has its own pace', async () => {
    const gate = new Gate();
    await client.offer('svc', { capacity: 2 }, gate.handle);
    broker.link.bring(nativeRequest(1), nativeRequest(2));
    await settle();
    for (const request of gate.requests) request.progress(0.5);
    await settle();
    expect(said()).toEqual([
      [1, 1, { fraction: 0.5 }],
      [1, 2, { fraction: 0.5 }],
    ]);
  });
});

describe('parts of a result', () => {
  it('are all sent, in order, before the reply', async () => {
    await client.offer('svc', (request) => {
      for (let n = 0; n < 50; n++) request.emit({ n });
      return text('reply');
    });
    broker.link.bring(nativeRequest(1));
    await settle();
    const parts = Array.from({ length: 50 }, (_, n) => [2, 1, { n }]);
    expect(said()).toEqual([...parts, ['REPLY', 1, 'reply']]);
  });

  it('may not be more than the broker takes, nor come after the reply', async () => {
    const codes: unknown[] = [];
    let request: ServiceRequest | undefined;
    const emit = (body: unknown): void => {
      try {
        request?.emit(body);
      } catch (error) {
        codes.push((error as MlmError).code);
      }
    };
    await client.offer('svc', (given) => {
      request = given;
      emit(Buffer.alloc(1_000_001));
      emit(() => 'a function');
    });
    broker.link.bring(nativeRequest(1));
    await settle();
    emit('late');
    expect(codes).toEqual(['INVALID_ARGUMENT', 'INVALID_ARGUMENT', 'CLOSED']);
    expect(said()).toEqual([['REPLY', 1, '']]);
  });

  it('that the broker does not take are refused at the bound', async () => {
    client = await broker.connect({ bufferBytesMax: 1000 });
    const gate = new Gate();
    await client.offer('svc', gate.handle);
    broker.link.bring(nativeRequest(1));
    await settle();
    broker.link.blocked = true;
    const [request] = gate.requests;
    let emitted = 0;
    const flood = (): void => {
      for (; emitted < 100; emitted++) request?.emit(Buffer.alloc(100));
    };
    expect(flood).toThrow(expect.objectContaining({ code: 'BUFFER_FULL' }) as Error);
    expect(emitted).toBe(10);
    broker.link.unblock();
    await settle();
    request?.emit(Buffer.alloc(100));
  });

  it('come of an async iterable, whose items are the reply', async () => {
    await client.offer('svc', async function* ({ subject }) {
      await Promise.resolve();
      yield { token: 'a' };
      yield subject;
    });
    broker.link.bring(nativeRequest(1));
    await settle();
    expect(said().slice(0, 2)).toEqual([
      [2, 1, { token: 'a' }],
      [2, 1, 'r1'],
    ]);
    const [reply] = broker.link.ofName('REPLY');
    expect(unpack(reply?.content[0] as Buffer)).toEqual([{ token: 'a' }, 'r1']);
  });

  it('of a generator that returns something have that as the reply', async () => {
    await client.offer('svc', async function* () {
      await Promise.resolve();
      yield 'a';
      return { whole: true };
    });
    broker.link.bring(nativeRequest(1));
    await settle();
    expect(broker.link.ofName('REPLY')[0]?.content).toEqual(encodeBody({ whole: true }));
  });

  it('are not asked for faster than they leave', async () => {
    let made = 0;
    await client.offer('svc', async function* () {
      await Promise.resolve();
      for (; made < 1000; made++) yield made;
    });
    broker.link.bring(nativeRequest(1));
    broker.link.blocked = true;
    await settle();
    expect(made).toBeLessThan(5);
    broker.link.unblock();
    await settle();
    await settle();
    expect(made).toBeGreaterThan(5);
  });

  it('end where the iterable throws, or nobody wants more', async () => {
    let ended = 0;
    await client.offer('svc', { capacity: 2 }, async function* ({ subject, signal }) {
      try {
        yield 1;
        if (subject === 'r1') throw new RangeError('broken');
        await new Promise((resolve) => signal.addEventListener('abort', resolve));
        yield 2;
        yield 3;
      } finally {
        ended++;
      }
    });
    broker.link.bring(nativeRequest(1), nativeRequest(2));
    await settle();
    expect(said()).toEqual([
      [2, 1, 1],
      [2, 2, 1],
      [300, 1, 'RangeError: broken'],
    ]);
    broker.link.bring(revoked(2, 410));
    await settle();
    expect(ended).toBe(2);
    expect(said().slice(3)).toEqual([[300, 2, expect.stringContaining('CANCELLED')]]);
  });
});

describe('a lease', () => {
  it('is extended three times in each, for all that run, until they are done', async () => {
    const gate = new Gate();
    await client.offer('svc', { capacity: 2, leaseMs: 3000 }, gate.handle);
    expect(broker.link.calls('offer')).toMatchObject([{ leaseMs: 3000, capacity: 2 }]);
    broker.link.bring(nativeRequest(1), nativeRequest(2));
    await broker.clock.pass(999);
    expect(said()).toEqual([]);
    await broker.clock.pass(1);
    expect(said()).toEqual([
      ['EXTEND', 1],
      ['EXTEND', 2],
    ]);
    gate.release(text('1'));
    await broker.clock.pass(1000);
    gate.release(text('2'));
    await broker.clock.pass(10_000);
    expect(said().slice(2)).toEqual([
      ['REPLY', 1, '1'],
      ['EXTEND', 2],
      ['REPLY', 2, '2'],
    ]);
  });

  it('is 30 seconds unless said', async () => {
    await client.offer('svc', () => 1);
    expect(broker.link.calls('offer')).toMatchObject([{ leaseMs: 30_000 }]);
  });

  it('is extended by the handler alone where that was asked for', async () => {
    const gate = new Gate();
    await client.offer('svc', { leaseMs: 3000, extend: 'manual' }, gate.handle);
    broker.link.bring(nativeRequest(1));
    await broker.clock.pass(10_000);
    expect(said()).toEqual([]);
    gate.requests[0]?.extend();
    await settle();
    expect(said()).toEqual([['EXTEND', 1]]);
    gate.release();
    await settle();
    gate.requests[0]?.extend();
    await settle();
    expect(said()).toHaveLength(2);
  });

  it('is not extended for what waits here: it goes to a worker that has time', async () => {
    const gate = new Gate();
    await client.offer('svc', { pattern: '^r', leaseMs: 3000 }, gate.handle);
    await client.offer('svc', { pattern: 'x' }, () => 1);
    expect(broker.link.calls('offer').at(-1)).toMatchObject({ capacity: 2, leaseMs: 3000 });
    broker.link.bring(nativeRequest(1), nativeRequest(2));
    await broker.clock.pass(1000);
    expect(said()).toEqual([
      [503, 2, 'this worker has stopped'],
      ['EXTEND', 1],
    ]);
  });

  it.each([
    [{ leaseMs: 50 }, 'leaseMs is 50'],
    [{ leaseMs: 1.5 }, 'leaseMs is 1.5'],
    [{ extend: 'never' }, 'extend is "never"'],
    [{ labels: { gpu: { min: 1 } } }, 'labels: "gpu" must be'],
    [{ labels: ['gpu'] }, 'labels must be a map'],
    [{ capacity: 0 }, 'capacity is 0'],
  ])('%j is refused', async (options, message) => {
    const offering = client.offer('svc', options as never, () => 1);
    await expect(offering).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    await expect(offering).rejects.toThrow(message);
  });
});

describe('a request that is taken back', () => {
  it.each([
    [410, 'CANCELLED', 'cancelled by asker'],
    [408, 'EXPIRED', 'the deadline is over'],
    [300, 'REVOKED', 'the worker did not extend its lease'],
  ])('%i: its signal fires with %s, and nothing more is said of it', async (status, code, why) => {
    const gate = new Gate();
    await client.offer('svc', { leaseMs: 3000 }, gate.handle);
    broker.link.bring(nativeRequest(1));
    await settle();
    const [request] = gate.requests;
    request?.progress(0.1);
    request?.progress(0.2);
    broker.link.bring(revoked(1, status, why));
    await settle();
    expect(request?.signal.aborted).toBe(true);
    const reason = request?.signal.reason as MlmError;
    expect(reason).toMatchObject({ code, status });
    expect(reason.message).toContain(why);
    request?.progress(0.3);
    request?.extend();
    expect(() => request?.emit('x')).toThrow(reason);
    await broker.clock.pass(10_000);
    expect(said()).toEqual([[1, 1, { fraction: 0.1 }]]);
    // When its handler ends, the worker is free again; the result is nobody's.
    gate.release();
    await settle();
    expect(said().slice(1)).toEqual([[503, 1, 'stopped']]);
  });

  it('has fired the signal for who asks late', async () => {
    const gate = new Gate();
    await client.offer('svc', gate.handle);
    broker.link.bring(nativeRequest(1), revoked(1, 410));
    await settle();
    expect(gate.requests[0]?.signal.aborted).toBe(true);
  });

  it('is only that delivery', async () => {
    const gate = new Gate();
    await client.offer('svc', { capacity: 2 }, gate.handle);
    broker.link.bring(nativeRequest(1, { epoch: 4 }), nativeRequest(2));
    broker.link.bring(revoked(1, 410, '', 3), revoked(9, 410));
    await settle();
    expect(gate.requests.map(({ signal }) => signal.aborted)).toEqual([false, false]);
  });

  it('is not begun where it still waited', async () => {
    const gate = new Gate();
    await client.offer('svc', { pattern: '^r' }, gate.handle);
    await client.offer('svc', { pattern: 'x' }, () => 1);
    broker.link.bring(nativeRequest(1), nativeRequest(2), revoked(2, 410));
    await settle();
    gate.release(text('done'));
    await settle();
    expect(gate.requests).toHaveLength(1);
    expect(said()).toEqual([
      [503, 2, 'this worker has stopped'],
      ['REPLY', 1, 'done'],
    ]);
  });
});

describe('a lost session', () => {
  it('ends the handlers by their signals; nothing is said in the next one', async () => {
    const gate = new Gate();
    await client.offer('svc', { leaseMs: 3000, labels: { gpu: true } }, gate.handle);
    broker.link.bring(nativeRequest(1));
    await settle();
    gate.requests[0]?.progress(0.1);
    gate.requests[0]?.progress(0.2);
    broker.link.cut(new MlmError('DISCONNECTED', 'cut'));
    expect(gate.requests[0]?.signal.reason).toMatchObject({ code: 'DISCONNECTED' });
    await broker.clock.pass(1000);
    expect(broker.links).toHaveLength(2);
    expect(broker.link.calls('offer')).toEqual([
      { service: 'svc', pattern: '', capacity: 1, labels: { gpu: true }, leaseMs: 3000 },
    ]);
    // A delivery of the new session may have the number of one in the old.
    broker.link.bring(nativeRequest(1));
    gate.release(text('old'));
    await settle();
    broker.link.bring(revoked(1, 410));
    await settle();
    expect(gate.requests[1]?.signal.aborted).toBe(true);
    expect(said()).toEqual([]);
  });

  it('at the close of the client, what was done is still said', async () => {
    const gate = new Gate();
    await client.offer('svc', gate.handle);
    broker.link.bring(nativeRequest(1));
    await settle();
    broker.accepts = false;
    const sending = codeOf(client.sendTo('somebody', 'x'));
    await settle();
    const closed = client.close();
    expect(gate.requests[0]?.signal.reason).toMatchObject({ code: 'CLOSED' });
    gate.release(text('done'));
    await settle();
    broker.link.accept();
    await closed;
    expect(await sending).toBe('resolved');
    expect(said()).toEqual([['REPLY', 1, 'done']]);
  });
});

describe('an offer', () => {
  it('is changed while it stands, and paused', async () => {
    const gate = new Gate();
    const offer = await client.offer('svc', { capacity: 2, labels: { gpu: true } }, gate.handle);
    broker.link.bring(nativeRequest(1));
    await settle();
    await offer.update({ capacity: 0, labels: { gpu: true, paused: true } });
    expect([offer.capacity, offer.running, offer.labels]).toEqual([
      0,
      1,
      { gpu: true, paused: true },
    ]);
    expect(broker.link.calls('offer').at(-1)).toMatchObject({
      capacity: 0,
      labels: { gpu: true, paused: true },
    });
    // What was on its way goes to others.
    broker.link.bring(nativeRequest(2));
    gate.release(text('done'));
    await settle();
    expect(said()).toEqual([
      [503, 2, 'this worker has stopped'],
      ['REPLY', 1, 'done'],
    ]);
    await offer.update({ capacity: 1 });
    broker.link.bring(nativeRequest(3));
    await settle();
    expect(gate.requests.map(({ subject }) => subject)).toEqual(['r1', 'r3']);
    expect(offer.labels).toEqual({ gpu: true, paused: true });
  });

  it('is one worker with the others of its service: capacities add up, labels go together', async () => {
    await client.offer('svc', { pattern: 'a', labels: { a: 1 }, leaseMs: 9000 }, () => 1);
    await client.offer('svc', { pattern: 'b', labels: { b: 2 }, capacity: 3 }, () => 1);
    const both = { capacity: 4, labels: { a: 1, b: 2 }, leaseMs: 9000 };
    expect(broker.link.calls('offer').slice(1)).toMatchObject([
      { pattern: 'a', ...both },
      { pattern: 'b', ...both },
    ]);
  });

  it('cannot be changed to what cannot be, or after it has stopped', async () => {
    const offer = await client.offer('svc', () => 1);
    expect(await codeOf(offer.update({ capacity: -1 }))).toBe('INVALID_ARGUMENT');
    expect(await codeOf(offer.update({ labels: { a: null } as never }))).toBe('INVALID_ARGUMENT');
    await offer.stop();
    expect(await codeOf(offer.update({ capacity: 1 }))).toBe('CLOSED');
    const calls = broker.link.calls('offer').length;
    expect(calls).toBe(1);
  });

  it('that the broker refuses to change is reported, and over', async () => {
    const reported: string[] = [];
    client.on('error', ({ code }) => reported.push(code));
    const offer = await client.offer('svc', () => 1);
    broker.script = () => {
      throw new Refusal('too many labels');
    };
    await offer.update({ labels: { a: 1 } });
    expect(reported).toEqual(['REFUSED']);
  });
});
