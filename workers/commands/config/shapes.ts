// The small shapes that a configuration is made of: texts, durations, sizes,
// lists. Each says in one sentence what it wants. What they are for stands in
// service-shapes.ts.
import { z } from 'zod';
import { checkCache } from '../../../client/cache.js';
import { MlmError, type Labels } from '../../../client/index.js';
import { checkLabels } from '../../../client/labels.js';
import { CACHE_VERSION_BYTES_MAX, compilePattern, type Pattern } from '../../../protocol/index.js';
import { nearest } from './suggest.js';
import type { KeyPath, Problem } from './problems.js';
import { DURATION_USAGE, parseDuration, parseSize, SIZE_USAGE } from './units.js';

/** A value that is not what it should be. */
export class Wrong extends Error {
  override readonly name = 'Wrong';
  /** Where in the value it is. */
  readonly path: KeyPath;

  constructor(message: string, path: KeyPath = []) {
    super(message);
    this.path = path;
  }
}

/** A shape that is read by a function. @param read throws `Wrong` */
export function shape<T>(read: (value: unknown) => T): z.ZodType<T> {
  return z.unknown().transform((value, context): T => {
    try {
      if (value === undefined) throw new Wrong('is missing');
      return read(value);
    } catch (error) {
      if (!(error instanceof Wrong)) throw error;
      context.addIssue({ code: 'custom', message: error.message, path: [...error.path] });
      return z.NEVER;
    }
  });
}

/** A map that has these keys and no others. */
export function keys<Shape extends z.core.$ZodShape>(
  known: Shape,
): z.ZodObject<Shape, z.core.$strict> {
  return z.strictObject(known, {
    error: (issue) =>
      issue.code === 'unrecognized_keys' ? Object.keys(known).join(' ') : undefined,
  });
}

/** The problems that zod has found, one for each key. @param path where the value stands */
export function problemsOf(error: z.ZodError, path: KeyPath): Problem[] {
  return error.issues.flatMap((issue): Problem[] => {
    const at: KeyPath = [...path, ...issue.path.map((key) => (typeof key === 'symbol' ? '' : key))];
    switch (issue.code) {
      case 'unrecognized_keys':
        return issue.keys.map((key) => unknownKey([...at, key], key, issue.message.split(' ')));
      case 'invalid_type':
        return [{ path: at, message: `must be ${KINDS[issue.expected] ?? issue.expected}` }];
      default:
        return [{ path: at, message: issue.message }];
    }
  });
}

const KINDS: Readonly<Record<string, string>> = {
  object: 'a map of keys',
  record: 'a map of keys',
  array: 'a list',
};

function unknownKey(path: KeyPath, key: string, known: readonly string[]): Problem {
  const meant = nearest(key, known);
  const advice =
    meant === undefined ? `there are: ${known.join(', ')}` : `did you mean "${meant}"?`;
  return { path, message: `is not known; ${advice}`, atKey: true };
}

export const text = shape((value) => {
  if (typeof value === 'string' && value !== '' && !value.includes('\0')) return value;
  throw new Wrong('must be a text');
});

export const flag = shape((value) => {
  if (typeof value === 'boolean') return value;
  throw new Wrong('must be true or false');
});

export function wholeNumber(min: number, max: number): z.ZodType<number> {
  return shape((value) => {
    if (Number.isInteger(value) && Number(value) >= min && Number(value) <= max) {
      return Number(value);
    }
    throw new Wrong(`must be a whole number from ${min} to ${max}`);
  });
}

export function oneOf<const Name extends string>(names: readonly Name[]): z.ZodType<Name> {
  return shape((value) => {
    const name = names.find((known) => known === value);
    if (name !== undefined) return name;
    const meant = typeof value === 'string' ? nearest(value, names) : undefined;
    const advice = meant === undefined ? '' : `; did you mean "${meant}"?`;
    throw new Wrong(`must be one of ${names.join(', ')}${advice}`);
  });
}

export const duration = shape((value) => {
  const ms = typeof value === 'string' ? parseDuration(value) : undefined;
  if (ms !== undefined) return ms;
  throw new Wrong(`must be ${DURATION_USAGE}, not ${shown(value)}`);
});

export const size = shape((value) => {
  const bytes = typeof value === 'string' ? parseSize(value) : undefined;
  if (bytes !== undefined) return bytes;
  throw new Wrong(`must be ${SIZE_USAGE}, not ${shown(value)}`);
});

/** A regular expression that takes linear time, whatever it is matched with. */
export const pattern = shape((value): Pattern => {
  if (typeof value !== 'string') throw new Wrong('must be a regular expression');
  try {
    return compilePattern(value);
  } catch (error) {
    throw new Wrong((error as Error).message);
  }
});

/** The name of a service, as the wire takes it. */
export const serviceName = shape((value) => {
  const fits = typeof value === 'string' && value !== '' && Buffer.byteLength(value) <= 255;
  if (fits && !/\p{Cc}/u.test(value)) return value;
  throw new Wrong('must be a name of 255 octets at most');
});

/** Under what results are kept: `{version: "1", maxAge: 1h}`. */
export const cache = keys({
  version: shape((value) => {
    if (typeof value === 'number') throw new Wrong(`put ${shown(value)} in quotes`);
    const version = value as string;
    if (whyNot(() => checkCache({ version })) === undefined) return version;
    throw new Wrong(`must be a text of ${CACHE_VERSION_BYTES_MAX} octets at most`);
  }),
  maxAge: duration.optional(),
}).transform(({ version, maxAge: maxAgeMs }) => ({ version, maxAgeMs }));

const label = shape((value): Labels[string] => {
  const given = value as Labels[string];
  if (labelsProblem({ label: given }) === undefined) return given;
  throw new Wrong('must be a text, a number, true or false, or a list of these');
});

export const labels = z.record(z.string(), label).superRefine((given, context) => {
  const message = labelsProblem(given);
  if (message !== undefined) context.addIssue({ code: 'custom', message });
});

/** Why a worker cannot have labels; undefined where it can. */
export function labelsProblem(given: Labels): string | undefined {
  return whyNot(() => checkLabels(given));
}

/** What a check of the SDK says. */
function whyNot(check: () => unknown): string | undefined {
  try {
    check();
    return undefined;
  } catch (error) {
    if (error instanceof MlmError) return error.message;
    throw error;
  }
}

/** A value as it was written, short. */
export function shown(value: unknown): string {
  const json: unknown = JSON.stringify(value);
  const text = typeof json === 'string' ? json : String(value);
  return text.length <= 60 ? text : `${text.slice(0, 59)}…`;
}
