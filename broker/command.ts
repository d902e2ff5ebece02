// The command `mlm-broker`: reads the options, starts the broker, says where it
// listens, and stops it on SIGTERM or SIGINT. It wires and does nothing else.
import yargs, { type Argv, type CommandModule, type Options } from 'yargs';
import { hideBin } from 'yargs/helpers';
import { startBroker, type Broker } from './broker.js';
import { readConfigFile } from './config-file.js';
import { createLog } from './log.js';
import {
  environmentName,
  OptionError,
  OPTIONS,
  resolveOptions,
  type OptionName,
  type OptionValues,
} from './options.js';
import { RULE_KINDS } from './policies.js';
import { removeReadyFile, writeReadyFile } from './ready-file.js';

type Arguments = Record<string, unknown>;

/** Flags as yargs takes them; checking is left to the option table. */
function flags(): Record<string, Options> {
  const result: Record<string, Options> = {
    config: {
      type: 'string',
      describe: 'config file, YAML or JSON; keys are option names [MLM_CONFIG]',
    },
  };
  for (const name of Object.keys(OPTIONS) as OptionName[]) {
    const { about, default: value, type } = OPTIONS[name];
    const shown = value === undefined ? '' : `; ${String(value)} unless said`;
    result[name] = {
      ...(type === 'boolean'
        ? { type: 'boolean' }
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
  handler: runBroker,
};

/** `mlm-broker`, as a command of its own. */
export async function main(argv: readonly string[]): Promise<void> {
  const parser = describe(yargs(hideBin([...argv])).scriptName('mlm-broker'))
    .usage('$0 [options]\n\nStarts a Malamute broker.')
    .help()
    .version(false)
    .wrap(Math.min(110, process.stdout.columns || 110))
    .fail((message, error) => fail(message || error.message));
  await runBroker(await parser.parseAsync());
}

async function runBroker(given: Arguments): Promise<void> {
  let options: OptionValues;
  let broker: Broker;
  try {
    const read = readOptions(given);
    options = read.options;
    const log = createLog(options['log-level'], process.stderr.isTTY);
    broker = await startBroker(options, { log, ...read.rules });
    if (options['ready-file'] !== undefined)
      writeReadyFile(options['ready-file'], broker.endpoints);
  } catch (error) {
    fail((error as Error).message);
  }
  announce(broker.endpoints);
  stopOnSignals(broker, options);
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

function announce(endpoints: readonly string[]): void {
  for (const endpoint of endpoints) console.log(`listening on ${endpoint}`);
  const [first = ''] = endpoints;
  const option =
    first === 'tcp://127.0.0.1:9999' ? '' : ` -e ${first.replace('0.0.0.0', '127.0.0.1')}`;
  console.log('Follow a stream from another terminal, then send to it from a third:');
  console.log(`  npx mlm-tail${option} greetings`);
  console.log(`  npx mlm send${option} greetings hello.world "it works"`);
}

/** The first signal drains and stops; a second one ends the process at once. */
function stopOnSignals(broker: Broker, options: OptionValues): void {
  let stopping = false;
  const stop = (): void => {
    if (stopping) process.exit(130);
    stopping = true;
    void broker.stop().then(() => {
      if (options['ready-file'] !== undefined) removeReadyFile(options['ready-file']);
      process.exit(0);
    });
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
}

function fail(message: string): never {
  console.error(`mlm-broker: ${message}`);
  process.exit(1);
}
