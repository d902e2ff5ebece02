// The shapes that only a wrapped command has: its arguments, its environment,
// its input and output, and what its ends mean.
import { z } from 'zod';
import type { CommandInput, CommandOutput, InputFile, OutputForm } from '../command.js';
import { EXIT_MEANINGS } from '../exits.js';
import { FAILURE_CLASSES, type FailureClass } from '../failure.js';
import { isGlob } from '../outputs.js';
import { isMany, parseSource, SourceError, type Source } from '../sources.js';
import { parseTemplate, TemplateError, usesRequest, type Template } from '../template.js';
import { keys, oneOf, pattern, shape, shown, Wrong } from './shapes.js';

/** An argument, or several that are left out together. */
export type WrittenArgument = string | readonly string[];

/** A program and its arguments. */
export interface WrittenCommand {
  readonly program: string;
  readonly args: readonly (Template | readonly Template[])[];
}

/** @param resolve makes a path out of one that begins with `./` or `../` */
export function commandShape(resolve: (path: string) => string): z.ZodType<WrittenCommand> {
  const own = (written: string): string =>
    /^\.\.?(?:\/|$)/.test(written) ? resolve(written) : written;
  return shape((value) => {
    if (!Array.isArray(value)) {
      throw new Wrong(
        'must be a list: the program, then each argument, as [tesseract, "-", stdout]',
      );
    }
    const items: readonly unknown[] = value;
    const [program] = items;
    if (typeof program !== 'string' || program === '') throw new Wrong('names no program', [0]);
    if (program.includes('{{')) throw new Wrong('the program cannot be chosen by a request', [0]);
    if (program.includes('\0')) throw new Wrong('holds a NUL octet', [0]);
    const args = items.slice(1).map((item, at) => readArgument(item, [at + 1], own));
    return { program: program.includes('/') ? resolve(program) : program, args };
  });
}

function readArgument(
  item: unknown,
  path: readonly number[],
  own: (written: string) => string,
): Template | readonly Template[] {
  if (!Array.isArray(item)) return readTemplate(item, path, own);
  const group = item.map((one, at) => readTemplate(one, [...path, at], own));
  if (group.some(usesRequest)) return group;
  throw new Wrong(
    'a list in the list is left out where a value is missing; this has no {{…}}',
    path,
  );
}

function readTemplate(
  item: unknown,
  path: readonly number[],
  own: (written: string) => string,
): Template {
  const text = Number.isSafeInteger(item) ? String(item) : item;
  if (typeof text !== 'string') throw new Wrong(`put ${shown(item)} in quotes`, path);
  try {
    return parseTemplate(own(text));
  } catch (error) {
    if (error instanceof TemplateError) throw new Wrong(error.message, path);
    throw error;
  }
}

const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

/**
 * Variables: a map, in which no value means the one of this process; or a list of `NAME` and
 * `NAME=VALUE`.
 *
 * @returns values by name; undefined for those that are passed on
 */
export const environment = shape((value): ReadonlyMap<string, string | undefined> => {
  const entries = Array.isArray(value) ? value.map(entryOf) : Object.entries(mapOf(value));
  const variables = new Map<string, string | undefined>();
  for (const [name, given] of entries) {
    if (!NAME.test(name)) throw new Wrong(`"${name}" is no name of a variable`);
    variables.set(name, variableOf(name, given));
  }
  return variables;
});

function mapOf(value: unknown): object {
  if (typeof value === 'object' && value !== null) return value;
  throw new Wrong('must be a map of variables, or a list of NAME and NAME=VALUE');
}

function entryOf(item: unknown, at: number): [string, unknown] {
  if (typeof item !== 'string') throw new Wrong('must be NAME or NAME=VALUE', [at]);
  const sign = item.indexOf('=');
  return sign < 0 ? [item, null] : [item.slice(0, sign), item.slice(sign + 1)];
}

function variableOf(name: string, value: unknown): string | undefined {
  if (value === null) return undefined;
  if (typeof value === 'string' && !value.includes('\0')) return value;
  if (typeof value === 'number' && Number.isSafeInteger(value)) return String(value);
  throw new Wrong(`put ${shown(value)} in quotes`, [name]);
}

const source = shape((value): Source => {
  if (typeof value !== 'string') throw new Wrong('must be a text');
  try {
    return parseSource(value);
  } catch (error) {
    if (error instanceof SourceError) throw new Wrong(error.message);
    throw error;
  }
});

