// The judgement of the benchmark: medians, ratios pair by pair, targets met and
// missed, and a lost message that must never look like a figure.
import type { Comparison } from './comparison.js';
import { rowsOf } from './report.js';
import type { Outcome } from './run-comparison.js';
import { ratios, spread } from './statistics.js';

const comparison: Comparison = {
  name: 'thing',
  rows: [
    { figure: 'rate', title: 'things', unit: '/s', ratio: { least: 2 } },
    { figure: 'size', title: 'its size', unit: 'MB', own: { most: 10 } },
  ],
  contenders: [],
  runs: 'alternate',
};

function outcome(name: string, samples: Record<string, number>[], failed?: string): Outcome {
  const peer = {
    name,
    missing: () => undefined,
    start: () => Promise.reject(new Error('not started here')),
  };
  const contender = { peer, measure: () => Promise.resolve({}) };
  return { contender, samples, ...(failed === undefined ? {} : { failed }) };
}

const fast = [
  { rate: 100, size: 5 },
  { rate: 300, size: 6 },
  { rate: 200, size: 7 },
];
const slow = [
  { rate: 50, size: 1 },
  { rate: 60, size: 1 },
  { rate: 80, size: 1 },
];

test('median, smallest and largest', () => {
  expect(spread([3, 1, 2])).toEqual({ median: 2, min: 1, max: 3 });
  expect(spread([4, 1, 2, 3])).toEqual({ median: 2.5, min: 1, max: 4 });
});

test('ratios compare the runs that were next to each other', () => {
  expect(ratios([100, 300, 200], [50, 60, 80])).toEqual({ median: 2.5, min: 2, max: 5 });
});

test('targets that are met and targets that are missed', () => {
  const verdict = { failed: 0, missed: 0 };
  const met = rowsOf(comparison, [outcome('ours', fast), outcome('peer', slow)], verdict);
  expect(met[0]).toMatch(
    /200\/s \(100–300\).*peer 60\/s \(50–80\).*2\.50 \(2\.00–5\.00\).*≥ 2 met/,
  );
  expect(met[1]).toMatch(/6 MB \(5–7\).*≤ 10 met/);
  expect(verdict).toEqual({ failed: 0, missed: 0 });

  const missed = rowsOf(comparison, [outcome('ours', slow), outcome('peer', fast)], verdict);
  expect(missed[0]).toMatch(/≥ 2 MISSED/);
  expect(verdict).toEqual({ failed: 0, missed: 1 });
});

test('a contender that failed shows its reason and no figure', () => {
  const verdict = { failed: 0, missed: 0 };
  const failed = outcome('ours', fast, 'LOST: 9 of 10 messages arrived');
  const lines = rowsOf(comparison, [failed, outcome('peer', slow)], verdict);
  expect(lines[0]).toBe('!!! thing FAILED on ours: LOST: 9 of 10 messages arrived');
  expect(lines[1]).toMatch(/things +\| — +\| peer 60\/s/);
  expect(verdict.failed).toBe(1);
});

test('without a peer the row stands alone and is not judged by a ratio', () => {
  const verdict = { failed: 0, missed: 0 };
  const lines = rowsOf(comparison, [outcome('ours', fast)], verdict);
  expect(lines[0]).toMatch(/200\/s \(100–300\) +\| — +\| — +\| ≥ 2 +\|/);
  expect(verdict).toEqual({ failed: 0, missed: 0 });
});
