// A YAML file as its value, and where in the file each part of the value stands.
// What the value means is not known here.
import { readFileSync } from 'node:fs';
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
  type YAMLError,
} from 'yaml';
import { ConfigError, dotted, type KeyPath, type Place, type Source } from './problems.js';

/** A file that was read. */
export interface YamlFile extends Source {
  readonly value: unknown;
}

/** @throws {ConfigError} where it cannot be read, or is not YAML */
export function readYamlFile(path: string): YamlFile {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    throw new ConfigError([`cannot read ${path}: ${(cause as Error).message}`], { cause });
  }
  return parseYaml(path, text);
}

/** @param name what the file is called in messages */
export function parseYaml(name: string, text: string): YamlFile {
  const counter = new LineCounter();
  const document = parseDocument(text, { lineCounter: counter, prettyErrors: false });
  const { errors } = document;
  if (errors.length > 0) throw new ConfigError(errors.map((error) => said(name, error, counter)));
  return {
    name,
    value: valueOf(name, document),
    placeOf: (path, atKey) => placeOf(document, counter, path, atKey),
    keyOf: dotted,
  };
}

/** Aliases that would grow without end are refused by the parser here. */
function valueOf(name: string, document: Document): unknown {
  try {
    return document.toJS();
  } catch (cause) {
    throw new ConfigError([`${name}: ${(cause as Error).message}`], { cause });
  }
}

function said(name: string, { pos, message }: YAMLError, counter: LineCounter): string {
  const { line, col } = counter.linePos(pos[0]);
  return `${name}:${line}:${col}: ${message}`;
}

/** Where the value of a path stands; that of the nearest part above it, where it has none. */
function placeOf(
  document: Document,
  counter: LineCounter,
  path: KeyPath,
  atKey: boolean,
): Place | undefined {
  let found: Node | undefined = document.contents ?? undefined;
  let node: unknown = found;
  for (const [at, key] of path.entries()) {
    if (isAlias(node)) node = node.resolve(document);
    node = childOf(node, key, atKey && at === path.length - 1);
    if (!isNode(node)) break;
    found = node;
  }
  const offset = found?.range?.[0];
  if (offset === undefined) return undefined;
  const { line, col } = counter.linePos(offset);
  return { line, column: col };
}

/** An item of a list; the value of a key, or the key itself where it has none or is meant. */
function childOf(node: unknown, key: string | number, atKey: boolean): unknown {
  if (isSeq(node)) return node.items[Number(key)];
  if (!isMap(node)) return undefined;
  const pair = node.items.find(
    (item) => isScalar(item.key) && String(item.key.value) === String(key),
  );
  return !atKey && isNode(pair?.value) ? pair.value : pair?.key;
}
