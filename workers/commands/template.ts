// Arguments with `{{…}}` in them: parsed once, filled for each request. One
// template stays one argument, whatever the request holds; a value cannot become
// an option, nor a path that leaves the folder of its job, unless the author of
// the template vouches for it. It knows no processes.
//
// ```
// {{ NAME }}   {{ NAME ?? DEFAULT }}   {{ NAME | FILTER }}
// NAME    subject, body, body.FIELD.FIELD, folder, here
// \{{     two braces, as they are
// ```
import { badInput } from './failure.js';
import { FILTERS, type Filter, type Filtered } from './template-filters.js';
import { nearest } from './config/suggest.js';

/** Names that stand for folders of ours: their values are safe. */
const FOLDERS = ['folder', 'here'] as const;
const OTHERS = ['subject', 'body'] as const;

/** The kernel takes no longer argument than this, its end included. */
const ARGUMENT_BYTES_MAX = 128 * 1024 - 1;

/** A template that cannot be; its message is for the author of the command. */
export class TemplateError extends Error {
  override readonly name = 'TemplateError';
}

/** Where the values come from. */
export interface TemplateValues {
  readonly subject: string;
  /** The body as text. @throws {JobError} bad-input where it is something else */
  body(): string;
  /** A field of the body; undefined where there is none. */
  field(path: readonly string[]): unknown;
  /** The folder of the job. */
  readonly folder: string;
  /** The folder that paths in the configuration are relative to. */
  readonly here: string;
}

/** One `{{…}}`. */
interface Hole {
  /** `subject`, `body`, `body.FIELD`, `folder` or `here`. */
  readonly name: string;
  readonly path: readonly string[];
  readonly fallback: string | undefined;
  readonly filters: readonly Filter[];
  /** Whether the author has said what the value is, so that it is no path. */
  readonly settled: boolean;
  readonly mayDash: boolean;
  /** Whether the author has said that it is text, not a path. */
  readonly isText: boolean;
}

/** A piece of an argument: literal text, or a hole. */
type Piece = string | Hole;

/** One argument with its holes. */
export interface Template {
  /** As it was written. */
  readonly source: string;
  readonly pieces: readonly Piece[];
}

/** Arguments: each one, or several that are left out together where a value is missing. */
export type Arguments = readonly (Template | readonly Template[])[];

/** @throws {TemplateError} */
export function parseTemplate(source: string): Template {
  if (source.includes('\0')) throw new TemplateError('an argument cannot hold a NUL octet');
  const pieces: Piece[] = [];
  let literal = '';
  let at = 0;
  while (at < source.length) {
    if (source.startsWith('\\{{', at)) {
      literal += '{{';
      at += 3;
    } else if (source.startsWith('{{', at)) {
      const end = source.indexOf('}}', at);
      if (end < 0) throw new TemplateError(`"${source}": a {{ has no }}; \\{{ means two braces`);
      if (literal !== '') pieces.push(literal);
      literal = '';
      pieces.push(parseHole(source.slice(at + 2, end)));
      at = end + 2;
    } else {
      literal += source[at++] ?? '';
    }
  }
  if (literal !== '') pieces.push(literal);
  checkDashes(source, pieces);
  checkPaths(source, pieces);
  return { source, pieces };
}

function parseHole(inside: string): Hole {
  const [expression = '', ...filters] = inside.split('|').map((part) => part.trim());
  const shown = `{{${inside}}}`;
  const [name = '', ...rest] = expression.split('??').map((part) => part.trim());
  const fallback = rest.length > 0 ? rest.join('??') : undefined;
  const used = filters.map((filter) => parseFilter(shown, filter));
  return {
    name,
    path: parseName(shown, name),
    fallback,
    filters: used.map(({ filter }) => filter),
    settled: isFolder(name) || used.some(({ settlesPath }) => settlesPath),
    mayDash: used.some(({ kind }) => kind !== 'text' && kind !== 'replace'),
    isText: used.some(({ kind }) => kind === 'text'),
  };
}

