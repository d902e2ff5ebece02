// What an expression refers to, found in its syntax tree: inputs, steps, the item
// at hand; and what a pipeline cannot allow in it. It evaluates nothing.
import type jsonata from 'jsonata';
import { LinearRegExp } from './linear-regexp.js';

/** A name that an expression uses, and where. */
export interface Reference {
  readonly name: string;
  /** The character of the expression's text with which it begins. */
  readonly position: number;
}

export interface References {
  readonly inputs: readonly Reference[];
  readonly steps: readonly Reference[];
  /** Uses of `item` and `index`. */
  readonly items: readonly Reference[];
  /** What is wrong: `name` is the whole complaint. */
  readonly complaints: readonly Reference[];
}

/** The names at the root of an expression, and as variables anywhere in it. */
const ROOTS = ['inputs', 'steps', 'item', 'index', 'run'];
const RUN_FIELDS = ['id', 'pipeline'];

/** The functions of JSONata (docs.jsonata.org), but for those in `REFUSED`. */
export const FUNCTIONS: ReadonlySet<string> = new Set(
  (
    'sum count max min average string substring substringBefore substringAfter lowercase ' +
    'uppercase length trim pad match contains replace split join formatNumber formatBase ' +
    'formatInteger parseInteger number floor ceil round abs sqrt power boolean not map zip ' +
    'filter single reduce sift keys lookup append exists spread merge reverse each error ' +
    'assert type sort distinct encodeUrlComponent encodeUrl decodeUrlComponent decodeUrl ' +
    'toMillis fromMillis clone base64encode base64decode now millis'
  ).split(' '),
);

/** Functions that a pipeline must not use, and why. */
export const REFUSED: ReadonlyMap<string, string> = new Map([
  ['random', 'it would give something else when the run goes on elsewhere'],
  ['shuffle', 'it would give something else when the run goes on elsewhere'],
  ['eval', 'what it would refer to cannot be checked'],
]);

/** A node of JSONata's tree. Its published type lacks most of what there is. */
interface Node {
  readonly type?: string;
  readonly value?: unknown;
  readonly position?: number;
  readonly [field: string]: unknown;
}

export function referencesIn(tree: jsonata.ExprNode): References {
  const finder = new Finder(boundNames(tree as unknown as Node));
  finder.walk(tree, true);
  return finder;
}

class Finder implements References {
  readonly inputs: Reference[] = [];
  readonly steps: Reference[] = [];
  readonly items: Reference[] = [];
  readonly complaints: Reference[] = [];
  readonly #bound: ReadonlySet<string>;

  constructor(bound: ReadonlyMap<string, number>) {
    this.#bound = new Set(bound.keys());
    for (const [name, position] of bound) {
      if (ROOTS.includes(name)) this.#complain(`$${name} has a meaning here already`, position);
    }
  }

  /** @param rooted true where plain names are ours, not fields of something */
  walk(node: unknown, rooted: boolean): void {
    if (Array.isArray(node)) {
      for (const each of node) this.walk(each, rooted);
      return;
    }
    if (!isNode(node)) return;
    switch (node.type) {
      case 'path':
        this.#path(node, rooted);
        return;
      case 'variable':
        this.#variable(node, []);
        this.#fields(node, false);
        return;
      case 'transform':
        this.#fields(node, false);
        return;
      case 'parent':
      case 'descendant':
      case 'wildcard':
        if (rooted) this.#complain(`"${String(node.value)}" hides which steps are used`, at(node));
        return;
      case 'regex':
        this.#regex(node);
        return;
      default:
        this.#fields(node, rooted);
    }
  }

