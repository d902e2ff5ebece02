// Places in a stream, as people write them.
import { fromOf, untilOf } from '../../../client/commands/shared/place.js';

const NOW_MS = Date.parse('2026-01-31T12:00:00.000Z');
const local = (text: string): { timeMs: number } => ({ timeMs: new Date(text).getTime() });
const utc = (text: string): { timeMs: number } => ({ timeMs: Date.parse(text) });

it.each([
  ['earliest', 'earliest'],
  ['new', 'new'],
  ['compact', 'compact'],
  ['last:7', { last: 7 }],
  ['12', { sequence: 12 }],
  ['0', { sequence: 1 }],
  ['10s', { timeMs: NOW_MS - 10_000 }],
  ['10m', { timeMs: NOW_MS - 600_000 }],
  ['2h', { timeMs: NOW_MS - 7_200_000 }],
  ['3d', { timeMs: NOW_MS - 259_200_000 }],
  ['999999999d', { timeMs: 0 }],
  ['2026-01-31', local('2026-01-31T00:00')],
  ['2026-01-31T10:52', local('2026-01-31T10:52')],
  ['2026-01-31 10:52:07', local('2026-01-31T10:52:07')],
  ['2026-01-31T10:52Z', utc('2026-01-31T10:52Z')],
  ['2026-01-31T10:52:07.501Z', utc('2026-01-31T10:52:07.501Z')],
  ['2026-01-31T10:52:07.501+02:00', utc('2026-01-31T08:52:07.501Z')],
])('reading can begin at %s', (text, from) => {
  expect(fromOf(text, NOW_MS)).toEqual(from);
});

it.each([
  ['now', 'now'],
  ['12', { sequence: 12 }],
  ['10m', { timeMs: NOW_MS - 600_000 }],
  ['2026-01-31T10:52Z', utc('2026-01-31T10:52Z')],
])('reading can end at %s', (text, until) => {
  expect(untilOf(text, NOW_MS)).toEqual(until);
});

it.each([
  '',
  'now',
  'yesterday',
  '-1',
  '1.5',
  '99999999999999999999',
  '10x',
  '10 m',
  '1.5h',
  'last',
  '2026-02-30',
  '2026-13-01',
  '2026-01-31T25:00',
  '2026-01-31T10',
  '1969-12-31',
  '31.01.2026',
  'Sat Jan 31 2026',
])('%j is no place to begin at', (text) => {
  expect(() => fromOf(text, NOW_MS)).toThrow(
    `--from takes earliest, new, compact, last:N, a sequence, a time as 2026-01-31T10:52, ` +
      `a while ago as 10m; not "${text}"`,
  );
});

it.each(['last:', 'last:0', 'last:-1', 'last:few', 'last:99999999999999999999'])(
  '%j is no number of messages',
  (text) => {
    expect(() => fromOf(text, NOW_MS)).toThrow(/last:N takes a whole number of 1 or more, not "/);
  },
);

it.each(['earliest', 'new', 'last:3', 'soon'])('%j is no place to end at', (text) => {
  expect(() => untilOf(text, NOW_MS)).toThrow(/^--until takes now, a sequence, .*; not "/);
});