/** @returns the path of a field of the body; empty for all else */
function parseName(shown: string, name: string): readonly string[] {
  const [first = '', ...path] = name.split('.');
  const known: readonly string[] = [...OTHERS, ...FOLDERS];
  if (!known.includes(first) || (first !== 'body' && path.length > 0)) {
    const meant = nearest(first, known);
    const advice = meant === undefined ? '' : `; did you mean ${meant}?`;
    throw new TemplateError(
      `${shown}: there is no "${name}": write subject, body, body.FIELD, folder or here${advice}`,
    );
  }
  if (path.some((key) => !/^[^\s?{}]+$/.test(key))) {
    throw new TemplateError(`${shown}: write fields of the body as body.FIELD or body.FIELD.FIELD`);
  }
  return path;
}

function parseFilter(shown: string, text: string) {
  const [kind = '', ...words] = text.split(/\s+/);
  const row = Object.hasOwn(FILTERS, kind) ? FILTERS[kind] : undefined;
  if (row === undefined) {
    const usages = Object.values(FILTERS).map(({ usage }) => usage);
    throw new TemplateError(
      `${shown}: there is no filter "${kind}"; there are: ${usages.join(', ')}`,
    );
  }
  const filter = row.make(words);
  if (filter === undefined) throw new TemplateError(`${shown}: write the filter as ${row.usage}`);
  return { kind, filter, settlesPath: row.settlesPath };
}

/** `-{{body.x}}` would let the request choose the option. */
function checkDashes(source: string, pieces: readonly Piece[]): void {
  const [first, second] = pieces;
  if (first !== '-' && first !== '--') return;
  if (typeof second !== 'object' || second.mayDash || isFolder(second.name)) return;
  throw new TemplateError(
    `"${source}": the request would choose the option; if it may, add the filter dash, word or oneof`,
  );
}

/**
 * What stands behind a slash is a part of a path, whoever vouches that it is text; and behind a
 * path that begins elsewhere than in the folder of the job, it needs to be vouched for.
 */
