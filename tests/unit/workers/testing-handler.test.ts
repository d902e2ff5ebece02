// Handlers run by the testing kit, without a broker: what they are given, what they
// say, and how they end.
import { jest } from '@jest/globals';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { defineWorker, JobError, type Job } from '../../../workers/index.js';
import { openWorkersFile, runHandler, startHandler } from '../../../workers/testing/index.js';

/** Ends when the signal of the job fires. */
function untilAborted({ signal }: Job): Promise<never> {
  signal.throwIfAborted();
  return new Promise((_, reject) =>
    signal.addEventListener('abort', () => reject(new Error('my own words'))),
  );
}

/** A handler that throws; it may throw anything. */
function throwing(thrown: unknown): () => never {
  return () => {
    throw thrown as Error;
  };
}

const worker = (handle: (job: Job) => unknown) => defineWorker({ service: 's', handle });

describe('a handler', () => {
  it('gets the request that the test makes', async () => {
    let seen: unknown;
    const handle = ({ service, subject, sender, tracker, attempt, body }: Job): void => {
      seen = { service, subject, sender, tracker, attempt, value: body.value() };
    };
    const run = await runHandler(worker(handle), {
      subject: 'large',
      body: { width: 3 },
      sender: 'alice',
      tracker: 'job-1',
      attempt: 2,
    });
    expect(run.outcome).toBe('done');
    expect(seen).toEqual({
      service: 's',
      subject: 'large',
      sender: 'alice',
      tracker: 'job-1',
      attempt: 2,
      value: { width: 3 },
    });
  });

  it('has defaults for what the test does not say', async () => {
    const handle = ({ subject, sender, tracker, attempt, body }: Job): unknown => [
      subject,
      sender,
      tracker,
      attempt,
      body.content.length,
    ];
    expect((await runHandler(worker(handle))).reply.value()).toEqual(['', 'test', '', 1, 0]);
  });

  it.each([
    [Buffer.from('text'), [Buffer.from('text')]],
    [
      [Buffer.from('a'), Buffer.from('b')],
      [Buffer.from('a'), Buffer.from('b')],
    ],
    [undefined, []],
    [7, [Buffer.from([7])]],
  ])('that returns %j replies as the runtime does', async (result, frames) => {
    const run = await runHandler(worker(() => result));
    expect(run.reply.content).toEqual(frames);
    expect([run.failure, run.thrown]).toEqual([undefined, undefined]);
  });

  it('that yields sends parts, and replies with the list of them', async () => {
    const told: unknown[] = [];
    const run = await runHandler(
      worker(async function* () {
        await Promise.resolve();
        yield 'a';
        yield 'b';
      }),
      { onPartial: (part) => told.push(part.value()) },
    );
    expect(told).toEqual(['a', 'b']);
    expect(run.partials.map((part) => part.value())).toEqual(['a', 'b']);
    expect(run.reply.value()).toEqual(['a', 'b']);
  });

  it('says how far it is, what it logs and what it has loaded', async () => {
    const told: unknown[] = [];
    const loads = defineWorker({
      service: 's',
      labels: { gpu: true },
      handle: (job) => {
        job.progress(2, 'x'.repeat(2000));
        job.progress(0.5);
        job.extend();
        job.log.info('loaded', { model: 'sam3' });
        job.announce({ models: ['sam3'] });
      },
    });
    const run = await runHandler(loads, { onProgress: (progress) => told.push(progress) });
    const said = [{ fraction: 1, note: 'x'.repeat(1000) }, { fraction: 0.5 }];
    expect([run.progress, told]).toEqual([said, said]);
    expect(run.extended).toBe(1);
    expect(run.labels).toEqual({ gpu: true, models: ['sam3'] });
    expect(loads.labels).toEqual({ gpu: true });
    expect(run.log).toContainEqual({
      level: 'info',
      message: 'loaded',
      fields: { service: 's', subject: '', sender: 'test', model: 'sam3' },
    });
  });

  it('is not run for a subject that would never come to it', async () => {
    const english = defineWorker({ service: 's', pattern: '^en/', handle: () => 'done' });
    expect((await runHandler(english, { subject: 'en/say' })).reply.value()).toBe('done');
    await expect(runHandler(english, { subject: 'de/say' })).rejects.toThrow(
      'takes subjects that match "^en/": "de/say" would never come to it',
    );
  });

  it('has the client that the test gives, and else none', async () => {
    const handle = async ({ client }: Job): Promise<unknown> => {
      await client.sendTo('alice', 'done');
      return client.address;
    };
    const sent: unknown[] = [];
    const sendTo = (address: string, subject: string): Promise<void> => {
      sent.push([address, subject]);
      return Promise.resolve();
    };
    const run = await runHandler(worker(handle), { client: { address: 'w', sendTo } });
    expect([run.reply.value(), sent]).toEqual(['w', [['alice', 'done']]]);
    const without = await runHandler(worker(handle));
    expect(without.failure).toMatchObject({ class: 'failed', code: 'UNSUPPORTED' });
    expect(without.failure?.reason).toContain('job.client.sendTo: the test gave no client');
  });
});

