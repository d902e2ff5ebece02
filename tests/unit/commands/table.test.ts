// What a broker tells about itself, as tables and lists for people.
import { unpainted } from '../../../client/commands/shared/styles.js';
import { fieldLines, tableLines } from '../../../client/commands/shared/table.js';
import { clockTime, count, duration, size } from '../../../client/commands/shared/units.js';

it('a table has titles, units, and an order', () => {
  const rows = [
    { stream: 'weather', lastSequence: 12_345, bytes: 2048, reads: ['a', 'b'], online: true },
    { stream: 'alerts', lastSequence: 0, bytes: 5, reads: [], online: false },
  ];
  expect(tableLines(rows, unpainted)).toEqual([
    'STREAM   LAST SEQUENCE    BYTES  READS  ONLINE',
    'alerts               0      5 B  -      no',
    'weather         12,345  2.0 KiB  a, b   yes',
  ]);
});

it('a table shows strange names harmlessly, and cuts long ones', () => {
  const [, evil, long] = tableLines(
    [{ address: '\u001b[2J' }, { address: 'x'.repeat(200) }],
    unpainted,
  );
  expect(evil).toBe('\\x1b[2J');
  expect(long).toBe(`${'x'.repeat(60)}…`);
});

it('no rows make no table', () => {
  expect(tableLines([], unpainted)).toEqual([]);
});

it('fields say what they are, and keep what they do not know', () => {
  const stats = {
    uptimeMs: 90_000,
    pid: 12_345,
    residentBytes: 1048576,
    sessions: 1234,
    new: null,
  };
  expect(fieldLines(stats, unpainted)).toEqual([
    'uptime    1 min 30 s',
    'pid       12345',
    'resident  1.0 MiB',
    'sessions  1,234',
    'new       -',
  ]);
});

it.each([
  [0, '0 ms'],
  [999, '999 ms'],
  [1000, '1 s'],
  [61_000, '1 min 1 s'],
  [3_600_000, '1 h 0 min'],
  [100_000_000, '1 d 3 h'],
])('%d ms is %s', (ms, text) => {
  expect(duration(ms)).toBe(text);
});

it.each([
  [0, '0 B'],
  [1023, '1023 B'],
  [1536, '1.5 KiB'],
  [20 * 1024 ** 2, '20 MiB'],
  [3 * 1024 ** 5, '3072 TiB'],
])('%d octets are %s', (bytes, text) => {
  expect(size(bytes)).toBe(text);
});

it('counts and times', () => {
  expect([count(1, 'message'), count(12_345, 'message')]).toEqual(['1 message', '12,345 messages']);
  expect(clockTime(new Date(2026, 0, 1, 3, 4, 5, 6))).toBe('03:04:05.006');
});