const stdin = shape((value): Source | undefined => {
  if (value === 'none') return undefined;
  if (typeof value !== 'string') throw new Wrong('must be a text');
  const parsed = source.safeParse(value);
  if (!parsed.success) throw new Wrong(parsed.error.issues[0]?.message ?? '');
  if (isMany(parsed.data)) throw new Wrong('frames N.. can be files only: standard input is one');
  return parsed.data;
});

const inputFiles = z.record(z.string(), source).transform((files, context): InputFile[] =>
  Object.entries(files).map(([name, from]) => {
    const problem = problemOfName(name) ?? problemOfStar(name, from);
    if (problem !== undefined) {
      context.addIssue({ code: 'custom', message: problem, path: [name] });
    }
    return { name, source: from };
  }),
);

/** A file of the job's folder: never one outside. */
function problemOfName(name: string): string | undefined {
  const parts = name.split('/');
  const leaves = parts.some((part) => part === '' || part === '.' || part === '..');
  if (leaves || name.includes('\0')) {
    return 'must be the name of a file in the folder of the job, as picture.png or in/picture.png';
  }
  return name.includes('{{') ? 'a file name cannot have {{…}} in it' : undefined;
}

function problemOfStar(name: string, from: Source): string | undefined {
  const stars = name.split('*').length - 1;
  if (!isMany(from)) return stars > 0 ? 'a * stands for the numbers of frames N..' : undefined;
  if (from.parts.length > 1) return 'frames N.. has no alternatives';
  return stars === 1 ? undefined : 'frames N.. needs a name with one *, as frame-*.png';
}

/** A source for standard input, or a map of `stdin` and `files`. */
export const input: z.ZodType<CommandInput> = z.preprocess(
  (value) => (typeof value === 'string' ? { stdin: value } : value),
  keys({ stdin: stdin.optional(), files: inputFiles.optional() }).transform(
    (given): CommandInput => ({ stdin: given.stdin, files: given.files ?? [] }),
  ),
);

const OUTPUT_FORMS = [
  'binary',
  'text',
  'json',
  'lines',
  'jsonl',
  'none',
] as const satisfies readonly OutputForm[];

const outputFiles = shape((value) => {
  const names: readonly unknown[] = Array.isArray(value) ? value : [value];
  if (names.length === 0) throw new Wrong('names no file');
  const patterns = names.map((name, at) => {
    const path = Array.isArray(value) ? [at] : [];
    if (typeof name !== 'string') throw new Wrong('must be a file name', path);
    const problem = problemOfName(name);
    if (problem !== undefined) throw new Wrong(problem, path);
    return name;
  });
  const single = !Array.isArray(value) && patterns.every((name) => !isGlob(name));
  return { patterns, single };
});

/** What standard output is, or a map of `stdout` or `files`. */
export const output: z.ZodType<CommandOutput> = z.preprocess(
  (value) => (typeof value === 'string' ? { stdout: value } : value),
  keys({ stdout: oneOf(OUTPUT_FORMS).optional(), files: outputFiles.optional() }).transform(
    ({ stdout, files }, context): CommandOutput => {
      if (files !== undefined && stdout !== undefined && stdout !== 'none') {
        const message = 'where files are the reply, standard output cannot be, too: write none';
        context.addIssue({ code: 'custom', message, path: ['stdout'] });
      }
      return { stdout: stdout ?? (files === undefined ? 'binary' : 'none'), files };
    },
  ),
);

/** Meanings of exit statuses (0 to 255) and signals. */
export const exitCodes = z
  .record(z.string(), oneOf(EXIT_MEANINGS))
  .transform((meanings, context) => {
    for (const key of Object.keys(meanings)) {
      if (/^SIG[A-Z0-9]+$/.test(key) || (/^\d{1,3}$/.test(key) && Number(key) <= 255)) continue;
      const message = 'must be a status from 0 to 255 or a signal as SIGSEGV';
      context.addIssue({ code: 'custom', message, path: [key] });
    }
    return new Map(Object.entries(meanings));
  });

/** Classes of failures, by what standard error then matches. */
export const errors = keys(
  Object.fromEntries(FAILURE_CLASSES.map((name) => [name, pattern.optional()])) as Record<
    FailureClass,
    z.ZodOptional<typeof pattern>
  >,
).transform((patterns) =>
  FAILURE_CLASSES.flatMap((name) => {
    const found = patterns[name];
    return found === undefined ? [] : [{ pattern: found, failure: name }];
  }),
);
