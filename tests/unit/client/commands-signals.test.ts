// A Ctrl-C that reaches a process twice, and the second one of who is impatient.
import { atSignals } from '../../../client/commands/shared/signals.js';

/** What signals do that come at these times, ms. */
function at(...times: number[]): string[] {
  const done: string[] = [];
  let nowMs = 0;
  const onSignal = atSignals(
    (name: string) => done.push(`first ${name}`),
    () => done.push('again'),
    () => nowMs,
  );
  for (const [index, timeMs] of times.entries()) {
    nowMs = timeMs;
    onSignal(`signal ${index}`);
  }
  return done;
}

it('the first one is told', () => {
  expect(at(0)).toEqual(['first signal 0']);
  expect(at(123_456)).toEqual(['first signal 0']);
});

it('one that npm hands on is the first one once more', () => {
  expect(at(1000, 1000, 1020, 1499)).toEqual(['first signal 0']);
});

it('one half a second after the first, or later, is the second', () => {
  expect(at(1000, 1500)).toEqual(['first signal 0', 'again']);
  expect(at(1000, 1200, 1400, 1600, 9000)).toEqual(['first signal 0', 'again', 'again']);
});
