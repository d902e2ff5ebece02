// A pipeline as it is written down: its file read, its shape checked, its
// expressions compiled, and everything that could go wrong by its own fault told at
// once. It runs nothing and asks nobody.
import type { z } from 'zod';
import type { Wants } from '../../client/index.js';
import { findCycles, inDependencyOrder } from './graph.js';
import { checkValue } from './inputs.js';
import { inOrder, PipelineError, type Problem } from './problem.js';
import {
  keysAt,
  PARALLEL,
  pipelineShape,
  type InputForm,
  type InputType,
  type OutputForm,
  type PipelineShape,
  type StepShape,
} from './shapes.js';
import type { KeyPath as Path } from '../yaml/place.js';
import { Source } from './source.js';
import { readTemplate, type Placed, type Template } from './template.js';
import { wantsOf } from './wants.js';

export interface InputDefinition {
  readonly name: string;
  readonly type: InputType;
  /** Undefined where it must be given. */
  readonly default: unknown;
  readonly description: string | undefined;
}

export interface Step {
  readonly name: string;
  readonly service: string;
  readonly description: string | undefined;
  readonly subject: Template;
  readonly input: Template;
  readonly inputAs: InputForm;
  readonly outputAs: OutputForm;
  /** Steps that must have been done, not skipped, before this one: named, or used by it. */
  readonly needs: readonly string[];
  /** Steps that must be over before this one, done or skipped. */
  readonly after: readonly string[];
  readonly when: Template | undefined;
  readonly forEach: Template | undefined;
  /** How many of its jobs may be under way at the same time. */
  readonly parallel: number;
  readonly retry: { readonly attempts: number; readonly delayMs: number };
  readonly timeLimitMs: number | undefined;
  /** What its worker must or should say of itself. */
  readonly wants: Wants;
}

export interface OutputDefinition {
  readonly name: string;
  readonly value: Template;
  /** The name of the file that it becomes, where it is written to one. */
  readonly file: string | undefined;
}

export interface Pipeline {
  readonly name: string;
  readonly version: string | undefined;
  readonly description: string | undefined;
  /** The text of its file. */
  readonly source: string;
  readonly inputs: ReadonlyMap<string, InputDefinition>;
  /** Each after those that it waits for. */
  readonly steps: ReadonlyMap<string, Step>;
  readonly outputs: ReadonlyMap<string, OutputDefinition>;
}

/** A pipeline, or why there is none. */
export interface ReadPipeline {
  readonly pipeline: Pipeline | undefined;
  readonly problems: readonly Problem[];
}

const NAME = /^[A-Za-z][A-Za-z0-9_]{0,39}$/;
const NAME_RULE = 'a name begins with a letter and has up to 40 letters, digits and _';
const PIPELINE_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
const STEPS_MAX = 200;
/** What a run adds to it in the subject of a job's events takes the rest of the wire's 255. */
const SERVICE_BYTES_MAX = 150;
const FILE_NAME = /^[^/\\\p{Cc}]{1,200}$/u;

/**
 * Reads a pipeline.
 *
 * @param file the name of its file, for what is told about it
 */
export function readPipeline(file: string, text: string): ReadPipeline {
  const source = new Source(file, text);
  if (source.problems.length > 0) return { pipeline: undefined, problems: source.problems };
  const shape = pipelineShape.safeParse(source.value);
  if (!shape.success) {
    const problems = shape.error.issues.flatMap((issue) => problemsOf(issue, source));
    return { pipeline: undefined, problems: inOrder(problems) };
  }
  const reading = new Reading(source);
  const pipeline = reading.read(shape.data);
  const problems = inOrder(reading.problems);
  return { pipeline: problems.length === 0 ? pipeline : undefined, problems };
}

/** A pipeline that is known to be right. @throws {PipelineError} where it is not */
export function requirePipeline(file: string, text: string): Pipeline {
  const { pipeline, problems } = readPipeline(file, text);
  if (pipeline === undefined) throw new PipelineError(problems);
  return pipeline;
}

/** What is wrong with the shape, as problems of the file. */
function problemsOf(issue: z.core.$ZodIssue, source: Source): Problem[] {
  const path = issue.path.map((part) => (typeof part === 'number' ? part : String(part)));
  if (issue.code === 'unrecognized_keys') {
    const known = keysAt(path).join(', ');
    return issue.keys.map((key) =>
      source.problem([...path, key], `there is no such key; there are ${known}`, 'key'),
    );
  }
  return [source.problem(path, isMissing(source.value, path) ? 'is missing' : issue.message)];
}

