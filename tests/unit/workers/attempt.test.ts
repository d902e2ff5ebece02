import { jest } from '@jest/globals';
import { Attempt } from '../../../workers/attempt.js';
import { JobError } from '../../../workers/index.js';

const never = (): Promise<never> => new Promise(() => undefined);
const { signal: quiet } = new AbortController();

async function failureOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => 'it did not fail',
    (error: unknown) => error,
  );
}

it('gives what the handler gives, and throws what it throws', async () => {
  expect(await new Attempt().run(() => 'done', quiet, undefined)).toBe('done');
  const thrown = new RangeError('no');
  expect(await failureOf(new Attempt().run(() => Promise.reject(thrown), quiet, 1000))).toBe(
    thrown,
  );
  const sync = (): never => {
    throw thrown;
  };
  expect(await failureOf(new Attempt().run(sync, quiet, undefined))).toBe(thrown);
});

it('the time limit fires the signal; what the handler makes of it counts no more', async () => {
  const attempt = new Attempt();
  const handle = (): Promise<string> =>
    new Promise((resolve) => attempt.signal.addEventListener('abort', () => resolve('too late')));
  const failure = await failureOf(attempt.run(handle, quiet, 10));
  expect(failure).toMatchObject({ name: 'JobError', code: 'time-limit' });
  expect((failure as JobError).message).toContain('longer than 10 ms');
  expect(attempt.signal.reason).toBe(failure);
});

it('what ends it from outside is what it fails with', async () => {
  const outer = new AbortController();
  const attempt = new Attempt();
  const handle = async (): Promise<void> => {
    await new Promise((resolve) => attempt.signal.addEventListener('abort', resolve));
    throw new Error('my own words');
  };
  const running = failureOf(attempt.run(handle, outer.signal, undefined));
  const reason = new Error('nobody wants it');
  outer.abort(reason);
  expect(await running).toBe(reason);
});

it('has ended where it was over before it began', async () => {
  const reason = new Error('over');
  const attempt = new Attempt();
  let seen = false;
  const handle = (): void => {
    seen = attempt.signal.aborted;
  };
  expect(await failureOf(attempt.run(handle, AbortSignal.abort(reason), undefined))).toBe(reason);
  expect(seen).toBe(true);
});

it('one that is cut off does not wait for its handler', async () => {
  const attempt = new Attempt();
  const running = failureOf(attempt.run(never, quiet, undefined));
  const reason = new JobError('STOPPED', 'stop');
  attempt.cutOff(reason);
  expect(await running).toBe(reason);
  expect(attempt.signal.reason).toBe(reason);
});

describe('a handler that does not heed its signal', () => {
  beforeEach(() => void jest.useFakeTimers());
  afterEach(() => void jest.useRealTimers());

  it('is left behind after a while', async () => {
    const attempt = new Attempt();
    let ended = false;
    const running = failureOf(attempt.run(never, quiet, 1000)).then((failure) => {
      ended = true;
      return failure;
    });
    await jest.advanceTimersByTimeAsync(1000);
    expect(attempt.signal.aborted).toBe(true);
    await jest.advanceTimersByTimeAsync(4999);
    expect(ended).toBe(false);
    await jest.advanceTimersByTimeAsync(1);
    expect(await running).toMatchObject({ code: 'time-limit' });
    expect(jest.getTimerCount()).toBe(0);
  });
});