describe('a handler that fails', () => {
  it.each([
    [new JobError('bad-input', 'no face'), 'bad-input', 'bad-input', 'bad-input: no face'],
    [new JobError('transient', 'busy'), 'transient', 'transient', 'transient: busy'],
    [
      new JobError('out-of-memory', 'full'),
      'out-of-memory',
      'out-of-memory',
      'out-of-memory: full',
    ],
    [new JobError('not-ready', 'cold'), 'not-ready', 'not-ready', 'not-ready: cold'],
    [new JobError('my-code', 'mine'), 'failed', 'my-code', 'my-code: mine'],
    [new TypeError('a bug'), 'failed', 'TypeError', 'TypeError: a bug'],
    ['a text', 'failed', 'Error', 'Error: a text'],
  ])('by %s is of the class %s', async (thrown, name, code, reason) => {
    const run = await runHandler(worker(throwing(thrown)));
    expect(run.outcome).toBe('failed');
    expect(run.failure).toEqual({ class: name, code, reason });
    expect(run.thrown).toBe(thrown);
    expect(() => run.reply).toThrow();
  });

  it('because the body is not what it reads it as is of the class bad-input', async () => {
    const run = await runHandler(
      worker(({ body }) => body.text()),
      { body: Buffer.from([0xff]) },
    );
    expect(run.failure).toMatchObject({ class: 'bad-input', code: 'INVALID_BODY' });
    expect(() => run.reply).toThrow('not UTF-8');
  });

  it('because nothing can carry its result fails as it would', async () => {
    const run = await runHandler(worker(() => ({ cycle: Symbol('none') })));
    expect(run.failure).toMatchObject({ class: 'failed', code: 'INVALID_ARGUMENT' });
  });

  it('after it sent parts has sent them', async () => {
    const run = await runHandler(
      worker(async function* () {
        yield 'a';
        await Promise.reject(new JobError('transient', 'gone'));
      }),
    );
    expect(run.partials.map((part) => part.value())).toEqual(['a']);
    expect(run.failure?.class).toBe('transient');
  });

  it('leaves no timer behind, even where it would be paused', async () => {
    const fails = defineWorker({
      service: 's',
      failuresMax: 1,
      handle: () => {
        throw new Error('always');
      },
    });
    const run = await runHandler(fails);
    expect(run.log.map(({ message }) => message)).toEqual(['failed', 'paused']);
    expect(run.labels).toEqual({ paused: true });
  });
});

describe('a request that is over before its handler', () => {
  it.each([
    ['cancel', 'CANCELLED'],
    ['expire', 'EXPIRED'],
    ['revoke', 'REVOKED'],
  ] as const)('%s fires the signal', async (verb, code) => {
    let reason: unknown;
    const running = startHandler(
      worker((job) => {
        job.signal.addEventListener('abort', () => (reason = job.signal.reason as unknown));
        job.progress(0.5);
        return untilAborted(job);
      }),
      { onProgress: () => running[verb]() },
    );
    const run = await running.ended;
    expect(run.outcome).toBe('taken');
    expect(run.failure).toBeUndefined();
    expect(reason).toMatchObject({ name: 'MlmError', code });
    expect(run.thrown).toBe(reason);
    expect(() => run.reply).toThrow();
  });

  it('is cancelled by the signal of the test, too', async () => {
    const over = new AbortController();
    const running = runHandler(worker(untilAborted), { signal: over.signal });
    over.abort();
    expect((await running).thrown).toMatchObject({ code: 'CANCELLED' });
    const never = runHandler(
      worker(() => 'begun'),
      { signal: AbortSignal.abort() },
    );
    expect((await never).outcome).toBe('taken');
  });

  it('takes no parts any more, and no word about progress', async () => {
    const running = startHandler(
      worker((job) => {
        job.progress(0.1);
        job.progress(0.2);
        job.emit('part');
      }),
      { onProgress: () => running.cancel() },
    );
    const run = await running.ended;
    expect([run.progress, run.partials]).toEqual([[{ fraction: 0.1 }], []]);
    expect(run.thrown).toMatchObject({ code: 'CANCELLED' });
  });

  it('takes no word after the reply either', async () => {
    let late: Job | undefined;
    const run = await runHandler(
      worker((job) => {
        late = job;
      }),
    );
    late?.progress(1);
    expect(() => late?.emit('part')).toThrow('the request was answered');
    expect([run.progress, run.partials]).toEqual([[], []]);
  });
});

