// The file of a pipeline, and what is wrong with it, told by line, column and key. It
// knows nothing of what a pipeline is; where things stand, yaml/ knows.
import { dotted, type KeyPath, type Place } from '../yaml/place.js';
import { YamlText, type Fault } from '../yaml/yaml-text.js';
import type { Problem } from './problem.js';

/** Octets of a file. */
const SOURCE_BYTES_MAX = 256 * 1024;
const EXPRESSION_HINT =
  'where an expression holds ": " or " #", put the whole value in quotes or in a block (|)';
const START: Place = { line: 1, column: 1 };

export class Source {
  readonly file: string;
  readonly text: string;
  /** What the file says; undefined where it cannot be read, which `problems` tells. */
  readonly value: unknown;
  readonly problems: readonly Problem[];
  readonly #yaml: YamlText;

  /** @param file its name, for what is told about it */
  constructor(file: string, text: string) {
    this.file = file;
    this.text = text;
    const tooLong = Buffer.byteLength(text) > SOURCE_BYTES_MAX;
    this.#yaml = new YamlText(tooLong ? '' : text);
    const why = `longer than ${SOURCE_BYTES_MAX} octets: too long for a pipeline`;
    const faults = tooLong ? [{ message: why, place: undefined }] : this.#yaml.faults;
    this.value = tooLong ? undefined : this.#yaml.value;
    this.problems = faults.map((fault) => this.#problemOf(fault));
  }

  /** Something that is wrong with the value at `path`, or with an octet of its text. */
  problem(path: KeyPath, message: string, at: 'key' | 'value' | number = 'value'): Problem {
    const place =
      typeof at === 'number'
        ? (this.#yaml.placeInText(path, at) ?? this.#placeOf(path, 'value'))
        : this.#placeOf(path, at);
    return { file: this.file, ...place, key: dotted(path), message };
  }

  /** Where a value is not there, the key of what it would stand in. */
  #placeOf(path: KeyPath, at: 'key' | 'value'): Place {
    return this.#yaml.placeOf(path, at, 'key') ?? START;
  }

  #problemOf({ message: said, place }: Fault): Problem {
    const written = place === undefined ? '' : (this.text.split('\n')[place.line - 1] ?? '');
    const message = written.includes('${{') ? `${said} (${EXPRESSION_HINT})` : said;
    return { file: this.file, ...(place ?? START), key: '', message };
  }
}
