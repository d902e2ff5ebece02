// What a command is: how it is called, what it teaches, and what it does. The
// program turns this into a command line; a command knows nothing of parsing.
import type { Options } from 'yargs';
import type { Output } from './output.js';
import type { Progress } from './progress.js';
import type { Paint } from './styles.js';

/** What a command works with. */
export interface Context {
  /** Fires when the user wants the command to end. */
  readonly signal: AbortSignal;
  readonly output: Output;
  /** Looks of standard output. */
  readonly paint: Paint;
  /** Says something on standard error, in one line. */
  readonly warn: (line: string) => void;
  /** As `warn`, but only to someone who looks at a terminal. */
  readonly hint: (line: string) => void;
  /** Shows on standard error, where that is a terminal, how far work has come. */
  readonly progress: Progress;
}

export interface Command<Arguments> {
  readonly name: string;
  /** Positional arguments: `<stream> [pattern]`. */
  readonly takes: string;
  /** One line for the list of commands. */
  readonly about: string;
  /** More for the command's own help. */
  readonly details?: string;
  /** Arguments of a call, and what it does. */
  readonly examples: readonly (readonly [call: string, does: string])[];
  /** What each positional argument is, by its name. All are texts. */
  readonly positionals: Readonly<Record<string, string>>;
  /** By their names; `connect-timeout` reaches the command as `connectTimeout`. */
  readonly options: Readonly<Record<string, Options>>;
  /** @throws {MlmError | CommandError} */
  readonly run: (given: Arguments, context: Context) => Promise<void>;
}
