// The file of a configuration: read, as a value and as the places in it. What the
// value means is not known here.
import { readFileSync } from 'node:fs';
import { dotted } from '../../yaml/place.js';
import { YamlText } from '../../yaml/yaml-text.js';
import { ConfigError, type Source } from './problems.js';

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

/**
 * @param name what the file is called in messages
 * @throws {ConfigError} where it is not YAML
 */
export function parseYaml(name: string, text: string): YamlFile {
  const yaml = new YamlText(text);
  const lines = yaml.faults.map(({ message, place }) =>
    place === undefined
      ? `${name}: ${message}`
      : `${name}:${place.line}:${place.column}: ${message}`,
  );
  if (lines.length > 0) throw new ConfigError(lines);
  return {
    name,
    value: yaml.value,
    placeOf: (path, atKey) => yaml.placeOf(path, atKey ? 'key' : 'value', 'value'),
    keyOf: dotted,
  };
}
