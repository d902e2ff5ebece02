// What is wrong with a pipeline, told so that it can be found: file, line,
// column and key, then what to do. It only holds and prints; whether something
// is a problem is decided elsewhere.
import type { Place } from '../yaml/place.js';

export interface Problem extends Place {
  readonly file: string;
  /** The key it is about, as `steps.read.input`; empty for the file as a whole. */
  readonly key: string;
  readonly message: string;
}

/** One line: `studio.yaml:12:9: steps.read.input: there is no step "raed"`. */
export function problemLine({ file, line, column, key, message }: Problem): string {
  return `${file}:${line}:${column}: ${key === '' ? '' : `${key}: `}${message}`;
}

/** Thrown where a pipeline cannot run: all that is wrong with it, one line each. */
export class PipelineError extends Error {
  override readonly name = 'PipelineError';
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[]) {
    super(problems.map(problemLine).join('\n'));
    this.problems = problems;
  }
}

/** The problems in the order of the file. */
export function inOrder(problems: readonly Problem[]): Problem[] {
  return [...problems].sort((a, b) => a.line - b.line || a.column - b.column);
}
