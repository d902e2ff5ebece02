// The command line around commands: parses it, gives the chosen command what it
// works with, and turns every failure into one line and a status. It is the
// only file that runs yargs; what the commands do it does not know.
import yargs, { type Argv, type CommandModule } from 'yargs';
import { shownOptions } from './arguments.js';
import type { Command, Context } from './command.js';
import { explain, NO_COMMAND } from './complaints.js';
import { failureOf, oneLine, usageError } from './failure.js';
import { Output } from './output.js';
import { Progress } from './progress.js';
import { stopSignal } from './stopping.js';
import { paintFor } from './styles.js';
import { cover } from './verbatim.js';
import { packageVersion } from './version.js';

const HELP_COLUMNS_MAX = 100;

/** What was chosen on the command line. */
type Chosen = (context: Context) => Promise<void>;

/** How the user calls a command: `mlm tail …`, or `mlm-tail …`. */
type Called = 'by name' | 'alone';

/** A command of a program, however its arguments look. */
export interface Entry {
  readonly name: string;
  /** @param choose told what to run */
  module(called: Called, choose: (chosen: Chosen) => void): CommandModule;
}

/** Makes a command an entry of a program. */
export function entry<Arguments>(command: Command<Arguments>): Entry {
  return {
    name: command.name,
    module: (called, choose) => {
      const name = called === 'alone' ? '$0' : command.name;
      return {
        command: `${name} ${command.takes}`.trim(),
        describe: command.about,
        builder: (parser: Argv, forHelp = false) => describe(parser, command, called, forHelp),
        // Positionals and options are declared by the command, as its own type says.
        handler: (given) => choose((context) => command.run(given as Arguments, context)),
      };
    },
  };
}

export interface Program {
  readonly name: string;
  /** What it is, for its help. */
  readonly about: string;
  readonly examples?: readonly (readonly [call: string, does: string])[];
  /** The commands; or the only one, which is called without its name. */
  readonly commands: readonly Entry[] | Entry;
  /** Commands of other rooms, by their names; they run by themselves. */
  readonly others?: Readonly<Record<string, CommandModule>>;
}

/** Runs a program on its arguments, and sets the status with which the process exits. */
export async function runProgram(program: Program, argv: readonly string[]): Promise<void> {
  const output = new Output(process.stdout);
  process.stderr.on('error', () => undefined);
  const progress = new Progress(process.stderr);
  const warn = (line: string): void =>
    progress.aside(() => process.stderr.write(`${program.name}: ${oneLine(line)}\n`));
  const hint = (line: string): void => {
    if (process.stderr.isTTY) warn(line);
  };
  try {
    const chosen = await parse(program, argv);
    const paint = paintFor(process.stdout, process.env);
    await chosen?.({ signal: stopSignal(), output, paint, warn, hint, progress });
    output.check();
  } catch (error) {
    const failure = failureOf(error);
    if (failure === undefined) throw error;
    if (failure.line !== undefined) warn(failure.line);
    process.exitCode = failure.status;
  }
}

/** @returns what to run; undefined where the parser did it all (help, a command of another room) */
async function parse(program: Program, argv: readonly string[]): Promise<Chosen | undefined> {
  const { argv: covered, uncover } = cover(argv);
  let chosen: Chosen | undefined;
  const choose = (what: Chosen): void => {
    chosen = what;
  };
  const parser = newParser(program, covered)
    .middleware((given) => uncoverValues(given, uncover))
    .fail((message: string | null, error: Error | undefined) => {
      if (error !== undefined && error.name !== 'YError') throw error;
      const complaint = explain(
        error?.message ?? message ?? '',
        program.name,
        namesOf(program),
        argv,
      );
      throw usageError(uncover(complaint));
    });
  addCommands(parser, program, choose);
  await parser.parseAsync();
  return chosen;
}

function newParser(program: Program, argv: readonly string[]): Argv {
  const parser = yargs([...argv])
    .scriptName(program.name)
    .parserConfiguration({
      'parse-numbers': false,
      'parse-positional-numbers': false,
      'dot-notation': false,
    })
    .locale('en')
    .strict()
    .recommendCommands()
    .help()
    .alias('help', 'h')
    .version(packageVersion())
    .wrap(Math.min(HELP_COLUMNS_MAX, process.stdout.columns || HELP_COLUMNS_MAX));
  for (const [call, does] of program.examples ?? []) parser.example(call, does);
  return parser;
}

function addCommands(
  parser: Argv,
  { about, commands, others = {} }: Program,
  choose: (what: Chosen) => void,
): void {
  if ('name' in commands) {
    parser.command(commands.module('alone', choose));
    return;
  }
  parser.usage(`$0 COMMAND\n\n${about}`);
  for (const command of commands) parser.command(command.module('by name', choose));
  for (const other of Object.values(others)) parser.command(other);
  parser.demandCommand(1, NO_COMMAND);
  parser.epilogue('"$0 COMMAND --help" tells more about a command.');
}

/** @param forHelp true where the parser will show the command's help, and not run it */
function describe<T>(parser: Argv, command: Command<T>, called: Called, forHelp: boolean): Argv {
  const alone = called === 'alone';
  const call = alone ? '$0' : `$0 ${command.name}`;
  const { takes, about, details, examples, positionals, options } = command;
  // The parser itself begins the help of a command that is called alone.
  const head = alone ? [] : [`${`${call} ${takes}`.trim()} [options]\n`, about];
  parser.usage([...head, ...(details === undefined ? [] : [`\n${details}`])].join('\n'));
  for (const [name, what] of Object.entries(positionals)) {
    parser.positional(name, { type: 'string', describe: what });
  }
  for (const [example, does] of examples) parser.example(`${call} ${example}`.trim(), does);
  return parser.options(forHelp ? shownOptions(options) : options);
}

function uncoverValues(given: Record<string, unknown>, uncover: (text: string) => string): void {
  for (const [key, value] of Object.entries(given)) {
    if (typeof value === 'string') given[key] = uncover(value);
    else if (Array.isArray(value)) {
      given[key] = value.map((item: unknown) => (typeof item === 'string' ? uncover(item) : item));
    }
  }
}

/** The names of a program's commands; none where its only one is called without its name. */
function namesOf({ commands, others = {} }: Program): string[] {
  return 'name' in commands ? [] : [...commands.map(({ name }) => name), ...Object.keys(others)];
}
