import { Health } from '../../../workers/health.js';

const GO_ON = { kind: 'go on' };

/** Fails so many jobs, each another one. @returns what was said of the last */
function fail(health: Health, count: number, name = 'job'): unknown {
  let verdict: unknown;
  for (let n = 1; n <= count; n++) verdict = health.failed(`${name} ${n}`);
  return verdict;
}

it('jobs in a row that fail pause a worker; one that is done begins a new row', () => {
  const health = new Health(3);
  expect(fail(health, 2)).toEqual(GO_ON);
  expect(health.done()).toEqual(GO_ON);
  expect(fail(health, 2)).toEqual(GO_ON);
  expect(health.failures).toBe(2);
  expect(health.failed('the third')).toEqual({ kind: 'pause', pauseMs: 1000 });
});

it('a job that fails again counts once: it may be the job that is bad', () => {
  const health = new Health(3);
  for (let attempt = 1; attempt <= 20; attempt++) expect(health.failed('same')).toEqual(GO_ON);
  expect(health.failures).toBe(1);
});

it('what runs when the pause begins changes nothing', () => {
  const health = new Health(1);
  expect(health.failed('a')).toEqual({ kind: 'pause', pauseMs: 1000 });
  expect(health.failed('b')).toEqual(GO_ON);
});

it('the pause is longer each time that the one job to see fails, up to a minute', () => {
  const health = new Health(2);
  fail(health, 2);
  const pauses = Array.from({ length: 8 }, (_, n) => {
    health.probe();
    const verdict = health.failed(`probe ${n}`);
    return verdict.kind === 'pause' ? verdict.pauseMs : 0;
  });
  expect(pauses).toEqual([2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000, 60_000]);
});

it('one that is done ends it, and the next pause is short again', () => {
  const health = new Health(2);
  fail(health, 2);
  health.probe();
  health.failed('probe');
  health.probe();
  expect(health.done()).toEqual({ kind: 'recovered' });
  expect(health.done()).toEqual(GO_ON);
  expect(fail(health, 2)).toEqual({ kind: 'pause', pauseMs: 1000 });
});

it('one that is done during the pause ends it, too', () => {
  const health = new Health(1);
  health.failed('a');
  expect(health.done()).toEqual({ kind: 'recovered' });
});

it('with no bound it never pauses', () => {
  expect(fail(new Health(0), 1000)).toEqual(GO_ON);
});

it('what was thrown is news once in a row', () => {
  const health = new Health(5);
  expect([health.isNews('a'), health.isNews('a'), health.isNews('b')]).toEqual([true, false, true]);
  health.done();
  expect(health.isNews('a')).toBe(true);
});
