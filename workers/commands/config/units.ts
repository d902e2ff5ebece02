// Durations and sizes as people write them in a configuration: `90s`, `5min`,
// `512MiB`. A bare number is refused: nobody sees its unit.

const DURATION_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  min: 60_000,
  h: 3_600_000,
};

const SIZE_BYTES: Readonly<Record<string, number>> = {
  B: 1,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
};

const DURATION_MS_MAX = 2 ** 31 - 1;

/** A duration in whole ms; undefined where the text is none, or longer than 24 days. */
export function parseDuration(text: string): number | undefined {
  const ms = parse(text, DURATION_MS);
  return ms !== undefined && ms >= 1 && ms <= DURATION_MS_MAX ? Math.round(ms) : undefined;
}

/** A size in whole octets; undefined where the text is none. */
export function parseSize(text: string): number | undefined {
  const bytes = parse(text, SIZE_BYTES);
  return bytes !== undefined && bytes >= 1 && bytes <= Number.MAX_SAFE_INTEGER
    ? Math.round(bytes)
    : undefined;
}

export const DURATION_USAGE = 'a duration as 500ms, 90s, 5min or 2h';
export const SIZE_USAGE = 'a size as 64KiB, 512MiB or 4GiB';

function parse(text: string, units: Readonly<Record<string, number>>): number | undefined {
  const [, number, unit = ''] = /^(\d{1,15}(?:\.\d{1,6})?) ?([A-Za-z]+)$/.exec(text) ?? [];
  const factor = Object.hasOwn(units, unit) ? units[unit] : undefined;
  return number === undefined || factor === undefined ? undefined : Number(number) * factor;
}
