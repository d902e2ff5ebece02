// Reads the broker's config file: YAML, and so JSON too. It says what the file
// holds; whether the values are any good is decided in options.ts.
import { readFileSync } from 'node:fs';
import { parse, YAMLParseError } from 'yaml';
import { OptionError } from './options.js';

/**
 * Reads a config file.
 *
 * @returns its keys and values
 * @throws {OptionError} naming the file, and the line where it does not parse
 */
export function readConfigFile(path: string): Record<string, unknown> {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    throw new OptionError(`cannot read the config file: ${(cause as Error).message}`, { cause });
  }
  const values = parseYaml(path, text) ?? {};
  if (typeof values !== 'object' || Array.isArray(values)) {
    throw new OptionError(`${path}: a config file has lines like "timeout: 10000"`);
  }
  return values as Record<string, unknown>;
}

function parseYaml(path: string, text: string): unknown {
  try {
    return parse(text);
  } catch (cause) {
    if (!(cause instanceof YAMLParseError)) throw cause;
    const line = cause.linePos?.[0].line ?? 1;
    const [what = 'not YAML'] = cause.message.split('\n');
    throw new OptionError(`${path}:${line}: ${what}`, { cause });
  }
}
