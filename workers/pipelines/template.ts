// Values with expressions in them, as they stand in a pipeline file: `${{ … }}`
// alone is what the expression gives, within a text it is put into the text, and
// lists and maps hold such values. It reads and evaluates; what the names in the
// expressions mean is checked elsewhere.
import { Expression, ExpressionError, type Scope } from './expression.js';
import { FileValue } from './file-value.js';
import type { KeyPath as Path } from '../yaml/place.js';

export type Template =
  | { readonly kind: 'constant'; readonly value: unknown }
  | { readonly kind: 'expression'; readonly expression: Expression }
  | { readonly kind: 'text'; readonly parts: readonly (string | Expression)[] }
  | { readonly kind: 'list'; readonly items: readonly Template[] }
  | { readonly kind: 'map'; readonly entries: readonly (readonly [string, Template])[] };

/** An expression, and where its text begins. */
export interface Placed {
  readonly expression: Expression;
  readonly path: Path;
  /** The character of the text value at `path` with which it begins. */
  readonly offset: number;
}

/** What reading a template gives beside it. */
export interface TemplateNotes {
  found(placed: Placed): void;
  wrong(path: Path, message: string, offset: number): void;
}

const OPEN = '${{';
const CLOSE = '}}';
/** Lists and maps within each other. */
const DEPTH_MAX = 100;
/** In the place of what cannot be read: it is told, and nothing runs. */
const UNREADABLE: Template = { kind: 'expression', expression: new Expression('null') };

/** Reads a value of the file. What is wrong in it goes to `notes`. */
export function readTemplate(value: unknown, path: Path, notes: TemplateNotes): Template {
  if (typeof value === 'string') return readText(value, path, notes);
  if (Array.isArray(value)) {
    return {
      kind: 'list',
      items: value.map((item, at) => readTemplate(item, [...path, at], notes)),
    };
  }
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value).map(
      ([key, item]) => [key, readTemplate(item, [...path, key], notes)] as const,
    );
    return { kind: 'map', entries };
  }
  return { kind: 'constant', value };
}

function readText(text: string, path: Path, notes: TemplateNotes): Template {
  const parts: (string | Expression)[] = [];
  let done = 0;
  for (let open = text.indexOf(OPEN); open >= 0; open = text.indexOf(OPEN, done)) {
    if (open > done) parts.push(text.slice(done, open));
    const found = readExpression(text, open + OPEN.length);
    if ('wrong' in found) {
      notes.wrong(path, found.wrong, found.at);
      return UNREADABLE;
    }
    notes.found({ expression: found.expression, path, offset: open + OPEN.length });
    parts.push(found.expression);
    done = found.end;
  }
  if (done < text.length) parts.push(text.slice(done));
  const [only, ...more] = parts;
  if (only === undefined || (typeof only === 'string' && more.length === 0)) {
    return { kind: 'constant', value: text };
  }
  if (more.length === 0) return { kind: 'expression', expression: only as Expression };
  return { kind: 'text', parts };
}

type Found =
  | { readonly expression: Expression; readonly end: number }
  | { readonly wrong: string; readonly at: number };

/** The expression ends at the first `}}` up to which it is one: it may hold `}}` itself. */
function readExpression(text: string, start: number): Found {
  let first: ExpressionError | undefined;
  for (let end = text.indexOf(CLOSE, start); end >= 0; end = text.indexOf(CLOSE, end + 1)) {
    try {
      const expression = new Expression(text.slice(start, end));
      return { expression, end: end + CLOSE.length };
    } catch (error) {
      if (!(error instanceof ExpressionError)) throw error;
      first ??= error;
    }
  }
  if (first === undefined) return { wrong: `"${OPEN}" without "${CLOSE}"`, at: start };
  return { wrong: first.message, at: start + first.position };
}

/**
 * What a template gives: JSON in which files are `FileValue`s; undefined for nothing.
 * A field or an item whose expression gives nothing is left out.
 *
 * @throws {ExpressionError} where it cannot be evaluated, or does not give a value
 */
export async function evaluateTemplate(template: Template, scope: Scope): Promise<unknown> {
  switch (template.kind) {
    case 'constant':
      return template.value;
    case 'expression':
      return plain(await template.expression.evaluate(scope), 0);
    case 'text':
      return evaluateText(template.parts, scope);
    case 'list': {
      const items: unknown[] = [];
      for (const item of template.items) items.push(await evaluateTemplate(item, scope));
      return items.filter((item) => item !== undefined);
    }
    case 'map': {
      const entries: (readonly [string, unknown])[] = [];
      for (const [key, item] of template.entries) {
        const value = await evaluateTemplate(item, scope);
        if (value !== undefined) entries.push([key, value]);
      }
      return Object.fromEntries(entries);
    }
  }
}

async function evaluateText(
  parts: readonly (string | Expression)[],
  scope: Scope,
): Promise<string> {
  let text = '';
  for (const part of parts) {
    text += typeof part === 'string' ? part : textOf(part, await part.evaluate(scope));
  }
  return text;
}

function textOf({ text }: Expression, value: unknown): string {
  if (typeof value === 'string') return value;
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  const gives = value === undefined ? 'nothing' : kindOf(value);
  const advice = 'within a text it must give a text, a number or true or false ($string makes one)';
  throw new ExpressionError(`\${{${text}}} gives ${gives}; ${advice}`, 0);
}

/** The value as plain JSON and files: JSONata's lists carry marks, and can hold functions. */
function plain(value: unknown, depth: number): unknown {
  if (depth > DEPTH_MAX) throw new ExpressionError('it gives a value that is nested too deep', 0);
  if (typeof value === 'function') throw new ExpressionError('it gives a function', 0);
  if (typeof value === 'number' && !Number.isFinite(value)) {
    throw new ExpressionError(`it gives ${value}, which is not a number to work with`, 0);
  }
  if (typeof value !== 'object' || value === null || value instanceof FileValue) return value;
  if (Array.isArray(value)) {
    return value.map((item) => plain(item, depth + 1)).filter((item) => item !== undefined);
  }
  if ('_jsonata_function' in value || '_jsonata_lambda' in value) {
    throw new ExpressionError('it gives a function', 0);
  }
  const entries = Object.entries(value).map(
    ([key, item]) => [key, plain(item, depth + 1)] as const,
  );
  return Object.fromEntries(entries.filter(([, item]) => item !== undefined));
}

/** What kind of value it is, for people. */
export function kindOf(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (value === null) return 'null';
  if (value instanceof FileValue) return 'a file';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'an object';
  if (typeof value === 'number') return `the number ${value}`;
  return typeof value === 'boolean' ? String(value) : 'a text';
}
