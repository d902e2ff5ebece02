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
  const values = parseYaml(path, read(path)) ?? {};
  if (typeof values !== 'object' || Array.isArray(values)) {
    throw new OptionError(`${path}: a config file has lines like "timeout: 10000"`);
  }
  return values as Record<string, unknown>;
}

function read(path: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(readFileSync(path));
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    const why = code === 'ERR_ENCODING_INVALID_ENCODED_DATA' ? 'it is not UTF-8' : message;
    throw new OptionError(`cannot read the config file ${path}: ${why}`, { cause });
  }
}

function parseYaml(path: string, text: string): unknown {
  try {
    return parse(text, { logLevel: 'error' });
  } catch (cause) {
    const line = cause instanceof YAMLParseError ? cause.linePos?.[0].line : undefined;
    const [what = 'not YAML'] = (cause as Error).message.split('\n');
    const where = line === undefined ? path : `${path}:${line}`;
    throw new OptionError(`${where}: ${what}`, { cause });
  }
}
