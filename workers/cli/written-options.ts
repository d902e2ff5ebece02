// The options of `mlm work SERVICE -- COMMAND` as the configuration of one
// service, so that they are checked as a file is, and complaints name options.
import { namedValue, readLabels } from '../../client/commands/shared/written-labels.js';
import { dotted, type KeyPath, type Source } from '../commands/config/problems.js';
import type { WorkArguments } from './work.js';

/** Keys of a service, and the options that say them. */
const OPTION_OF: Readonly<Record<string, string>> = {
  pattern: 'pattern',
  capacity: 'capacity',
  labels: 'label',
  'cache.version': 'cache',
  'cache.maxAge': 'cache-age',
  input: 'input',
  'input.files': 'input-file',
  output: 'output',
  'output.files': 'output-file',
  outputMax: 'output-max',
  progress: 'progress',
  timeLimit: 'time-limit',
  memoryLimit: 'memory-limit',
  grace: 'grace',
  folder: 'folder',
  env: 'env',
  exitCodes: 'exit-code',
  persistent: 'persistent',
  startLimit: 'start-limit',
  readyLabels: 'ready-label',
};

/** The options that describe a service: a configuration says that itself. */
export function serviceOptionsIn(given: WorkArguments): string[] {
  const said = given as Readonly<Record<string, unknown>>;
  return Object.values(OPTION_OF).filter((option) => said[camel(option)] !== undefined);
}

/** The configuration that the options say, as a file would hold it. */
export function writtenOptions(service: string, given: WorkArguments): unknown {
  const { inputFile, outputFile, input, output, label, readyLabel, exitCode, capacity } = given;
  const files = inputFile && pairs('input-file', inputFile);
  const written = {
    command: given.command,
    pattern: given.pattern,
    capacity: capacity === undefined ? undefined : numberOr(capacity),
    labels: label && readLabels('label', label),
    input: files === undefined ? input : { stdin: input, files },
    output: outputFile === undefined ? output : { stdout: output, files: filesOf(outputFile) },
    cache: cacheOf(given),
    outputMax: given.outputMax,
    progress: given.progress,
    timeLimit: given.timeLimit,
    memoryLimit: given.memoryLimit,
    grace: given.grace,
    folder: given.folder,
    env: given.env,
    exitCodes: exitCode && pairs('exit-code', exitCode),
    persistent: given.persistent,
    startLimit: given.startLimit,
    readyLabels: readyLabel && readLabels('ready-label', readyLabel),
  };
  return { services: { [service]: said(written) } };
}

/** A version and an age; only one of them may be given, which is complained about then. */
function cacheOf({ cache: version, cacheAge: maxAge }: WorkArguments): unknown {
  return version === undefined && maxAge === undefined ? undefined : said({ version, maxAge });
}

/** One name is one file; several, or one with a `*`, are a list. */
function filesOf(names: readonly string[]): unknown {
  return names.length === 1 ? names[0] : names;
}

function said(map: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(map).filter(([, value]) => value !== undefined));
}

/** @throws {CommandError} */
function pairs(option: string, given: readonly string[]): Record<string, string> {
  return Object.fromEntries(given.map((text) => namedValue(option, text)));
}

function numberOr(text: string): unknown {
  return /^-?\d+(\.\d+)?$/.test(text) ? Number(text) : text;
}

function camel(option: string): string {
  return option.replaceAll(/-(\w)/g, (_, letter: string) => letter.toUpperCase());
}

/** Names options and arguments in complaints. */
export const optionNames: Source = {
  name: '',
  placeOf: () => undefined,
  keyOf: ([, , ...path]: KeyPath) => {
    const [key = '', inside] = path;
    if (key === 'command') return `argument ${Number(inside ?? 0) + 1} of the command`;
    const option = OPTION_OF[`${key}.${String(inside)}`] ?? OPTION_OF[key];
    if (option === undefined) return dotted(path) || 'the service';
    const isNamed = inside !== undefined && inside !== 'stdin' && key !== 'cache';
    const name = isNamed ? path.at(-1) : undefined;
    return name === undefined || name === 'files' || name === 'stdout'
      ? `--${option}`
      : `--${option} ${String(name)}`;
  },
};