/** True where a key is not there, in a map that is. */
function isMissing(value: unknown, path: Path): boolean {
  let at = value;
  for (const part of path) {
    if (typeof at !== 'object' || at === null) return false;
    if (!Object.hasOwn(at, part)) return true;
    at = (at as Record<string | number, unknown>)[part];
  }
  return false;
}

/** A place in a pipeline at which expressions stand, and what they may use there. */
interface Area {
  /** Undefined for the outputs, which may use every step. */
  readonly step: string | undefined;
  /** True where `item` and `index` have a meaning. */
  readonly hasItem: boolean;
}

class Reading {
  readonly problems: Problem[] = [];
  readonly #source: Source;
  #inputs: ReadonlySet<string> = new Set();
  #steps: ReadonlySet<string> = new Set();

  constructor(source: Source) {
    this.#source = source;
  }

  read(shape: PipelineShape): Pipeline {
    const { name, version, description } = shape;
    this.#inputs = new Set(Object.keys(shape.inputs ?? {}));
    this.#steps = new Set(Object.keys(shape.steps));
    this.#checkNames(shape);
    const inputs = this.#readInputs(shape);
    const steps = new Map<string, Step>();
    for (const [step, given] of Object.entries(shape.steps)) {
      steps.set(step, this.#readStep(step, given));
    }
    const outputs = this.#readOutputs(shape.outputs ?? {});
    this.#checkCycles(steps);
    return {
      name,
      version: version === undefined ? undefined : String(version),
      description,
      source: this.#source.text,
      inputs,
      steps: this.problems.length === 0 ? inDependencyOrder(steps) : steps,
      outputs,
    };
  }

  #wrong(path: Path, message: string, at: 'key' | 'value' | number = 'value'): void {
    this.problems.push(this.#source.problem(path, message, at));
  }

  #checkNames({ name, steps, inputs = {}, outputs = {} }: PipelineShape): void {
    if (!PIPELINE_NAME.test(name)) {
      this.#wrong(['name'], 'must be up to 64 letters, digits and . _ - that begin with no mark');
    }
    for (const [area, names] of Object.entries({ inputs, steps, outputs })) {
      for (const each of Object.keys(names)) {
        if (!NAME.test(each)) this.#wrong([area, each], NAME_RULE, 'key');
      }
    }
    const count = Object.keys(steps).length;
    if (count === 0) this.#wrong(['steps'], 'there is no step');
    if (count > STEPS_MAX) this.#wrong(['steps'], `${count} steps; ${STEPS_MAX} at most`);
  }

