// A wrapped command as it is written down, checked and with its defaults: what
// runs, what it is given, what of it is the reply, and its bounds. A plain
// description; nothing runs here.
import type { Labels } from '../../client/index.js';
import type { ExitRules } from './exits.js';
import type { OutputFiles } from './outputs.js';
import type { Source } from './sources.js';
import type { Arguments } from './template.js';

/** What of the command's standard output is the reply, and as what. */
export type OutputForm =
  /** The octets as they are. */
  | 'binary'
  /** UTF-8. */
  | 'text'
  /** One JSON document, which becomes a value. */
  | 'json'
  /** Text whose lines are partial results, too. */
  | 'lines'
  /** JSON lines: each is a partial result, the reply is a list of them. */
  | 'jsonl'
  /** Nothing. */
  | 'none';

/** A file that is written before the command runs. A `*` in its name is the number of a frame. */
export interface InputFile {
  readonly name: string;
  readonly source: Source;
}

/** What the command is given beside its arguments. */
export interface CommandInput {
  readonly stdin: Source | undefined;
  readonly files: readonly InputFile[];
}

/** What of the command's work is the reply. */
export interface CommandOutput {
  readonly stdout: OutputForm;
  /** Where there are such, they are the reply, and `stdout` is `none`. */
  readonly files: OutputFiles | undefined;
}

/** Where the command says how far it is: JSON lines there, or percentages on standard error. */
export type ProgressFrom = 'stderr' | 'stdout' | 'percent' | 'none';

/** A command, run for one request after the other. */
export interface CommandSpec {
  /** The program: a name to look for in PATH, or an absolute path. */
  readonly program: string;
  readonly args: Arguments;
  /** The folder that `{{here}}` stands for. */
  readonly here: string;
  /** The folder it runs in. Default: that of its job. */
  readonly folder: string | undefined;
  /** The whole environment. */
  readonly env: Readonly<Record<string, string>>;
  readonly input: CommandInput;
  readonly output: CommandOutput;
  readonly progress: ProgressFrom;
  /** Octets of a reply and its partial results together. */
  readonly outputBytesMax: number;
  readonly timeLimitMs: number | undefined;
  /** How long a command that stays may take to say that it is ready, ms; without it, it need not. */
  readonly startLimitMs: number | undefined;
  /** What the worker says of itself, beside its labels, while a command that stays is ready. */
  readonly readyLabels: Labels;
  readonly memoryBytesMax: number | undefined;
  /** How long it may take to end once it was asked to, ms. */
  readonly graceMs: number;
  readonly exits: ExitRules;
}