function checkPaths(source: string, pieces: readonly Piece[]): void {
  let before = '';
  for (const piece of pieces) {
    if (typeof piece === 'string') {
      before += piece;
      continue;
    }
    const path = before.split(/[:=@|,;'"([{<\s]/).at(-1) ?? '';
    if (path.includes('/') && piece.isText) {
      throw new TemplateError(`"${source}": the filter text is not for a part of a path`);
    }
    if (path.startsWith('/') && !piece.settled) {
      throw new TemplateError(
        `"${source}": the request would choose a file outside the folder of its job; if it may, add the filter word, integer or oneof`,
      );
    }
    before += piece.name === 'here' ? '/here' : 'x';
  }
}

function isFolder(name: string): boolean {
  return FOLDERS.some((folder) => folder === name);
}

/** Whether a template takes something from the request. */
export function usesRequest({ pieces }: Template): boolean {
  return pieces.some((piece) => typeof piece !== 'string' && piece.name !== 'here');
}

/** Whether a template takes the body, or a part of it. */
export function usesBody({ pieces }: Template): boolean {
  return pieces.some((piece) => typeof piece !== 'string' && piece.name.startsWith('body'));
}

/** The names in a template whose values could be taken for files of the folder the command runs in. */
export function unsettledNames({ pieces }: Template): string[] {
  return pieces.flatMap((piece) =>
    typeof piece !== 'string' && !piece.settled ? [piece.name] : [],
  );
}

/**
 * The arguments for one request.
 *
 * @throws {JobError} bad-input naming the value that cannot be
 */
export function fillAll(templates: Arguments, values: TemplateValues): string[] {
  return templates.flatMap((one) => {
    if ('pieces' in one) return [fill(one, values)];
    const missing = one.some(({ pieces }) => pieces.some((piece) => isMissing(piece, values)));
    return missing ? [] : one.map((template) => fill(template, values));
  });
}

function isMissing(piece: Piece, values: TemplateValues): boolean {
  if (typeof piece === 'string' || piece.fallback !== undefined) return false;
  return valueOf(piece, values) === undefined;
}

/** @throws {JobError} bad-input */
export function fill({ source, pieces }: Template, values: TemplateValues): string {
  let argument = '';
  /** The same without what the author vouches for, and without any value at all. */
  let doubtful = '';
  let literal = '';
  for (const piece of pieces) {
    if (typeof piece === 'string') {
      argument += piece;
      doubtful += piece;
      literal += piece;
      continue;
    }
    const { text, dash, path } = filtered(piece, values);
    if (argument === '' && text.startsWith('-') && !dash) {
      throw badInput(refusal(piece.name, 'begins with a dash, as an option does'));
    }
    if (!path && LEAVES.test(text)) throw badInput(refusal(piece.name, LEADS_OUT));
    argument += text;
    doubtful += path ? 'x' : text;
    literal += 'x';
  }
  if (departures(doubtful) > departures(literal)) throw badInput(refusal(source, LEADS_OUT));
  if (Buffer.byteLength(argument) > ARGUMENT_BYTES_MAX) {
    throw badInput(`${source} is longer than an argument can be`);
  }
  return argument;
}

function refusal(what: string, why: string): string {
  return `the value of ${what.replace(/^\{\{|\}\}$/g, '').trim()} ${why}`;
}

const LEADS_OUT = 'could be a path outside of the folder of the job';

/**
 * An absolute path, the home of a user, or a step up, also where something stands before it,
 * as in `file:/etc/passwd`, `@/etc/passwd` and `x /etc/passwd`.
 */
const LEAVES =
  /^\/|[:=@|,;'"([{<]\/|\s\/[\w.]|^~[\w.-]*(?:\/|$)|(?<=^|[/:=@|,;'"([{<\s])\.\.(?=[/:@=|,;'")\]}>]|$)/;
const EVERY_LEAVES = new RegExp(LEAVES.source, 'g');

/** How often an argument leaves the folder. */
function departures(argument: string): number {
  return argument.match(EVERY_LEAVES)?.length ?? 0;
}

function filtered(hole: Hole, values: TemplateValues): Filtered {
  const value = valueOf(hole, values);
  if (value === undefined) return defaultOf(hole);
  if (isFolder(hole.name)) return { text: value, dash: false, path: true };
  if (value.includes('\0')) throw badInput(refusal(hole.name, 'holds a NUL octet'));
  const start: Filtered = { text: value, dash: false, path: false };
  return hole.filters.reduce((now, filter) => filter(now, hole.name), start);
}

/** What stands for a value that the request does not have. The author's own default is trusted. */
function defaultOf({ name, path, fallback }: Hole): Filtered {
  if (fallback !== undefined) return { text: fallback, dash: true, path: true };
  if (path.length > 0) throw badInput(`the body has no ${path.join('.')}`);
  throw badInput(`the ${name} is empty`);
}

/** The value of a hole as text; undefined where the request has none. */
function valueOf({ name, path }: Hole, values: TemplateValues): string | undefined {
  switch (name) {
    case 'subject':
      return values.subject === '' ? undefined : values.subject;
    case 'folder':
      return values.folder;
    case 'here':
      return values.here;
    default:
      if (path.length > 0) return scalarOf(name, values.field(path));
      return values.body() || undefined;
  }
}

function scalarOf(name: string, value: unknown): string | undefined {
  switch (typeof value) {
    case 'undefined':
      return undefined;
    case 'string':
      return value;
    case 'number':
    case 'bigint':
    case 'boolean':
      return String(value);
    default:
      if (value === null) return undefined;
      throw badInput(`${name} must be a text, a number, true or false`);
  }
}
