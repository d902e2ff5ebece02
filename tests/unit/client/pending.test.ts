// Waits that end for want of an answer: not before what has come was looked at.
import type { Clock } from '../../../client/clock.js';
import { Intake } from '../../../client/intake.js';
import { Pending } from '../../../client/pending.js';

const timers: { ms: number; action: () => void }[] = [];
const clock: Clock = {
  start: (ms, action) => {
    const timer = { ms, action };
    timers.push(timer);
    return timer;
  },
  stop: () => undefined,
  random: () => 0,
};

let pending: Pending<string>;
beforeEach(() => {
  timers.length = 0;
  pending = new Pending(clock, new Intake(() => undefined));
});

it('an answer counts that came while the process stood still beyond the time', async () => {
  const answer = pending.add('t', { what: 'it', timeoutMs: 1000 });
  // Both are late: the timer is called first, then the answer is read.
  timers[0]?.action();
  expect(pending.resolve('t', 'here')).toBe(true);
  expect(await answer).toBe('here');
});

it.each([1000, 20, 1])('without an answer a wait ends after its %d ms', async (timeoutMs) => {
  const answer = pending.add('t', { what: 'it', timeoutMs }).catch((error: unknown) => error);
  timers[0]?.action();
  timers[1]?.action();
  expect(timers.reduce((sum, { ms }) => sum + ms, 0)).toBe(timeoutMs);
  expect(await answer).toMatchObject({
    code: 'TIMEOUT',
    message: `it: no answer within ${timeoutMs} ms`,
  });
  expect(pending.size).toBe(0);
});
