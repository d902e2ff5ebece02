import { Backoff } from '../../../client/backoff.js';
import { systemClock } from '../../../client/clock.js';

const withChance = (chance: number): Backoff =>
  new Backoff({ ...systemClock, random: () => chance });

describe('Backoff', () => {
  it('doubles up to five seconds', () => {
    const backoff = withChance(1);
    const delays = Array.from({ length: 8 }, () => backoff.next());
    expect(delays).toEqual([100, 200, 400, 800, 1600, 3200, 5000, 5000]);
  });

  it('takes between half and all of each step', () => {
    expect(withChance(0).next()).toBe(50);
    expect(withChance(0.5).next()).toBe(75);
  });

  it('begins anew after a reset, and counts its attempts', () => {
    const backoff = withChance(1);
    backoff.next();
    backoff.next();
    expect(backoff.attempts).toBe(2);
    backoff.reset();
    expect(backoff.attempts).toBe(0);
    expect(backoff.next()).toBe(100);
  });

  it('stays bounded after any number of attempts', () => {
    const backoff = withChance(1);
    for (let attempt = 0; attempt < 5000; attempt++) backoff.next();
    expect(backoff.next()).toBe(5000);
  });
});
