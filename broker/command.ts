// The command `mlm-broker`: reads the options, starts the broker, says where it
// listens, and stops it on SIGTERM or SIGINT. It wires and does nothing else.
import yargs, { type Argv, type CommandModule, type Options } from 'yargs';
import { hideBin } from 'yargs/helpers';
import { announcement } from './announce.js';
import { startBroker, type Broker } from './broker.js';
import { systemClock } from './clock.js';
import { explain } from './complaints.js';
import { readConfigFile } from './config-file.js';
import { createLog } from './log.js';
import { OpenFiles } from './open-files.js';
import {
  environmentName,
  OptionError,
  OPTIONS,
  resolveOptions,
  type OptionName,
} from './options.js';
import { RULE_KINDS } from './policies.js';
import { removeReadyFile, writeReadyFile } from './ready-file.js';
import { packageVersion } from './version.js';

type Arguments = Record<string, unknown>;

const PROGRAM = 'mlm-broker';

/** The statuses with which it ends, as those of `mlm`. */
const EXIT = { failed: 1, usage: 2, interrupted: 130 } as const;
/** Signals that come within this time after the first one are that one again, ms. */
const SAME_SIGNAL_MS = 500;

/** Flags as yargs takes them; checking is left to the option table. */
function flags(): Record<string, Options> {
  const result: Record<string, Options> = {
    config: {
      type: 'string',
      requiresArg: true,
      describe: 'config file, YAML or JSON; keys are option names [MLM_CONFIG]',
    },
  };
  for (const name of Object.keys(OPTIONS) as OptionName[]) {
    const { about, default: value, type } = OPTIONS[name];
    const shown = value === undefined ? '' : `; ${String(value)} unless said`;
    result[name] = {
      ...(type === 'boolean'
        ? // As a text, since the parser makes false of everything that it does not know.
          { type: 'string', coerce: (text: string) => text === '' || text }
        : { type: 'string', array: type === 'strings', requiresArg: true }),
      describe: `${about}${shown} [${environmentName(name)}]`,
    };
  }
  return result;
}

function describe(parser: Argv): Argv {
  return parser
    .options(flags())
    .strict()
    .example('$0', 'listen on tcp://127.0.0.1:9999')
    .example(
      "$0 --bind 'tcp://*:9999' --bind ipc:///run/mlm",
      'listen on every address and on a local path',
    )
    .example(
      'MLM_LOG_LEVEL=debug $0 --config broker.yaml',
      'options from the environment and a file',
    )
    .epilogue('A flag is stronger than its variable, a variable than the config file.');
}

/** `mlm broker`, for the command `mlm`. */
export const brokerCommand: CommandModule<object, Arguments> = {
  command: 'broker',
  describe: 'start a broker',
  builder: (parser) => describe(parser),
  handler: (given) => runBroker('mlm broker', given),
};

/** `mlm-broker`, as a command of its own. */
export async function main(argv: readonly string[]): Promise<void> {
  const given = hideBin([...argv]);
  const names = [...Object.keys(flags()), 'help', 'version'];
  const parser = describe(yargs(given).scriptName(PROGRAM))
    .usage('$0 [options]\n\nStarts a Malamute broker.')
    .parserConfiguration({ 'dot-notation': false, 'parse-positional-numbers': false })
    .locale('en')
    .help()
    .version(packageVersion())
    .wrap(Math.min(110, process.stdout.columns || 110))
    .fail((message, error) => {
      fail(PROGRAM, explain(message || error.message, PROGRAM, names, given), EXIT.usage);
    });
  await runBroker(PROGRAM, await parser.parseAsync());
}

/** @param program how it was called */
async function runBroker(program: string, given: Arguments): Promise<void> {
  // Whoever read the log may go away; the broker goes on.
  for (const output of [process.stdout, process.stderr]) output.on('error', () => undefined);
  let broker: Broker | undefined;
  let openFiles: OpenFiles | undefined;
  let readyFile: string | undefined;
  stopOnSignals(program, async () => {
    openFiles?.stop();
    await broker?.stop();
    if (readyFile !== undefined) removeReadyFile(readyFile);
  });
  try {
    const { options, rules } = readOptions(given);
    const log = createLog(options['log-level'], process.stderr.isTTY);
    broker = await startBroker(options, { log, ...rules });
    openFiles = new OpenFiles(systemClock, log);
    readyFile = options['ready-file'];
    if (readyFile !== undefined) writeReadyFile(readyFile, broker.endpoints);
  } catch (error) {
    await broker?.stop();
    const status = error instanceof OptionError ? EXIT.usage : EXIT.failed;
    fail(program, (error as Error).message, status);
  }
  for (const line of announcement(broker.endpoints, process.env['PATH'] ?? '')) console.log(line);
}

/** Where the config file is, and what it holds. */
function readFile(given: Arguments): { path: string; values: Record<string, unknown> } | undefined {
  const path = given['config'] ?? process.env['MLM_CONFIG'];
  if (path === undefined) return undefined;
  if (typeof path !== 'string') throw new OptionError('--config: give it once');
  return { path, values: readConfigFile(path) };
}

/** Parts a config file into options and rules by name. */
function readOptions(given: Arguments) {
  const file = readFile(given);
  if (file === undefined) {
    return { options: resolveOptions({ flags: given, environment: process.env }), rules: {} };
  }
  const entries = Object.entries(file.values);
  const isRule = (key: string): boolean => RULE_KINDS.some((kind) => kind === key);
  const values = Object.fromEntries(entries.filter(([key]) => !isRule(key)));
  const rules = Object.fromEntries(entries.filter(([key]) => isRule(key)));
  const sources = { flags: given, environment: process.env, file: { path: file.path, values } };
  return { options: resolveOptions(sources), rules: { rules, rulesSource: file.path } };
}

/**
 * The first signal drains and stops; a second one ends the process at once. npm hands a Ctrl-C on
 * of which the terminal has told the broker, too: what comes right after the first is no second one.
 */
function stopOnSignals(program: string, stop: () => Promise<void>): void {
  let firstMs: number | undefined;
  const onSignal = (): void => {
    if (firstMs !== undefined) {
      if (performance.now() - firstMs >= SAME_SIGNAL_MS) process.exit(EXIT.interrupted);
      return;
    }
    firstMs = performance.now();
    stop().then(
      () => process.exit(0),
      (error: unknown) => fail(program, (error as Error).message, EXIT.failed),
    );
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
}

function fail(program: string, message: string, status: number): never {
  console.error(`${program}: ${message}`);
  process.exit(status);
}
