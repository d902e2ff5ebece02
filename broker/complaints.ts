// What is wrong with a command line or a config file, in words that say what to
// do. The parser has only its own English texts to tell its complaints apart;
// whoever replaces it finds them here. It knows no option by name.

/** Names that differ in more than this share of their letters are not meant. */
const DIFFERENT_MAX = 0.4;

/**
 * A complaint of the parser with advice, on one line.
 *
 * @param complaint the parser's text
 * @param program how the program is called
 * @param names the names of its options
 * @param argv what it was called with
 */
export function explain(
  complaint: string,
  program: string,
  names: readonly string[],
  argv: readonly string[],
): string {
  const help = `"${program} --help" lists the options`;
  const [, waiting] = /^Not enough arguments following: (.*)$/.exec(complaint) ?? [];
  if (waiting !== undefined) return `--${waiting} needs a value; ${help}`;
  const [, unknown] = /^Unknown arguments?: (.*)$/.exec(complaint) ?? [];
  if (unknown === undefined) return `${complaint}; ${help}`;
  const option = argv.find((argument) => unknown.split(', ').includes(bare(argument)));
  if (option?.startsWith('-') !== true) {
    return `"${unknown.replaceAll(', ', ' ')}" is too much: every value follows its option; ${help}`;
  }
  return `there is no option ${option.replace(/=.*$/s, '')}${didYouMean(bare(option), names, '--')}; ${help}`;
}

/** The name in `--name=value`. */
function bare(argument: string): string {
  return argument.replace(/^--?(?:no-)?/, '').replace(/=.*$/s, '');
}

/**
 * A suggestion to append to a complaint about a name.
 *
 * @param prefix what stands before names
 * @returns the empty string where no name is near
 */
export function didYouMean(wrong: string, names: readonly string[], prefix = ''): string {
  const [nearest] = names
    .map((name) => ({ name, steps: distance(wrong.toLowerCase(), name) }))
    .filter(({ name, steps }) => steps <= Math.max(1, name.length * DIFFERENT_MAX))
    .sort((a, b) => a.steps - b.steps);
  const beginning = wrong.length > 2 ? names.find((name) => name.startsWith(wrong)) : undefined;
  const meant = beginning ?? nearest?.name;
  return meant === undefined ? '' : `; did you mean ${prefix}${meant}?`;
}

/** How many letters have to be added, left out or changed to make one text of the other. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, at) => at);
  for (let i = 1; i <= a.length; i++) {
    const above = row;
    row = [i];
    for (let j = 1; j <= b.length; j++) {
      const changed = (above[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1);
      row.push(Math.min(changed, (above[j] as number) + 1, (row[j - 1] as number) + 1));
    }
  }
  return row[b.length] as number;
}
