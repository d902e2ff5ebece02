// Regular expressions of pipelines on an engine whose time is linear in the text:
// a pipeline may search in what strangers wrote, and must not stall the others
// beside it. It has the part of RegExp that JSONata uses, and no more.
import { RE2JS } from 're2js';

/** A RegExp that cannot be made to run forever. */
export class LinearRegExp {
  lastIndex = 0;
  readonly #engine: RE2JS;

  /** @throws {Error} where the engine knows no such expression, as with look-around */
  constructor({ source, flags }: RegExp) {
    const insensitive = flags.includes('i') ? RE2JS.CASE_INSENSITIVE : 0;
    const lines = flags.includes('m') ? RE2JS.MULTILINE : 0;
    this.#engine = RE2JS.compile(source, insensitive | lines);
  }

  /** The next match from `lastIndex` on, which moves behind it. */
  exec(text: string): RegExpExecArray | null {
    const matcher = this.#engine.matcher(text);
    if (this.lastIndex > text.length || !matcher.find(this.lastIndex)) {
      this.lastIndex = 0;
      return null;
    }
    const groups: (string | null)[] = [];
    for (let at = 0; at <= matcher.groupCount(); at++) groups.push(matcher.group(at));
    this.lastIndex = matcher.end();
    return Object.assign(
      groups.map((group) => group ?? undefined),
      {
        index: matcher.start(),
        input: text,
      },
    ) as RegExpExecArray;
  }
}
