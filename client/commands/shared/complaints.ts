// What the parser complains about, in words that say what to do. The parser has
// only its own English texts to tell its complaints apart; whoever replaces it
// finds all of them here.
import { dashed } from './arguments.js';

/** The parser's complaint where no command was given. */
export const NO_COMMAND = 'a command is missing';

/**
 * A complaint with advice, on one line.
 *
 * @param complaint the parser's text
 * @param program how the program is called
 * @param commands the names of its commands; none where it is one itself
 * @param argv what it was called with
 */
export function explain(
  complaint: string,
  program: string,
  commands: readonly string[],
  argv: readonly string[],
): string {
  const [first = ''] = argv;
  const isCommand = commands.includes(first);
  const call = isCommand ? `${program} ${first}` : program;
  const help = `"${call} --help" shows how it is called`;
  const list = `"${program} --help" lists the commands`;
  if (complaint === NO_COMMAND) return `${complaint}; ${list}`;
  const [, meant] = /^Did you mean (.*)\?$/.exec(complaint) ?? [];
  if (meant !== undefined) return `there is no command "${first}"; did you mean "${meant}"?`;
  if (complaint.startsWith('Not enough non-option')) return `an argument is missing; ${help}`;
  const [, option] = /^Not enough arguments following: (.*)$/.exec(complaint) ?? [];
  if (option !== undefined) return `${dashed(option)} needs a value; ${help}`;
  const [, unknown] = /^Unknown (?:arguments?|commands?): (.*)$/.exec(complaint) ?? [];
  if (unknown === undefined) return `${complaint}; ${help}`;
  if (commands.length > 0 && !isCommand && !first.startsWith('-')) {
    return `there is no command "${first}"; ${list}`;
  }
  return `${unexpected(unknown.split(', '), argv)}; ${help}`;
}

/** @param unknown what the parser names: options without their dashes, in both spellings; texts */
function unexpected(unknown: readonly string[], argv: readonly string[]): string {
  const options = argv
    .filter((argument) => argument.startsWith('-'))
    .map((argument) => argument.replace(/=.*$/s, ''))
    .filter((option) => unknown.includes(option.replace(/^-(-(no-)?)?/, '')));
  if (options.length > 0) {
    const named = [...new Set(options)].join(', ');
    return `there is no option ${named}: put -- before a text that begins with a dash`;
  }
  return `"${unknown.join(', ')}" is too much: put a text with spaces in quotes`;
}
