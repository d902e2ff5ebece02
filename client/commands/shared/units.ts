// Numbers as people read them: times of the day, durations, sizes. One way for
// all commands; programs get the bare numbers by `--json`.

/** The time of the day here, to the millisecond: `14:03:07.042`. */
export function clockTime(time: Date): string {
  const two = (value: number): string => String(value).padStart(2, '0');
  const ms = String(time.getMilliseconds()).padStart(3, '0');
  return `${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}.${ms}`;
}

const SPANS: readonly (readonly [unit: string, ms: number])[] = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['min', 60_000],
  ['s', 1000],
];

/** A duration in its two largest units: `2 d 3 h`, `4 min 0 s`, `7 s`, `250 ms`. */
export function duration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  const at = SPANS.findIndex(([, span]) => ms >= span);
  const [unit, span] = SPANS[at] as readonly [string, number];
  const first = `${Math.floor(ms / span)} ${unit}`;
  const next = SPANS[at + 1];
  return next === undefined ? first : `${first} ${Math.floor((ms % span) / next[1])} ${next[0]}`;
}

const SIZES = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

/** A number of octets: `312 B`, `1.5 KiB`, `20 MiB`. */
export function size(bytes: number): string {
  let value = bytes;
  let at = 0;
  while (value >= 1024 && at < SIZES.length - 1) {
    value /= 1024;
    at++;
  }
  const digits = at === 0 || value >= 10 ? 0 : 1;
  return `${value.toFixed(digits)} ${SIZES[at] ?? ''}`;
}

/** A count with its noun: `1 message`, `12,345 messages`. */
export function count(value: number, noun: string): string {
  return `${grouped(value)} ${noun}${value === 1 ? '' : 's'}`;
}

/** A number with commas between thousands. */
export function grouped(value: number): string {
  return value.toLocaleString('en-US');
}
