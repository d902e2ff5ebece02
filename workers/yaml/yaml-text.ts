// YAML that remembers where everything stood, so that what is found wrong later can
// be named by line and column. It knows nothing of what the file is about.
import {
  isAlias,
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
import type { KeyPath, Place } from './place.js';

/** Uses of anchors, so that a short file cannot become an endless one. */
const ALIASES_MAX = 100;

/** Something that keeps a text from being YAML. */
export interface Fault {
  readonly message: string;
  /** Undefined where it is about the text as a whole. */
  readonly place: Place | undefined;
}

/** A key, or the value that it has. */
export type Part = 'key' | 'value';

export class YamlText {
  readonly text: string;
  /** What it says; undefined where there are faults. */
  readonly value: unknown;
  readonly faults: readonly Fault[];
  readonly #lines = new LineCounter();
  readonly #document: Document;

  constructor(text: string) {
    this.text = text;
    this.#document = parseDocument(text, { lineCounter: this.#lines, prettyErrors: false });
    const faults: Fault[] = this.#document.errors.map(({ pos, message }) => ({
      message,
      place: this.#at(pos[0]),
    }));
    this.value = faults.length === 0 ? this.#read(faults) : undefined;
    this.faults = faults;
  }

  /**
   * Where a value stands, or its key.
   *
   * @param otherwise what of the nearest part above it counts, where it is not there
   * @returns undefined where the file holds nothing
   */
  placeOf(path: KeyPath, at: Part, otherwise: Part): Place | undefined {
    for (let length = path.length; length > 0; length--) {
      const found = this.#find(path.slice(0, length), length === path.length ? at : otherwise);
      if (found !== undefined) return this.#at(found);
    }
    const start = startOf(this.#document.contents);
    return start === undefined ? undefined : this.#at(start);
  }

  /**
   * The place of a character of a text value. Folding, quotes and escapes make the text
   * differ from what stands in the file, but not in the order of its visible characters.
   *
   * @returns undefined where the value is no text
   */
  placeInText(path: KeyPath, character: number): Place | undefined {
    const node = this.#nodeAt(path);
    if (!isScalar(node) || typeof node.value !== 'string' || !node.range) return undefined;
    const before = visible(node.value.slice(0, character)).length;
    const content = contentOf(node.type, this.text, node.range);
    return this.#at(offsetAfter(this.text, content, before));
  }

  #read(faults: Fault[]): unknown {
    try {
      return this.#document.toJS({ maxAliasCount: ALIASES_MAX }) as unknown;
    } catch (cause) {
      faults.push({ message: (cause as Error).message, place: undefined });
      return undefined;
    }
  }

  #at(offset: number): Place {
    const { line, col } = this.#lines.linePos(offset);
    return { line: Math.max(1, line), column: Math.max(1, col) };
  }

  #find(path: KeyPath, at: Part): number | undefined {
    const last = path.at(-1);
    const parent = this.#nodeAt(path.slice(0, -1));
    if (last === undefined) return undefined;
    if (isSeq(parent)) return startOf(parent.items[Number(last)]);
    const pair = pairOf(parent, last);
    const key = startOf(pair?.key);
    return at === 'key' ? key : (startOf(pair?.value) ?? key);
  }

  /** The node of a value, with anchors followed. */
  #nodeAt(path: KeyPath): Node | undefined {
    let node: unknown = this.#document.contents;
    for (const key of path) {
      node = isSeq(node) ? node.items[Number(key)] : pairOf(node, key)?.value;
      if (isAlias(node)) node = node.resolve(this.#document);
    }
    return isNode(node) ? node : undefined;
  }
}

function pairOf(node: unknown, key: string | number) {
  if (!isMap(node)) return undefined;
  return node.items.find((item) => isScalar(item.key) && String(item.key.value) === String(key));
}

function startOf(item: unknown): number | undefined {
  return isNode(item) ? item.range?.[0] : undefined;
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
