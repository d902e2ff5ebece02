// Reads a configuration of wrapped commands: which broker, which services, and
// what runs for each. Everything that is wrong is told at once. It starts and
// offers nothing.
import { dirname, resolve } from 'node:path';
import type { z } from 'zod';
import type { CacheOptions, Labels } from '../../../client/index.js';
import type { CommandSpec } from '../command.js';
import type { ModelSpec } from '../openai/model.js';
import {
  commandDoubts,
  commandLacks,
  commandProblems,
  commandSpec,
  type Surroundings,
} from './command-service.js';
import { modelLabels, modelLacks, modelProblems, modelSpec } from './model-service.js';
import { ConfigError, linesOf, type KeyPath, type Problem, type Source } from './problems.js';
import { commandService, file, KINDS, openaiService, type Kind } from './service-shapes.js';
import { problemsOf } from './shapes.js';
import { nearest } from './suggest.js';
import { readYamlFile } from './yaml-file.js';

/** What every service of a configuration has. */
interface Offered {
  readonly service: string;
  readonly pattern: string;
  readonly capacity: number;
  readonly labels: Labels;
  readonly cache: CacheOptions | undefined;
}

/** A service that is a command, or a model of a server. */
export type ServiceConfig =
  | (Offered & {
      readonly kind: 'command';
      readonly command: CommandSpec;
      readonly persistent: boolean;
    })
  | (Offered & { readonly kind: 'openai'; readonly model: ModelSpec });

/** A configuration that can be used. */
export interface WorkConfig {
  readonly broker: string | undefined;
  readonly address: string | undefined;
  readonly drainMs: number | undefined;
  readonly services: readonly ServiceConfig[];
  /** What this machine lacks to do it, in lines; without it some service would not work. */
  readonly lacks: readonly string[];
  /** What may be a mistake, in lines. */
  readonly doubts: readonly string[];
}

/** What was found on the way. */
interface Findings {
  readonly problems: Problem[];
  readonly lacks: Problem[];
  readonly doubts: Problem[];
}

type Placed = readonly [path: KeyPath, service: ServiceConfig];

/**
 * Reads a configuration file.
 *
 * @throws {ConfigError} with a line for each thing that is wrong
 */
export function loadConfigFile(path: string, environment: NodeJS.ProcessEnv): WorkConfig {
  const yaml = readYamlFile(path);
  return loadConfig(yaml.value, yaml, { here: dirname(resolve(path)), environment });
}

/**
 * Reads a configuration.
 *
 * @param value as it was parsed
 * @param source what it is called, and where its parts stand
 * @throws {ConfigError} with a line for each thing that is wrong
 */
export function loadConfig(value: unknown, source: Source, surroundings: Surroundings): WorkConfig {
  const parsed = file.safeParse(value);
  const found: Findings = { problems: [], lacks: [], doubts: [] };
  if (!parsed.success) found.problems.push(...problemsOf(parsed.error, []));
  const services = servicesIn(value).flatMap(([key, written]) =>
    readService(['services', key], key, written, surroundings, found),
  );
  found.problems.push(...offeredTwice(services));
  if (parsed.success && Object.keys(parsed.data.services).length === 0) {
    found.problems.push({ path: ['services'], message: 'names no service' });
  }
  if (!parsed.success || found.problems.length > 0) {
    throw new ConfigError(linesOf(found.problems, source));
  }
  const { broker, address, drain: drainMs } = parsed.data;
  return {
    broker,
    address,
    drainMs,
    services: services.map(([, service]) => service),
    lacks: linesOf(found.lacks, source),
    doubts: linesOf(found.doubts, source),
  };
}

/** The services as they were written, even where something else in the file is wrong. */
function servicesIn(value: unknown): [string, unknown][] {
  const written =
    typeof value === 'object' && value !== null && 'services' in value ? value.services : undefined;
  return typeof written === 'object' && written !== null && !Array.isArray(written)
    ? Object.entries(written)
    : [];
}

function readService(
  path: KeyPath,
  key: string,
  written: unknown,
  surroundings: Surroundings,
  found: Findings,
): Placed[] {
  const kind = kindOf(written);
  if (kind === undefined) {
    found.problems.push(unknownKind(path, written));
    return [];
  }
  return kind === 'openai'
    ? readModels(path, written, surroundings, found)
    : readCommand(path, key, written, surroundings, found);
}

function kindOf(written: unknown): Kind | undefined {
  const kind = typeof written === 'object' && written !== null && 'kind' in written;
  return kind ? KINDS.find((known) => known === written.kind) : 'command';
}

function unknownKind(path: KeyPath, written: unknown): Problem {
  const { kind } = written as { kind: unknown };
  const meant = typeof kind === 'string' ? nearest(kind, KINDS) : undefined;
  const advice = meant === undefined ? '' : `; did you mean "${meant}"?`;
  return { path: [...path, 'kind'], message: `must be one of ${KINDS.join(', ')}${advice}` };
}

/** Checks a value; what is wrong with it goes to the findings. */
function check<Shape extends z.ZodType>(
  shape: Shape,
  path: KeyPath,
  written: unknown,
  found: Findings,
): z.infer<Shape> | undefined {
  const parsed = shape.safeParse(written);
  if (parsed.success) return parsed.data;
  found.problems.push(...problemsOf(parsed.error, path));
  return undefined;
}

function readCommand(
  path: KeyPath,
  key: string,
  given: unknown,
  surroundings: Surroundings,
  found: Findings,
): Placed[] {
  const { here } = surroundings;
  const shape = commandService((relative) => resolve(here, relative));
  const written = check(shape, path, given, found);
  if (written === undefined) return [];
  const command = commandSpec(written, surroundings);
  const at = below(path);
  found.problems.push(...commandProblems(written).map(at));
  found.lacks.push(...commandLacks(written, command).map(at));
  found.doubts.push(...commandDoubts(written, command, surroundings).map(at));
  const { persistent = false } = written;
  return [[path, { ...offered(written, key), kind: 'command', command, persistent }]];
}

function readModels(
  path: KeyPath,
  given: unknown,
  surroundings: Surroundings,
  found: Findings,
): Placed[] {
  const written = check(openaiService, path, given, found);
  if (written === undefined) return [];
  found.problems.push(...modelProblems(written).map(below(path)));
  found.lacks.push(...modelLacks(written, surroundings).map(below(path)));
  return written.models.map((model, at) => {
    const service = {
      ...offered(model, model.model),
      labels: modelLabels(model),
      kind: 'openai' as const,
      model: modelSpec(written, model, surroundings),
    };
    return [[...path, 'models', at], service];
  });
}

function offered(
  written: {
    readonly service?: string | undefined;
    readonly pattern?: { readonly source: string } | undefined;
    readonly capacity?: number | undefined;
    readonly labels?: Labels | undefined;
    readonly cache?: CacheOptions | undefined;
  },
  key: string,
): Offered {
  const { service = key, pattern, capacity = 1, labels = {}, cache } = written;
  return { service, pattern: pattern?.source ?? '', capacity, labels, cache };
}

function below(path: KeyPath): (problem: Problem) => Problem {
  return (problem) => ({ ...problem, path: [...path, ...problem.path] });
}

/** One process can offer a service only once with one pattern. */
function offeredTwice(services: readonly Placed[]): Problem[] {
  const seen = new Set<string>();
  return services.flatMap(([path, { service, pattern }]) => {
    const both = JSON.stringify([service, pattern]);
    if (!seen.has(both)) {
      seen.add(both);
      return [];
    }
    const message = `"${service}" is offered twice with the same pattern; give one of them a pattern`;
    return [{ path, message, atKey: true }];
  });
}
