import type { Origin } from '../../../broker/sessions/confirmations.js';
import { Trackers } from '../../../broker/sessions/trackers.js';

const TRACKERS_MAX = 10_000;

function origin(sender: string): Origin {
  return { sender, origin: undefined };
}

it('finds the sender of what was received, once', () => {
  const trackers = new Trackers();
  trackers.add('t', origin('alice'));
  expect(trackers.take('t')?.sender).toBe('alice');
  expect(trackers.take('t')).toBeUndefined();
  expect(trackers.take('never')).toBeUndefined();
});

it('keeps senders that chose the same tracker apart, the oldest first', () => {
  const trackers = new Trackers();
  for (const sender of ['alice', 'bob', 'alice']) trackers.add('t', origin(sender));
  expect([1, 2, 3, 4].map(() => trackers.take('t')?.sender)).toEqual([
    'alice',
    'bob',
    'alice',
    undefined,
  ]);
});

it('lets the oldest go at its bound, and says so once', () => {
  const trackers = new Trackers();
  const kept = Array.from({ length: TRACKERS_MAX }, (_, n) => trackers.add(`t${n}`, origin('a')));
  expect(kept).not.toContain(false);
  const more = [0, 1, 2].map((n) => trackers.add(`more${n}`, origin('b')));
  expect(more).toEqual([false, true, true]);
  expect([0, 1, 2, 3].map((n) => trackers.take(`t${n}`)?.sender)).toEqual([
    undefined,
    undefined,
    undefined,
    'a',
  ]);
  expect(trackers.take('more2')?.sender).toBe('b');
});

it('holds on to the sender, not to the message that it was given', () => {
  const trackers = new Trackers();
  const message = { ...origin('alice'), content: [Buffer.alloc(100)] };
  trackers.add('t', message);
  expect(trackers.take('t')).toEqual(origin('alice'));
});

it('forgets everything with its session', () => {
  const trackers = new Trackers();
  trackers.add('t', origin('alice'));
  trackers.clear();
  expect(trackers.take('t')).toBeUndefined();
  for (let n = 0; n < TRACKERS_MAX; n++) expect(trackers.add(`t${n}`, origin('a'))).toBe(true);
});
