// Mail and services in native sessions, over real sockets and a broker in this
// process: what is not confirmed comes again, capacity and priority hold, and
// requests that fail end as dead letters.
import { RequestFailure, type ServiceRequest } from '../../client/index.js';
import { PATIENCE_MS } from '../support/processes.js';
import { failureOf, range, take, World } from '../support/sessions.js';
import { until } from '../support/until.js';

const world = new World();

afterEach(() => world.close());

/** Handlers that begin at once and end when the test says so. */
class Gate {
  readonly requests: ServiceRequest[] = [];
  readonly #open: (() => void)[] = [];

  readonly handle = async (request: ServiceRequest): Promise<string> => {
    this.requests.push(request);
    await new Promise<void>((resolve) => this.#open.push(resolve));
    return `done ${request.subject}`;
  };

  /** Lets the oldest handlers end. */
  release(count = 1): void {
    for (const open of this.#open.splice(0, count)) open();
  }
}

describe.each(['memory', 'disk'])('mail (%s)', (kind) => {
  beforeEach(async () => {
    await world.broker(kind === 'disk' ? { data: await world.directory() } : {});
  });

  it('is accepted before its owner comes, and is dealt with when the next is asked for', async () => {
    const sender = await world.client({ address: 'sender' });
    for (const n of range(1, 5)) await sender.sendTo('owner', String(n), { n });
    // What it has confirmed is to leave with it, however long that takes.
    const owner = await world.client({ address: 'owner', closeTimeoutMs: PATIENCE_MS });
    const mail = await take(owner.mailbox(), 3);
    expect(mail.map(({ subject, attempt }) => [subject, attempt])).toEqual([
      ['1', 1],
      ['2', 1],
      ['3', 1],
    ]);
    expect([mail[0]!.value(), mail[0]!.sender]).toEqual([{ n: 1 }, 'sender']);
    await owner.close();
    // Two were dealt with; the third was only given out.
    const again = await take((await world.client({ address: 'owner' })).mailbox(), 3);
    expect(again.map(({ subject }) => subject)).toEqual(['3', '4', '5']);
    expect(again[0]!.attempt).toBe(2);
  });

  it('goes to who takes over the address, as far as it was not confirmed', async () => {
    const sender = await world.client();
    const older = await world.client({ address: 'same', reconnect: false });
    for (const n of range(1, 4)) await sender.sendTo('same', String(n));
    const [first, second] = await take(older.mailbox(), 2);
    await second!.confirm();
    await older.ping();
    const newer = await world.client({ address: 'same' });
    const subjects = (await take(newer.mailbox(), 2)).map(({ subject }) => subject);
    expect(first!.subject).toBe('1');
    expect(subjects).toEqual(['3', '4']);
    await second!.confirm();
  });

  it('waits with the broker, not with a client that does not read it', async () => {
    const [sender, owner] = [await world.client(), await world.client({ address: 'owner' })];
    await Promise.all(range(1, 2000).map((n) => sender.sendTo('owner', String(n))));
    await owner.ping();
    expect((await owner.request('$broker', 'mailboxes')).value()).toMatchObject([
      { mailbox: 'owner', messages: 2000 },
    ]);
    const subjects = (await take(owner.mailbox(), 2000)).map(({ subject }) => Number(subject));
    expect(subjects).toEqual(range(1, 2000));
  });

  it('does not keep replies away, though nobody reads it', async () => {
    const [sender, owner] = [await world.client(), await world.client({ address: 'owner' })];
    await sender.offer('echo', (request) => request);
    await Promise.all(range(1, 1500).map((n) => sender.sendTo('owner', String(n))));
    expect((await owner.request('echo', 'x', 'hello')).value()).toBe('hello');
    const subjects = (await take(owner.mailbox(), 1500)).map(({ subject }) => Number(subject));
    expect(subjects).toEqual(range(1, 1500));
  });

  it('tells its sender when it was confirmed, refused, or has expired', async () => {
    const [sender, owner] = [await world.client(), await world.client({ address: 'o' })];
    const [good, bad] = [
      sender.sendTo('o', 'good', 1, { confirm: true }),
      failureOf(sender.sendTo('o', 'bad', 1, { confirm: true })),
    ];
    const reader = owner.mailbox();
    await reader.next();
    const { value } = await reader.next();
    await good;
    await value!.reject('not good');
    expect(await bad).toMatchObject({ code: 'REFUSED', status: 300 });
    expect((await bad).message).toContain('not good');
    const expired = sender.sendTo('nobody', 'x', 1, { confirm: true, timeoutMs: 50 });
    expect(['EXPIRED', 'TIMEOUT']).toContain((await failureOf(expired)).code);
  });
});

it('mail is refused with a reason where the mailbox is full', async () => {
  await world.broker({ 'mailbox-messages-max': 2 });
  const client = await world.client();
  const sends = range(1, 3).map((n) => failureOf(client.sendTo('full', String(n))));
  const failures = await Promise.all(sends);
  expect(failures.map(({ code }) => code)).toEqual([undefined, undefined, 'REFUSED']);
  expect(failures[2]!.message).toContain('mailbox full is full: 2 messages');
});

describe.each(['memory', 'disk'])('a service (%s)', (kind) => {
  beforeEach(async () => {
    await world.broker(kind === 'disk' ? { data: await world.directory() } : {});
  });

  it('gives a worker no more than its capacity', async () => {
    const [asking, working] = [await world.client(), await world.client()];
    const gate = new Gate();
    const offer = await working.offer('s', { capacity: 2 }, gate.handle);
    const replies = range(1, 5).map((n) => asking.request('s', String(n)));
    await until(() => gate.requests.length === 2);
    await asking.ping();
    await working.ping();
    expect([offer.running, offer.waiting]).toEqual([2, 0]);
    for (const n of range(3, 5)) {
      gate.release();
      await until(() => gate.requests.length === n);
    }
    gate.release(2);
    const values = (await Promise.all(replies)).map((reply) => reply.value());
    expect(values).toEqual(range(1, 5).map((n) => `done ${n}`));
    expect(gate.requests[0]).toMatchObject({ attempt: 1, sender: asking.address });
  });

  it('gives the requests of a worker that ends to another, at once', async () => {
    const [asking, first] = [await world.client(), await world.client({ reconnect: false })];
    const gate = new Gate();
    await first.offer('s', { capacity: 3 }, gate.handle);
    const replies = range(1, 3).map((n) => asking.request('s', String(n)));
    await until(() => gate.requests.length === 3);
    const second = await world.client();
    const handled: ServiceRequest[] = [];
    await second.offer('s', (request) => {
      handled.push(request);
      return 'second';
    });
    await first.close();
    expect(gate.requests.every(({ signal }) => signal.aborted)).toBe(true);
    const values = (await Promise.all(replies)).map((reply) => reply.value());
    expect(values).toEqual(['second', 'second', 'second']);
    expect(handled.map(({ subject, attempt }) => [subject, attempt])).toEqual([
      ['1', 2],
      ['2', 2],
      ['3', 2],
    ]);
    gate.release(3);
  });

  it('serves what is urgent first, and what is delayed not before its time', async () => {
    const [asking, working] = [await world.client(), await world.client()];
    const hourMs = 3_600_000;
    const delayed = await asking.submit('s', 'delayed', '', { priority: 9, delayMs: hourMs });
    const waiting = [
      asking.request('s', 'usual'),
      asking.request('s', 'urgent', '', { priority: 5 }),
    ];
    await asking.flush();
    const subjects: string[] = [];
    await working.offer('s', ({ subject }) => subjects.push(subject));
    await Promise.all(waiting);
    await asking.request('s', 'later', '', { delayMs: 50 });
    expect(subjects).toEqual(['urgent', 'usual', 'later']);
    expect(await delayed.cancel()).toBe('waiting');
  });

  it('is withdrawn: what runs is finished, the rest goes to others', async () => {
    const [asking, one, two] = [await world.client(), await world.client(), await world.client()];
    const gate = new Gate();
    const offer = await one.offer('s', gate.handle);
    const running = asking.request('s', 'running');
    await until(() => gate.requests.length === 1);
    const waiting = asking.request('s', 'waiting');
    await asking.flush();
    const stopped = offer.stop();
    await two.offer('s', () => 'two');
    expect((await waiting).value()).toBe('two');
    gate.release();
    expect((await running).value()).toBe('done running');
    await stopped;
    expect(offer.running).toBe(0);
  });

  it('offered under two patterns, one withdrawn, goes on with the other', async () => {
    const [asking, working] = [await world.client(), await world.client()];
    const a = await working.offer('s', { pattern: '^a' }, () => 'a');
    await working.offer('s', { pattern: '^b' }, () => 'b');
    expect((await asking.request('s', 'a')).value()).toBe('a');
    await a.stop();
    expect((await asking.request('s', 'b')).value()).toBe('b');
    const nobody = failureOf(asking.request('s', 'a', '', { deadlineMs: 200 }));
    expect(await nobody).toMatchObject({ code: 'EXPIRED' });
  });

  it('tries again what fails, and at last makes it a dead letter', async () => {
    const [asking, working] = [await world.client(), await world.client({ address: 'w' })];
    const attempts: (number | undefined)[] = [];
    let works = false;
    await working.offer('s', ({ attempt, subject }) => {
      attempts.push(attempt);
      if (subject === 'flaky' && attempt === 3) return 'at last';
      if (works) return 'now';
      throw new RangeError('too much');
    });
    expect((await asking.request('s', 'flaky')).value()).toBe('at last');
    expect(attempts.splice(0)).toEqual([1, 2, 3]);
    const failure = await failureOf(asking.request('s', 'bad', 'body'));
    expect(failure).toMatchObject({ code: 'WORKER_ERROR', workerCode: 'RangeError' });
    expect(failure.message).toContain('too much');
    expect(attempts).toEqual([1, 2, 3, 4, 5]);
    expect(await asking.deadLetters()).toEqual([{ service: 's', letters: 1 }]);
    const [letter] = await asking.deadLetters('s');
    expect(letter).toMatchObject({ subject: 'bad', sender: asking.address, attempts: 5 });
    expect(letter!.failures).toHaveLength(5);
    expect(letter!.failures[0]).toMatchObject({ worker: 'w', reason: 'RangeError: too much' });
    works = true;
    await asking.retryDeadLetter('s', letter!.letter);
    await until(() => attempts.length === 6);
    expect(await asking.deadLetters('s')).toEqual([]);
  });

  it('buries at once what no worker can do, and tells the requester why', async () => {
    const [asking, working] = [await world.client(), await world.client({ address: 'w' })];
    const attempts: (number | undefined)[] = [];
    await working.offer('s', ({ attempt }) => {
      attempts.push(attempt);
      throw new RequestFailure('bad-input', 'this is no picture');
    });
    const failure = await failureOf(asking.request('s', 'x'));
    expect(failure).toMatchObject({ code: 'WORKER_ERROR', workerCode: 'bad-input' });
    expect(failure.message).toContain('this is no picture');
    expect(attempts).toEqual([1]);
    const [letter] = await asking.deadLetters('s');
    await asking.dropDeadLetter('s', letter!.letter);
    expect(await asking.deadLetters()).toEqual([]);
  });

  it('leaves to others what a worker is not ready for; the attempt does not count', async () => {
    const [asking, working] = [await world.client(), await world.client()];
    const attempts: (number | undefined)[] = [];
    await working.offer('s', ({ attempt }) => {
      attempts.push(attempt);
      if (attempts.length === 1) throw new RequestFailure('not-ready', 'warming up');
      return 'ready';
    });
    expect((await asking.request('s', 'x')).value()).toBe('ready');
    expect(attempts).toEqual([1, 1]);
  });
});
