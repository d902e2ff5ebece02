// Does what `mlm work` was asked to: reads the configuration, shows it or offers
// its services, until a signal says stop. How commands run is not known here.
import { targetOf } from '../../client/commands/shared/arguments.js';
import type { Context } from '../../client/commands/shared/command.js';
import { CommandError, EXIT, usageError } from '../../client/commands/shared/failure.js';
import { showTable } from '../../client/commands/shared/show.js';
import { loadConfig, loadConfigFile, type WorkConfig } from '../commands/config/load.js';
import { ConfigError } from '../commands/config/problems.js';
import { DURATION_USAGE, parseDuration } from '../commands/config/units.js';
import { CommandWorkers } from '../commands/workers.js';
import { startWorkers } from '../group.js';
import { resolveSettings, type WorkersOptions } from '../settings.js';
import { rowOf, serverProblems } from './check.js';
import type { WorkArguments } from './work.js';
import { optionNames, serviceOptionsIn, writtenOptions } from './written-options.js';

/** @throws {CommandError | MlmError} */
export async function runWork(given: WorkArguments, context: Context): Promise<void> {
  const config = readConfig(given, context);
  for (const doubt of config.doubts) context.warn(`${doubt} (a warning)`);
  if (given.check === true) await check(config, given, context);
  else await work(config, given, context);
}

function readConfig(given: WorkArguments, { warn }: Context): WorkConfig {
  const { config: path, service } = given;
  try {
    if (path === undefined) return readOptions(given);
    if (service !== undefined) {
      throw usageError(`--config FILE, or SERVICE -- COMMAND, not both: "${service}" is too much`);
    }
    const [option] = serviceOptionsIn(given);
    if (option !== undefined) throw usageError(`--${option}: the configuration says that`);
    return loadConfigFile(path, process.env);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const { lines } = error;
    for (const line of lines.slice(0, -1)) warn(line);
    throw usageError(lines.at(-1) ?? '');
  }
}

function readOptions(given: WorkArguments): WorkConfig {
  const { service, command = [] } = given;
  if (service === undefined) throw usageError('say --config FILE, or SERVICE -- COMMAND');
  if (command.length === 0) {
    throw usageError(`the command is missing: write mlm work ${service} -- COMMAND ARGUMENTS`);
  }
  const surroundings = { here: process.cwd(), environment: process.env };
  return loadConfig(writtenOptions(service, given), optionNames, surroundings);
}

/** What this machine lacks is no mistake of the configuration, which may be for another one. */
async function check(config: WorkConfig, given: WorkArguments, context: Context): Promise<void> {
  for (const line of config.lacks) context.warn(`${line} (a warning)`);
  for (const line of await serverProblems(config.services, context.signal)) {
    context.warn(`${line} (a warning)`);
  }
  await showTable(config.services.map(rowOf), '', given.json === true, context);
}

async function work(config: WorkConfig, given: WorkArguments, context: Context): Promise<void> {
  const { lacks, services } = config;
  for (const line of lacks) context.warn(line);
  if (lacks.length > 0) throw new CommandError('this machine cannot offer all of it: see above');
  const { signal } = context;
  const options = optionsOf(config, given, signal);
  const { log } = resolveSettings(options, process.env);
  const commands = new CommandWorkers(services, log);
  try {
    const group = await startWorkers(commands.workers, { ...options, log });
    const { unfinished } = await group.ended;
    if (unfinished > 0) process.exitCode = EXIT.failed;
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    await commands.close();
  }
}

/** A flag is stronger than its variable, a variable than the configuration. */
function optionsOf(config: WorkConfig, given: WorkArguments, signal: AbortSignal): WorkersOptions {
  const { endpoint, connectTimeoutMs, saidBy } = targetOf(given);
  const { MLM_ADDRESS: address = '', MLM_DRAIN_TIMEOUT: drain = '' } = process.env;
  return {
    endpoint: saidBy === 'default' ? (config.broker ?? endpoint) : endpoint,
    connectTimeoutMs,
    address: given.address ?? (address === '' ? config.address : address),
    drainTimeoutMs: drainOf(given) ?? (drain === '' ? config.drainMs : undefined),
    signal,
  };
}

function drainOf({ drain }: WorkArguments): number | undefined {
  if (drain === undefined) return undefined;
  const ms = parseDuration(drain);
  if (ms === undefined) throw usageError(`--drain must be ${DURATION_USAGE}, not "${drain}"`);
  return ms;
}
