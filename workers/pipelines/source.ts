// A YAML file that remembers where everything stood, so that what is found wrong
// later can be named by line and column. It knows nothing of what the file is about.
import {
  isMap,
  isNode,
  isScalar,
  isSeq,
  LineCounter,
  parseDocument,
  type Document,
  type Node,
  type Range,
} from 'yaml';
import type { Place, Problem } from './problem.js';

/** The way to a value: keys of maps and places in lists. */
export type Path = readonly (string | number)[];

/** Octets of a file. */
const SOURCE_BYTES_MAX = 256 * 1024;
/** Uses of anchors, so that a short file cannot become an endless one. */
const ALIASES_MAX = 100;
const EXPRESSION_HINT =
  'where an expression holds ": " or " #", put the whole value in quotes or in a block (|)';

export class Source {
  readonly file: string;
  readonly text: string;
  /** What the file says; undefined where it cannot be read, which `problems` tells. */
  readonly value: unknown;
  readonly problems: readonly Problem[];
  readonly #lines = new LineCounter();
  readonly #document: Document;

  /** @param file its name, for what is told about it */
  constructor(file: string, text: string) {
    this.file = file;
    this.text = text;
    const tooLong = Buffer.byteLength(text) > SOURCE_BYTES_MAX;
    this.#document = parseDocument(tooLong ? '' : text, {
      lineCounter: this.#lines,
      prettyErrors: false,
    });
    const problems = tooLong
      ? [this.#problem(0, `longer than ${SOURCE_BYTES_MAX} octets: too long for a pipeline`)]
      : this.#document.errors.map(({ pos, message }) => this.#syntaxProblem(pos[0], message));
    this.value = problems.length === 0 ? this.#read(problems) : undefined;
    this.problems = problems;
  }

  /** Something that is wrong with the value at `path`, or with an octet of its text. */
  problem(path: Path, message: string, at: 'key' | 'value' | number = 'value'): Problem {
    const { line, column } =
      typeof at === 'number' ? this.#placeInText(path, at) : this.#placeOf(path, at);
    return { severity: 'error', file: this.file, line, column, key: keyOf(path), message };
  }

  #read(problems: Problem[]): unknown {
    try {
      return this.#document.toJS({ maxAliasCount: ALIASES_MAX }) as unknown;
    } catch (cause) {
      problems.push(this.#problem(0, (cause as Error).message));
      return undefined;
    }
  }

  #syntaxProblem(offset: number, message: string): Problem {
    const { line } = this.#lines.linePos(offset);
    const written = this.text.split('\n')[line - 1] ?? '';
    return this.#problem(
      offset,
      written.includes('${{') ? `${message} (${EXPRESSION_HINT})` : message,
    );
  }

  #problem(offset: number, message: string): Problem {
    return { severity: 'error', file: this.file, ...this.#at(offset), key: '', message };
  }

  #at(offset: number): Place {
    const { line, col } = this.#lines.linePos(offset);
    return { line: Math.max(1, line), column: Math.max(1, col) };
  }

  /** Where a value stands, or its key; where it is not there, what it would stand in. */
  #placeOf(path: Path, at: 'key' | 'value'): Place {
    for (let length = path.length; length > 0; length--) {
      const found = this.#find(path.slice(0, length), length === path.length ? at : 'key');
      if (found !== undefined) return this.#at(found);
    }
    return this.#at(this.#document.contents?.range?.[0] ?? 0);
  }

  #find(path: Path, at: 'key' | 'value'): number | undefined {
    const last = path.at(-1);
    const parent = this.#nodeAt(path.slice(0, -1));
    if (isMap(parent)) {
      const pair = parent.items.find(({ key }) => isScalar(key) && String(key.value) === last);
      const key = startOf(pair?.key);
      return at === 'key' ? key : (startOf(pair?.value) ?? key);
    }
    return isSeq(parent) && typeof last === 'number' ? startOf(parent.items[last]) : undefined;
  }

  #nodeAt(path: Path): Node | undefined {
    const node = this.#document.getIn(path, true);
    return isNode(node) ? node : undefined;
  }

  /**
   * The place of a character of a text value. Folding, quotes and escapes make the text
   * differ from what stands in the file, but not in the order of its visible characters.
   */
  #placeInText(path: Path, character: number): Place {
    const node = this.#nodeAt(path);
    const range = node?.range;
    if (!isScalar(node) || typeof node.value !== 'string' || !range) {
      return this.#placeOf(path, 'value');
    }
    const before = visible(node.value.slice(0, character)).length;
    return this.#at(offsetAfter(this.text, contentOf(node.type, this.text, range), before));
  }
}

/** Where the text of a scalar begins and ends in the file, without quotes or the mark of a block. */
function contentOf(type: unknown, text: string, [start, end]: Range): Content {
  if (type === 'QUOTE_DOUBLE') return { start: start + 1, end, escape: '\\' };
  if (type === 'QUOTE_SINGLE') return { start: start + 1, end, escape: "''" };
  if (type === 'PLAIN') return { start, end, escape: '' };
  return { start: text.indexOf('\n', start) + 1, end, escape: '' };
}

interface Content {
  readonly start: number;
  readonly end: number;
  readonly escape: '' | '\\' | "''";
}

/** The offset of the visible character that comes after so many others. */
function offsetAfter(text: string, { start, end, escape }: Content, count: number): number {
  let seen = 0;
  for (let at = start; at < end; at++) {
    if (escape === '\\' && text[at] === '\\') at++;
    else if (escape === "''" && text.startsWith("''", at)) at++;
    else if (visible(text[at] ?? '') === '') continue;
    if (seen++ === count) return at;
  }
  return end;
}

function visible(text: string): string {
  return text.replace(/\s/g, '');
}

function startOf(item: unknown): number | undefined {
  return isNode(item) ? item.range?.[0] : undefined;
}

/** `steps.read.input`, `steps.join.input[2]`. */
export function keyOf(path: Path): string {
  return path
    .map((part) => (typeof part === 'number' ? `[${part}]` : `.${part}`))
    .join('')
    .replace(/^\./, '');
}
