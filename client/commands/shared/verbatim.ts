// Arguments that the parser must not touch. To yargs a lone `-` is an empty
// option, and what follows `--` is no positional argument; here both are, since
// `-` means standard input and `--` lets a body begin with a dash. Such
// arguments pass through the parser under names that no argument can have.

/** No argument of a process can hold this character. */
const MARK = '\0';

/** Arguments with names in the place of some. */
export interface Covered {
  readonly argv: string[];
  /** Puts what was covered back, wherever its name stands in a text. */
  readonly uncover: (text: string) => string;
}

/** Covers each lone `-`, and what follows the first `--`. */
export function cover(argv: readonly string[]): Covered {
  const covered: string[] = [];
  const name = (argument: string): string => `${MARK}${covered.push(argument) - 1}${MARK}`;
  const end = argv.indexOf('--');
  const before = end < 0 ? argv : argv.slice(0, end);
  const after = end < 0 ? [] : argv.slice(end + 1);
  return {
    argv: [
      ...before.map((argument) => (argument === '-' ? name(argument) : argument)),
      ...after.map(name),
    ],
    uncover: (text) =>
      text.replace(
        new RegExp(`${MARK}(\\d+)${MARK}`, 'g'),
        (_, at: string) => covered[Number(at)] ?? '',
      ),
  };
}
