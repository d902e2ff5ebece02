// The filters of templates: what a value of a request must be before it becomes
// (part of) an argument, and what the author of the command vouches for. Each is
// one row of a table; parsing and filling stand in template.ts.
import { badInput } from './failure.js';

/** What is known of a value on its way into an argument. */
export interface Filtered {
  readonly text: string;
  /** It may begin with a dash. */
  readonly dash: boolean;
  /** It may look like a path: the command does not take it for one. */
  readonly path: boolean;
}

/** One use of a filter. @param name what the value is called in messages */
export type Filter = (value: Filtered, name: string) => Filtered;

interface FilterRow {
  /** How it is written, for messages. */
  readonly usage: string;
  /** @returns undefined where the words after its name make no sense */
  readonly make: (words: readonly string[]) => Filter | undefined;
  /** Whether its values are no paths, whatever the command does. */
  readonly settlesPath: boolean;
}

const NUMBER = /^-?\d+(\.\d+)?([eE][+-]?\d{1,3})?$/;
const INTEGER = /^-?\d{1,15}$/;
const WORD = /^[A-Za-z0-9_][A-Za-z0-9_-]*$/;

export const FILTERS: Readonly<Record<string, FilterRow>> = {
  number: {
    usage: 'number [MIN MAX]',
    make: (words) => numeric(words, NUMBER, 'a number'),
    settlesPath: true,
  },
  integer: {
    usage: 'integer [MIN MAX]',
    make: (words) => numeric(words, INTEGER, 'a whole number'),
    settlesPath: true,
  },
  word: {
    usage: 'word',
    make: (words) => (words.length > 0 ? undefined : word),
    settlesPath: true,
  },
  oneof: {
    usage: 'oneof WORD WORD…',
    make: (words) => (words.length === 0 ? undefined : oneOf(words)),
    settlesPath: true,
  },
  text: {
    usage: 'text',
    make: (words) => (words.length > 0 ? undefined : (value) => ({ ...value, path: true })),
    settlesPath: true,
  },
  dash: {
    usage: 'dash',
    make: (words) => (words.length > 0 ? undefined : (value) => ({ ...value, dash: true })),
    settlesPath: false,
  },
  replace: {
    usage: 'replace THIS THAT',
    make: ([from, to, ...more]) =>
      from === undefined || to === undefined || more.length > 0
        ? undefined
        : (value) => ({ ...value, text: value.text.replaceAll(from, () => to) }),
    settlesPath: false,
  },
};

function numeric(words: readonly string[], shape: RegExp, what: string): Filter | undefined {
  if (words.length !== 0 && words.length !== 2) return undefined;
  const [min = -Infinity, max = Infinity] = words.map(Number);
  if (Number.isNaN(min) || Number.isNaN(max) || min > max) return undefined;
  const range = words.length === 0 ? '' : ` from ${min} to ${max}`;
  return ({ text }, name) => {
    const value = shape.test(text) ? Number(text) : NaN;
    if (!(value >= min && value <= max)) throw badInput(`${name} must be ${what}${range}`);
    return { text, dash: true, path: true };
  };
}

const word: Filter = ({ text }, name) => {
  if (WORD.test(text)) return { text, dash: false, path: true };
  throw badInput(`${name} must be a word of letters, digits, - and _`);
};

function oneOf(words: readonly string[]): Filter {
  return ({ text }, name) => {
    if (words.includes(text)) return { text, dash: true, path: true };
    throw badInput(`${name} must be one of ${words.join(', ')}`);
  };
}