  #readInputs({ inputs = {} }: PipelineShape): Map<string, InputDefinition> {
    const read = new Map<string, InputDefinition>();
    for (const [name, { type, default: value, description }] of Object.entries(inputs)) {
      const wrong = value === undefined ? undefined : wrongDefault(type, value);
      if (wrong !== undefined) this.#wrong(['inputs', name, 'default'], wrong);
      read.set(name, { name, type, default: value, description });
    }
    return read;
  }

  #readStep(name: string, given: StepShape): Step {
    const { service, retry, parallel, after = [], needs = [] } = given;
    const path: Path = ['steps', name];
    const used = new Set<string>();
    const isEach = given.forEach !== undefined;
    const inside = { step: name, hasItem: isEach };
    const outside = { step: name, hasItem: false };
    const template = (key: string, value: unknown, area: Area): Template =>
      this.#readTemplate([...path, key], value, area, used);
    const step: Step = {
      name,
      service,
      description: given.description,
      subject: template('subject', given.subject ?? '', inside),
      input: template('input', given.input, inside),
      inputAs: given.inputAs ?? 'value',
      outputAs: given.outputAs ?? 'value',
      when: given.when === undefined ? undefined : template('when', given.when, outside),
      forEach: isEach ? template('forEach', given.forEach, outside) : undefined,
      after,
      needs: [...new Set([...needs, ...[...used].filter((each) => !after.includes(each))])],
      parallel: parallel ?? PARALLEL,
      retry: retry ?? { attempts: 1, delayMs: 0 },
      timeLimitMs: given.timeLimit,
      wants: this.#readWants(given, path),
    };
    this.#checkStep(step, given, path);
    return step;
  }

  #readWants({ worker }: StepShape, path: Path): Wants {
    if (worker === undefined) return {};
    const { wants, problem } = wantsOf(worker);
    if (problem !== undefined) {
      const at = [...path, 'worker', ...(problem.key === undefined ? [] : [problem.key])];
      this.#wrong(at, problem.message);
    }
    return wants;
  }

  #checkStep({ service, when, forEach }: Step, given: StepShape, path: Path): void {
    if (Buffer.byteLength(service) > SERVICE_BYTES_MAX) {
      this.#wrong([...path, 'service'], `longer than ${SERVICE_BYTES_MAX} octets`);
    }
    if (service.includes('${{')) this.#wrong([...path, 'service'], 'cannot be an expression');
    for (const key of ['needs', 'after'] as const) {
      for (const name of given[key] ?? []) this.#checkStepName(name, [...path, key]);
    }
    if (given.parallel !== undefined && forEach === undefined) {
      this.#wrong([...path, 'parallel'], 'is for steps with "forEach"', 'key');
    }
    if (forEach?.kind === 'text' || (forEach?.kind === 'constant' && forEach.value !== null)) {
      this.#wrong([...path, 'forEach'], 'must be an expression that gives a list, or a list');
    }
    if (when?.kind !== undefined && when.kind !== 'expression' && !isBoolean(when)) {
      this.#wrong([...path, 'when'], 'must be an expression that gives true or false');
    }
  }

  #readOutputs(given: Readonly<Record<string, unknown>>): Map<string, OutputDefinition> {
    const read = new Map<string, OutputDefinition>();
    for (const [name, value] of Object.entries(given)) {
      const path: Path = ['outputs', name];
      const long = longOutput(value);
      const file = long?.['file'];
      if (file !== undefined && (typeof file !== 'string' || !FILE_NAME.test(file))) {
        this.#wrong([...path, 'file'], 'must be the name of a file, without a folder');
      }
      const at = long === undefined ? path : [...path, 'value'];
      const area: Area = { step: undefined, hasItem: false };
      read.set(name, {
        name,
        value: this.#readTemplate(at, long === undefined ? value : long['value'], area, new Set()),
        file: typeof file === 'string' ? file : undefined,
      });
    }
    return read;
  }

  /** @param used gets the steps that its expressions use */
  #readTemplate(path: Path, value: unknown, area: Area, used: Set<string>): Template {
    return readTemplate(value, path, {
      found: (placed) => this.#checkReferences(placed, area, used),
      wrong: (at, message, offset) => this.#wrong(at, message, offset),
    });
  }

  #checkReferences({ expression, path, offset }: Placed, area: Area, used: Set<string>): void {
    const { inputs, steps, items, complaints } = expression.references;
    const wrong = (position: number, message: string): void =>
      this.#wrong(path, message, offset + position);
    for (const { name, position } of complaints) wrong(position, name);
    for (const { name, position } of inputs) {
      if (!this.#inputs.has(name)) wrong(position, missing('input', name, this.#inputs));
    }
    for (const { name, position } of steps) {
      if (name === area.step) wrong(position, 'a step cannot use its own output');
      else if (!this.#steps.has(name)) wrong(position, missing('step', name, this.#steps));
      else used.add(name);
    }
    for (const { name, position } of area.hasItem ? [] : items) {
      wrong(position, `"${name}" has a meaning in "input" and "subject" of a step with "forEach"`);
    }
  }

  #checkStepName(name: string, path: Path): void {
    if (!this.#steps.has(name)) this.#wrong(path, missing('step', name, this.#steps));
    else if (path[1] === name) this.#wrong(path, 'a step cannot wait for itself');
  }

  #checkCycles(steps: ReadonlyMap<string, Step>): void {
    for (const cycle of findCycles(steps)) {
      const [first = ''] = cycle;
      const way = [...cycle, first].join(' → ');
      this.#wrong(['steps', first], `these steps wait for each other: ${way}`, 'key');
    }
  }
}

function missing(what: string, name: string, known: ReadonlySet<string>): string {
  const there = known.size === 0 ? 'there are none' : `there are ${[...known].join(', ')}`;
  return `there is no ${what} "${name}"; ${there}`;
}

function wrongDefault(type: InputType, value: unknown): string | undefined {
  if (type === 'file' || type === 'files') return 'a file has no default';
  return checkValue(type, value);
}

function isBoolean(template: Template): boolean {
  return template.kind === 'constant' && typeof template.value === 'boolean';
}

/** `{ value, file }`, in the place of the value itself. */
function longOutput(value: unknown): Readonly<Record<string, unknown>> | undefined {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, 'value')) {
    return undefined;
  }
  const keys = Object.keys(value);
  if (!keys.every((key) => key === 'value' || key === 'file')) return undefined;
  return value as Readonly<Record<string, unknown>>;
}
