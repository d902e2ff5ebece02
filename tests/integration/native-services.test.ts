// Services in native sessions over real sockets and a broker in this process:
// what reaches a requester while its request is worked on, what reaches a worker
// that is to stop, and who gets which request.
import {
  RequestFailure,
  type MlmClient,
  type MlmError,
  type RequestOptions,
  type ServiceRequest,
} from '../../client/index.js';
import { failureOf, range, World } from '../support/sessions.js';
import { until } from '../support/until.js';

const world = new World();
let asking: MlmClient;
let working: MlmClient;

beforeEach(async () => {
  await world.broker();
  [asking, working] = [await world.client(), await world.client({ address: 'w' })];
});
afterEach(() => world.close());

/** Handlers that begin at once and end when the test says so, or by their signal. */
class Gate {
  readonly requests: ServiceRequest[] = [];
  readonly #open: (() => void)[] = [];

  readonly handle = (request: ServiceRequest): Promise<string> => {
    this.requests.push(request);
    const { signal, subject } = request;
    return new Promise((resolve, reject) => {
      this.#open.push(() => resolve(`done ${subject}`));
      const onAbort = (): void => reject(signal.reason as Error);
      if (signal.aborted) onAbort();
      else signal.addEventListener('abort', onAbort);
    });
  };

  get subjects(): string[] {
    return this.requests.map(({ subject }) => subject);
  }

