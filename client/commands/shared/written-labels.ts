// Labels as they are written on a command line, `gpu=true`: what workers say of
// themselves and what requests ask of them is read by one rule, so that both mean
// the same. Whether it can be a label is checked elsewhere.
import { usageError } from './failure.js';

/**
 * Reads labels. Digits are a number, as in a file of YAML (`007` is 7); other values are JSON
 * (`true`, `1e3`, `["a", "b"]`), and what is none is a text.
 *
 * @param option the one that they were written in, for complaints
 * @throws {CommandError} where one has no name, or no value
 */
export function readLabels(option: string, texts: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(
    texts.map((text) => {
      const [label, value] = namedValue(option, text);
      return [label, labelValue(value)];
    }),
  );
}

/** `NAME=VALUE` in its two parts. @throws {CommandError} where it is something else */
export function namedValue(option: string, text: string): [name: string, value: string] {
  const sign = text.indexOf('=');
  if (sign > 0) return [text.slice(0, sign), text.slice(sign + 1)];
  throw usageError(`--${option}: write NAME=VALUE, not "${text}"`);
}

function labelValue(text: string): unknown {
  if (/^-?\d+(\.\d+)?$/.test(text)) return Number(text);
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}