describe('the time limit', () => {
  const slow = defineWorker({ service: 's', timeLimitMs: 3_600_000, handle: untilAborted });

  it('can be fired', async () => {
    let begun = false;
    const handle = (job: Job): unknown => {
      begun = true;
      return untilAborted(job);
    };
    const running = startHandler(defineWorker({ ...slow, handle }));
    running.fireTimeLimit();
    const run = await running.ended;
    expect([begun, run.outcome]).toEqual([true, 'failed']);
    expect(run.failure).toEqual({
      class: 'failed',
      code: 'time-limit',
      reason: 'time-limit: it took longer than 3600000 ms, the time limit of this worker',
    });
  });

  it('fires by itself, with the same', async () => {
    const run = await runHandler(defineWorker({ ...slow, timeLimitMs: 10 }));
    expect(run.failure).toMatchObject({ class: 'failed', code: 'time-limit' });
  });

  it('cannot be fired where there is none', async () => {
    const running = startHandler(worker(() => 'done'));
    expect(() => running.fireTimeLimit()).toThrow('worker "s" has no timeLimitMs');
    expect((await running.ended).outcome).toBe('done');
  });

  it('leaves behind a handler that does not heed it', async () => {
    jest.useFakeTimers();
    try {
      let begin: (() => void) | undefined;
      const begun = new Promise<void>((resolve) => (begin = resolve));
      const handle = (): Promise<never> => {
        begin?.();
        return new Promise(() => undefined);
      };
      const running = startHandler(defineWorker({ ...slow, handle }));
      let hasEnded = false;
      void running.ended.then(() => (hasEnded = true));
      await begun;
      running.fireTimeLimit();
      await jest.advanceTimersByTimeAsync(4999);
      expect(hasEnded).toBe(false);
      await jest.advanceTimersByTimeAsync(1);
      expect((await running.ended).failure).toMatchObject({ code: 'time-limit' });
    } finally {
      jest.useRealTimers();
    }
  });
});

describe('a file of wrapped commands', () => {
  let folder = '';
  beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'malamute-test-'))));
  afterEach(() => rmSync(folder, { recursive: true }));

  function save(services: string): string {
    const path = join(folder, 'workers.yaml');
    writeFileSync(path, `services:\n${services}`);
    return path;
  }

  it('gives its workers, which run the commands', async () => {
    const file = openWorkersFile(
      save('  upper: {command: [tr, a-z, A-Z]}\n  bad: {command: [sh, -c, "exit 65"]}\n'),
    );
    try {
      expect(file.workers.map(({ service }) => service)).toEqual(['upper', 'bad']);
      const run = await runHandler(file.worker('upper'), { body: Buffer.from('hello') });
      expect(run.reply.text()).toBe('HELLO');
      const bad = await runHandler(file.worker('bad'));
      expect(bad.failure).toMatchObject({ class: 'bad-input' });
      expect(() => file.worker('ocr')).toThrow('has no service "ocr"; there are upper, bad');
    } finally {
      await file.close();
    }
    expect(readdirSync(folder)).toEqual(['workers.yaml']);
  });

  it('tells what is wrong with it, or with the machine', () => {
    const wrong = save('  upper: {comand: [tr]}\n');
    expect(() => openWorkersFile(wrong)).toThrow('did you mean "command"?');
    const lacks = save('  upper: {command: [no-such-program]}\n');
    expect(() => openWorkersFile(lacks)).toThrow('there is no program "no-such-program"');
  });
});
