// One expression of a pipeline: JSONata, with the names that a pipeline gives it.
// Which inputs and steps it uses is known before it is evaluated, so nothing that
// would hide this, or would differ when it is evaluated again, is allowed.
import jsonata from 'jsonata';
import { LinearRegExp } from './linear-regexp.js';
import { referencesIn, type References } from './references.js';

/** The names that expressions know, and what they stand for. */
export interface Scope {
  readonly inputs: Readonly<Record<string, unknown>>;
  /** What the steps that are done gave, each under `output`. */
  readonly steps: Readonly<Record<string, { readonly output: unknown }>>;
  readonly run: { readonly id: string; readonly pipeline: string };
  /** The item of a `forEach`, and its place in the list, from 0. */
  readonly item?: unknown;
  readonly index?: number;
  /** What `$now()` and `$millis()` say: when the run began, ms since 1970. */
  readonly nowMs: number;
}

/** One evaluation may take so long, ms; nest so deep; make lists so long. */
const BOUNDS = { timeout: 10_000, stack: 500, sequence: 100_000 };
const ENGINE = LinearRegExp as unknown as RegExpConstructor;
/** `$now()` as JSONata has it, but for the time. */
const FROM_MILLIS = jsonata('$fromMillis($nowMs, $picture, $zone)');

/** What is wrong with an expression. */
export class ExpressionError extends Error {
  override readonly name = 'ExpressionError';
  /** The character of its text at which it is wrong. */
  readonly position: number;

  constructor(message: string, position: number) {
    super(message);
    this.position = position;
  }
}

export class Expression {
  readonly text: string;
  readonly references: References;
  readonly #compiled: jsonata.Expression;

  /** @throws {ExpressionError} */
  constructor(text: string) {
    this.text = text;
    try {
      this.#compiled = jsonata(text, { ...BOUNDS, RegexEngine: ENGINE });
      this.references = referencesIn(this.#compiled.ast());
    } catch (cause) {
      throw errorOf(cause, text);
    }
  }

  /**
   * What it gives: JSON, in which files are `FileValue`s; undefined for nothing.
   *
   * @throws {ExpressionError} where it cannot be evaluated
   */
  async evaluate(scope: Scope): Promise<unknown> {
    const { nowMs, ...names } = scope;
    const now = (picture?: string, zone?: string): Promise<unknown> =>
      FROM_MILLIS.evaluate(undefined, { nowMs, picture, zone });
    try {
      const bindings = { ...names, now, millis: () => nowMs };
      return (await this.#compiled.evaluate(names, bindings)) as unknown;
    } catch (cause) {
      throw errorOf(cause, this.text);
    }
  }
}

function errorOf(cause: unknown, text: string): ExpressionError {
  const { message, position, token } = cause as Readonly<Record<string, unknown>>;
  const says = typeof message === 'string' ? message : String(cause);
  // JSONata points behind what it stumbled over.
  const length = typeof token === 'string' && text.includes(token) ? token.length : 1;
  const at = typeof position === 'number' ? Math.max(0, position - length) : 0;
  return new ExpressionError(says, token === '(end)' ? text.length : Math.min(at, text.length));
}
