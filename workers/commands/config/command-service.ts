// One wrapped command of a configuration, from what was written to what can be
// run: defaults put in place, and what does not fit together named. It starts
// nothing.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { CommandInput, CommandSpec } from '../command.js';
import { findProgram } from '../find-program.js';
import { memoryLimitProblem, noProgram } from '../process-group.js';
import { parseSource } from '../sources.js';
import { unsettledNames, usesBody, usesRequest, type Template } from '../template.js';
import type { KeyPath, Problem } from './problems.js';
import type { WrittenCommandService } from './service-shapes.js';
import { labelsProblem } from './shapes.js';

/** Octets of a reply, where the configuration names no other bound. */
export const OUTPUT_BYTES_MAX = 64 * 1024 * 1024;
const GRACE_MS = 5000;

/** Variables that every command gets. All others of this process stay here. */
const PASSED_ON = ['PATH', 'HOME', 'LANG'];

/** What a configuration is read with. */
export interface Surroundings {
  /** The folder that paths in it are relative to. */
  readonly here: string;
  readonly environment: NodeJS.ProcessEnv;
}

/** Templates of a command by their place in the list. */
type Placed = readonly (readonly [path: KeyPath, template: Template])[];

/** @param written has the right shape */
export function commandSpec(
  written: WrittenCommandService,
  { here, environment }: Surroundings,
): CommandSpec {
  const { command, folder, persistent = false } = written;
  const { program, args } = command;
  return {
    program,
    args,
    here,
    folder,
    env: variablesOf(written, environment),
    input: inputOf(written),
    output: written.output ?? { stdout: persistent ? 'json' : 'binary', files: undefined },
    progress: written.progress ?? 'stderr',
    outputBytesMax: written.outputMax ?? OUTPUT_BYTES_MAX,
    timeLimitMs: written.timeLimit,
    startLimitMs: written.startLimit,
    readyLabels: written.readyLabels ?? {},
    memoryBytesMax: written.memoryLimit,
    graceMs: written.grace ?? GRACE_MS,
    exits: { exitCodes: written.exitCodes ?? new Map(), errors: written.errors ?? [] },
  };
}

/** Where nothing is said and no argument takes the body, it comes on standard input, as it is. */
function inputOf({ command, input, persistent = false }: WrittenCommandService): CommandInput {
  if (input !== undefined) return input;
  const takesBody = placed(command.args).some(([, template]) => usesBody(template));
  const stdin = takesBody || persistent ? undefined : parseSource('body');
  return { stdin, files: [] };
}

function variablesOf(
  { env = new Map<string, string | undefined>() }: WrittenCommandService,
  environment: NodeJS.ProcessEnv,
): Record<string, string> {
  const all = [...PASSED_ON.map((name) => [name, undefined] as const), ...env];
  const variables: Record<string, string> = {};
  for (const [name, given] of all) {
    const value = given ?? environment[name];
    if (value !== undefined) variables[name] = value;
  }
  return variables;
}

/** What does not fit together. */
export function commandProblems(written: WrittenCommandService): Problem[] {
  const { persistent = false, folder, command } = written;
  const templates = placed(command.args);
  return [
    ...readinessProblems(written),
    ...progressProblems(written),
    ...(folder === undefined ? [] : templates.flatMap(pathProblems)),
    ...(persistent ? persistentProblems(written, templates) : []),
  ];
}

function readinessProblems(written: WrittenCommandService): Problem[] {
  const { persistent = false, startLimit, labels, readyLabels } = written;
  const needless = (['startLimit', 'readyLabels'] as const)
    .filter((key) => !persistent && written[key] !== undefined)
    .map((key) => ({ path: [key], message: 'is for a persistent command only' }));
  if (!persistent || readyLabels === undefined) return needless;
  const message =
    startLimit === undefined
      ? 'needs a startLimit: then the command says itself when it is ready'
      : labelsProblem({ ...labels, ...readyLabels });
  return message === undefined ? [] : [{ path: ['readyLabels'], message }];
}

function progressProblems({ progress, output, persistent = false }: WrittenCommandService) {
  const form = output?.stdout ?? 'binary';
  if (persistent || progress !== 'stdout' || form !== 'binary') return [];
  const message = 'on standard output needs an output of text, json, lines, jsonl or none';
  return [{ path: ['progress'], message }];
}

function pathProblems([path, template]: readonly [KeyPath, Template]): Problem[] {
  return unsettledNames(template).map((name) => {
    const message = `in a folder of your own, "${name}" could name any file of it: say what it is with a filter, as {{${name} | text}}`;
    return { path, message };
  });
}

function persistentProblems(written: WrittenCommandService, templates: Placed): Problem[] {
  const { progress, input, output } = written;
  const problems: Problem[] = [];
  for (const [path, template] of templates) {
    if (!usesRequest(template)) continue;
    problems.push({ path, message: 'a persistent command is started before there is a request' });
  }
  if (progress !== undefined) {
    const message = 'a persistent command says it in its answers: {"id": …, "progress": 0.4}';
    problems.push({ path: ['progress'], message });
  }
  if (input?.stdin !== undefined) {
    const message =
      'a persistent command gets requests as JSON lines there; only files may be said';
    problems.push({ path: ['input'], message });
  }
  if (output?.stdout === 'lines' || output?.stdout === 'jsonl') {
    const message = 'of a persistent command is json, text, binary or none';
    problems.push({ path: ['output'], message });
  }
  return problems;
}

/** What this machine lacks to run a command. */
export function commandLacks(
  { memoryLimit }: WrittenCommandService,
  { program, env, folder }: CommandSpec,
): Problem[] {
  const lacks: Problem[] = [];
  if (process.platform === 'win32') {
    lacks.push({ path: ['command'], message: 'commands can be wrapped on POSIX systems only' });
  }
  if (findProgram(program, env['PATH']) === undefined) {
    lacks.push({ path: ['command', 0], message: noProgram(program, env['PATH']) });
  }
  const unlimited = memoryLimit === undefined ? undefined : memoryLimitProblem();
  if (unlimited !== undefined) lacks.push({ path: ['memoryLimit'], message: unlimited });
  if (folder !== undefined && !existsSync(folder)) {
    lacks.push({ path: ['folder'], message: `there is no folder ${folder}` });
  }
  return lacks;
}

/** What may be a mistake. */
export function commandDoubts(
  { command, env }: WrittenCommandService,
  { input, output, folder }: CommandSpec,
  { here, environment }: Surroundings,
): Problem[] {
  const own = [...input.files.map(({ name }) => name), ...(output.files?.patterns ?? [])];
  const doubts: Problem[] = [];
  for (const [path, { source, pieces }] of placed(command.args)) {
    const isName = pieces.length === 1 && typeof pieces[0] === 'string' && /\.\w+$/.test(source);
    if (folder !== undefined || !isName || own.includes(source) || source.startsWith('/')) continue;
    if (!existsSync(join(here, source))) continue;
    const message = `commands run in a folder of their own, where there is no "${source}"; if you mean the one beside this file, write ./${source}`;
    doubts.push({ path, message });
  }
  for (const [name, value] of env ?? []) {
    if (value !== undefined || environment[name] !== undefined) continue;
    doubts.push({ path: ['env'], message: `the variable ${name} is not set here` });
  }
  return doubts;
}

/** The templates of a command, each with its place in the configuration. */
function placed(args: CommandSpec['args']): Placed {
  return args.flatMap((one, at): Placed => {
    const path = ['command', at + 1];
    if ('pieces' in one) return [[path, one]];
    return one.map((template, inside) => [[...path, inside], template] as const);
  });
}