  #regex(node: Node): void {
    try {
      new LinearRegExp(node.value as RegExp);
    } catch (cause) {
      this.#complain(
        `this regular expression cannot be used: ${(cause as Error).message}`,
        at(node),
      );
    }
  }

  #path(node: Node, rooted: boolean): void {
    const [first, ...rest] = node['steps'] as Node[];
    if (first !== undefined) this.#first(first, rest, rooted);
    for (const step of rest) this.walk(step, false);
    this.walk(node['group'], false);
  }

  #first(first: Node, rest: readonly Node[], rooted: boolean): void {
    const name = String(first.value);
    if (first.type === 'variable') this.#variable(first, rest, rooted);
    else if (first.type !== 'name') {
      this.walk(first, rooted);
      return;
    } else if (rooted) this.#root(first, name, rest);
    else if (ROOTS.includes(name) && rest[0]?.type === 'name') {
      this.#complain(`${name} is a field of what is there; ours is $${name}`, at(first));
    }
    this.#fields(first, false);
  }

  #variable(node: Node, rest: readonly Node[], rooted = false): void {
    const name = String(node.value);
    const [next, ...others] = rest;
    if (name === '$' || (name === '' && rooted)) {
      if (next?.type === 'name') this.#root(next, String(next.value), others);
      else this.#complain('this hides which steps are used: name them', at(node));
    } else if (ROOTS.includes(name)) this.#root(node, name, rest);
    else if (REFUSED.has(name)) {
      this.#complain(`$${name}() cannot be used: ${REFUSED.get(name) ?? ''}`, at(node));
    } else if (name !== '' && !FUNCTIONS.has(name) && !this.#bound.has(name)) {
      this.#complain(`there is no $${name}`, at(node));
    }
  }

  /** One of our names, and what of it is meant. */
  #root(node: Node, name: string, [next, after]: readonly Node[]): void {
    const position = at(node);
    const field = next?.type === 'name' ? String(next.value) : undefined;
    switch (name) {
      case 'inputs':
        if (field !== undefined) this.inputs.push({ name: field, position: at(next) });
        return;
      case 'steps':
        if (field === undefined) this.#complain('name the step: steps.NAME.output', position);
        else if (after?.type !== 'name' || after.value !== 'output') {
          this.#complain(`write steps.${field}.output: a step has nothing else`, at(next));
        } else this.steps.push({ name: field, position: at(next) });
        return;
      case 'item':
      case 'index':
        this.items.push({ name, position });
        return;
      case 'run':
        if (field === undefined || !RUN_FIELDS.includes(field)) {
          this.#complain('a run has run.id and run.pipeline', position);
        }
        return;
      default:
        this.#complain(
          `there is no "${name}"; there are ${ROOTS.slice(0, -1).join(', ')} and run`,
          position,
        );
    }
  }

  #fields(node: Node, rooted: boolean): void {
    for (const field of Object.values(node)) this.walk(field, rooted);
  }

  #complain(message: string, position: number): void {
    this.complaints.push({ name: message, position });
  }
}

/** Every name that an expression binds itself: by `:=`, as an argument, by `@` or `#`. */
function boundNames(tree: Node): Map<string, number> {
  const names = new Map<string, number>();
  const look = (node: unknown): void => {
    if (Array.isArray(node)) node.forEach(look);
    if (!isNode(node)) return;
    const bound = node.type === 'bind' ? [node['lhs']] : [];
    const given = node.type === 'lambda' ? (node['arguments'] as unknown[]) : [];
    for (const each of [...bound, ...given]) {
      if (isNode(each) && each.type === 'variable') names.set(String(each.value), at(each));
    }
    for (const name of [node['focus'], node['index']]) {
      if (typeof name === 'string') names.set(name, at(node));
    }
    Object.values(node).forEach(look);
  };
  look(tree);
  return names;
}

/** Where a node begins; the tree says where it ends. */
function at(node: Node | undefined): number {
  const { type, value, position = 1 } = node ?? {};
  const named = (type === 'name' || type === 'variable') && typeof value === 'string';
  const length = named ? value.length + (type === 'variable' ? 1 : 0) : 1;
  return Math.max(0, position - length);
}

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && !(value instanceof RegExp);
}