  /** Lets the oldest handlers end. */
  release(count = 1): void {
    for (const open of this.#open.splice(0, count)) open();
  }
}

/** How the signal of a request fired. */
async function endOf({ signal }: ServiceRequest): Promise<MlmError> {
  await until(() => signal.aborted);
  return signal.reason as MlmError;
}

/**
 * Asks with a short time until a worker has begun: a time may be over before anybody gets the
 * request, where the machine is busy.
 *
 * @param ask makes the request, with so many milliseconds; resolves with its failure
 * @param code of that failure
 */
async function untilBegun(
  gate: Gate,
  ask: (ms: number) => Promise<Partial<MlmError>>,
  code: MlmError['code'],
): Promise<void> {
  const hasBegun = (): boolean => gate.requests.length > 0;
  for (let ms = 200; !hasBegun(); ms *= 2) {
    const failure = await ask(ms);
    // Where nobody has begun, it may have failed otherwise.
    if (hasBegun()) expect(failure.code).toBe(code);
  }
}

describe('while a request is worked on', () => {
  it('progress and parts reach who asked, the last word before the reply', async () => {
    await working.offer('s', async (request) => {
      for (const n of range(1, 500)) request.progress(n / 1000, `${n}`);
      for (const n of range(1, 20)) request.emit({ n });
      await working.ping();
      request.progress(1, 'done');
      return 'reply';
    });
    const notes: (string | undefined)[] = [];
    const parts: unknown[] = [];
    const reply = await asking.request('s', 'x', '', {
      onProgress: ({ fraction, note }) => notes.push(`${fraction} ${note}`),
      onPartial: (part) => parts.push(part.value()),
    });
    expect(reply.value()).toBe('reply');
    expect(parts).toEqual(range(1, 20).map((n) => ({ n })));
    expect(notes[0]).toBe('0.001 1');
    expect(notes.at(-1)).toBe('1 done');
    expect(notes.length).toBeLessThan(100);
  });

  it('the items of an async iterable are such parts, and together the reply', async () => {
    await working.offer('s', async function* ({ subject }) {
      for (const token of subject.split(' ')) {
        await working.ping();
        yield token;
      }
    });
    const tokens: unknown[] = [];
    const reply = await asking.request('s', 'one two three', '', {
      onPartial: (part) => tokens.push(part.value()),
    });
    expect(tokens).toEqual(['one', 'two', 'three']);
    expect(reply.value()).toEqual(['one', 'two', 'three']);
  });

  it('large parts and replies come whole', async () => {
    const big = Buffer.alloc(3_000_000, 7);
    await working.offer('s', async function* () {
      await Promise.resolve();
      for (let n = 0; n < 3; n++) yield big;
    });
    const sizes: number[] = [];
    const reply = await asking.request('s', 'x', '', {
      onPartial: ({ content }) => sizes.push(content[0]!.length),
    });
    expect(sizes).toEqual([3_000_000, 3_000_000, 3_000_000]);
    expect(reply.content.map((frame) => frame.equals(big))).toEqual([true, true, true]);
  });
});

describe('a request is cancelled', () => {
  it('by its signal, while it waits: it is never begun', async () => {
    const controller = new AbortController();
    const request = failureOf(asking.request('s', 'first', '', controller));
    await asking.flush();
    controller.abort();
    expect(await request).toMatchObject({ code: 'ABORTED' });
    const next = asking.request('s', 'next');
    const gate = new Gate();
    await working.offer('s', gate.handle);
    await until(() => gate.requests.length > 0);
    gate.release();
    await next;
    expect(gate.subjects).toEqual(['next']);
  });

  it('by its time, while it runs: its worker is told, and free', async () => {
    const gate = new Gate();
    await working.offer('s', gate.handle);
    const ask = (timeoutMs: number) => failureOf(asking.request('s', 'first', '', { timeoutMs }));
    await untilBegun(gate, ask, 'TIMEOUT');
    const reason = await endOf(gate.requests[0]!);
    expect(reason.code).toBe('CANCELLED');
    expect(reason.message).toContain(asking.address);
    const next = asking.request('s', 'next');
    await until(() => gate.subjects.at(-1) === 'next');
    gate.release(gate.requests.length);
    expect((await next).value()).toBe('done next');
    expect(await asking.deadLetters()).toEqual([]);
  });

  it('by the end of its client', async () => {
    const gate = new Gate();
    await working.offer('s', gate.handle);
    const request = failureOf(asking.request('s', 'first'));
    await until(() => gate.requests.length === 1);
    await asking.close();
    expect(await request).toMatchObject({ code: 'CLOSED' });
    expect((await endOf(gate.requests[0]!)).code).toBe('CANCELLED');
  });

  it('and leaves no reply behind, however close it was', async () => {
    await working.offer('s', { capacity: 100 }, async ({ subject }) => {
      if (Number(subject) % 2 === 0) await working.ping();
      return 'done';
    });
    const owner = await world.client({ address: 'owner' });
    const outcomes = range(1, 200).map(async (n) => {
      const controller = new AbortController();
      const request = failureOf(owner.request('s', String(n), '', controller));
      if (n % 3 === 0) await owner.ping();
      controller.abort();
      return (await request).code;
    });
    const codes = await Promise.all(outcomes);
    expect(codes.every((code) => code === 'ABORTED' || code === undefined)).toBe(true);
    const mailboxes = async (): Promise<unknown> =>
      (await asking.request('$broker', 'mailboxes')).value();
    const services = async (): Promise<unknown> =>
      (await asking.request('$broker', 'services')).value();
    await until(async () => {
      const left = (await mailboxes()) as { mailbox: string; messages: number }[];
      const [service] = (await services()) as { requests: number }[];
      const unread = left.find(({ mailbox }) => mailbox === 'owner')?.messages ?? 0;
      return unread === 0 && service?.requests === 0;
    });
  });
});

describe('a deadline', () => {
  it('ends a request that nobody could take', async () => {
    const failure = await failureOf(asking.request('s', 'x', '', { deadlineMs: 100 }));
    expect(failure).toMatchObject({ code: 'EXPIRED', status: 408 });
    expect(failure.message).toContain('deadline');
  });

  it('ends one that runs, and its worker is told', async () => {
    const gate = new Gate();
    await working.offer('s', gate.handle);
    const ask = (deadlineMs: number) => failureOf(asking.request('s', 'x', '', { deadlineMs }));
    await untilBegun(gate, ask, 'EXPIRED');
    expect((await endOf(gate.requests[0]!)).code).toBe('EXPIRED');
  });
});

describe('a lease', () => {
  it('that only the handler extends is over when it does not', async () => {
    const gate = new Gate();
    const options = { leaseMs: 300, extend: 'manual' } as const;
    // The second attempt ends at once: it has no time to lose its lease, too.
    await working.offer('s', options, (request) => {
      const done = gate.handle(request);
      if (request.attempt! > 1) gate.release(gate.requests.length);
      return done;
    });
    const reply = asking.request('s', 'x');
    await until(() => gate.requests.length > 0);
    const reason = await endOf(gate.requests[0]!);
    expect(reason.code).toBe('REVOKED');
    expect(reason.message).toContain('lease');
    expect((await reply).value()).toBe('done x');
    expect(gate.requests[1]!.attempt).toBe(2);
  });

  it('that the SDK extends lasts as long as the handler', async () => {
    const gate = new Gate();
    const leaseMs = 600;
    await working.offer('s', { leaseMs }, gate.handle);
    const reply = asking.request('s', 'x');
    await until(() => gate.requests.length === 1);
    // Another one as long, that is not extended, is over twice meanwhile.
    const other = await world.client();
    const attempts: (number | undefined)[] = [];
    await other.offer('t', { leaseMs, extend: 'manual' }, async (request) => {
      attempts.push(request.attempt);
      await endOf(request);
    });
    const never = failureOf(asking.request('t', 'y'));
    await until(() => attempts.length >= 3);
    expect(gate.requests[0]!.signal.aborted).toBe(false);
    gate.release();
    expect((await reply).value()).toBe('done x');
    await asking.close();
    expect(await never).toMatchObject({ code: 'CLOSED' });
  });
});

it('requests of one key run one at a time and in order, others beside them', async () => {
  const gate = new Gate();
  await working.offer('s', { capacity: 4 }, gate.handle);
  const ask = (subject: string, key?: string): Promise<unknown> =>
    asking.request('s', subject, '', { key }).then((reply) => reply.value());
  const replies = [ask('a1', 'a'), ask('a2', 'a'), ask('a3', 'a'), ask('b1', 'b'), ask('free')];
  await until(() => gate.requests.length === 3);
  await asking.ping();
  await working.ping();
  expect(gate.subjects.toSorted()).toEqual(['a1', 'b1', 'free']);
  gate.release(3);
  await until(() => gate.requests.length === 4);
  await asking.ping();
  await working.ping();
  expect(gate.subjects.slice(3)).toEqual(['a2']);
  gate.release();
  await until(() => gate.requests.length === 5);
  gate.release();
  expect(await Promise.all(replies)).toEqual(
    ['a1', 'a2', 'a3', 'b1', 'free'].map((s) => `done ${s}`),
  );
});

describe('labels', () => {
  it('decide who may have a request, and who has it first', async () => {
    const other = await world.client({ address: 'large' });
    await working.offer('s', { labels: { vramMb: 8000, models: ['a'] } }, () => 'small');
    await other.offer('s', { labels: { vramMb: 24_000, models: ['b'] } }, () => 'large');
    const who = async (options: RequestOptions): Promise<unknown> =>
      (await asking.request('s', 'x', '', options)).value();
    for (let n = 0; n < 3; n++) {
      expect(await who({ needs: { vramMb: { min: 16_000 } } })).toBe('large');
      expect(await who({ needs: { models: ['a', 'c'] } })).toBe('small');
      expect(await who({ prefers: { models: 'b' }, settleMs: 10_000 })).toBe('large');
    }
    const nobody = asking.request('s', 'x', '', { needs: { gpu: true }, deadlineMs: 200 });
    expect(await failureOf(nobody)).toMatchObject({ code: 'EXPIRED' });
  });

  it('change while an offer stands: what waits for them is given out', async () => {
    const offer = await working.offer('s', { labels: { models: [] } }, () => 'warm');
    const reply = asking.request('s', 'x', '', { needs: { models: 'sam3' } });
    await asking.flush();
    await offer.update({ labels: { models: ['sam3'] } });
    expect((await reply).value()).toBe('warm');
  });
});

it('an offer is paused and goes on', async () => {
  const gate = new Gate();
  const offer = await working.offer('s', { capacity: 2 }, gate.handle);
  const first = asking.request('s', 'first');
  await until(() => gate.requests.length === 1);
  await offer.update({ capacity: 0 });
  const second = asking.request('s', 'second');
  await asking.flush();
  gate.release();
  expect((await first).value()).toBe('done first');
  await working.ping();
  expect(gate.subjects).toEqual(['first']);
  await offer.update({ capacity: 1 });
  await until(() => gate.requests.length === 2);
  gate.release();
  expect((await second).value()).toBe('done second');
});

describe('a request that fails', () => {
  it('is tried again where it is transient, or out of memory', async () => {
    const attempts: unknown[] = [];
    await working.offer('s', ({ subject, attempt }) => {
      attempts.push([subject, attempt]);
      if (attempt === 1) throw new RequestFailure(subject as 'transient', 'not now');
      return 'done';
    });
    expect((await asking.request('s', 'transient')).value()).toBe('done');
    expect((await asking.request('s', 'out-of-memory')).value()).toBe('done');
    expect(attempts).toEqual([
      ['transient', 1],
      ['transient', 2],
      ['out-of-memory', 1],
      ['out-of-memory', 2],
    ]);
  });

  it('has sent parts that come again with the next attempt', async () => {
    await working.offer('s', (request) => {
      request.emit(request.attempt);
      if (request.attempt === 1) throw new Error('once');
      return 'done';
    });
    const parts: unknown[] = [];
    const onPartial: RequestOptions['onPartial'] = (part) => parts.push(part.value());
    expect((await asking.request('s', 'x', '', { onPartial })).value()).toBe('done');
    expect(parts).toEqual([1, 2]);
  });
});

it('a reply larger than the broker takes fails the request, in words', async () => {
  await world.close();
  await world.broker({ 'message-bytes-max': 100_000 });
  const [one, two] = [await world.client(), await world.client()];
  await two.offer('s', ({ subject }) => Buffer.alloc(Number(subject)));
  const failure = await failureOf(one.request('s', '100001'));
  expect(failure).toMatchObject({ code: 'WORKER_ERROR', workerCode: 'bad-input' });
  expect(failure.message).toContain('100001 octets is more than the broker takes, which is 100000');
  expect((await one.request('s', '90000')).content[0]).toHaveLength(90_000);
});

it('what a handler published comes before its reply', async () => {
  const reader = asking.stream('log').read();
  await reader.ready;
  await working.offer('s', { capacity: 8 }, ({ subject }) => {
    for (let n = 0; n < 50; n++) working.stream('log').publish(subject, n);
    return 'done';
  });
  let logged = 0;
  const reading = (async () => {
    for await (const { subject } of reader) if (subject === 'last') logged++;
  })();
  await Promise.all(range(1, 20).map((n) => asking.request('s', String(n))));
  await asking.request('s', 'last');
  await until(() => logged === 50);
  const { lastSequence } = await asking.streamInfo('log');
  expect(lastSequence).toBe(21 * 50);
  await reader.cancel();
  await reading;
});
