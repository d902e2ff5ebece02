// What the parts of a line look like: colours where a terminal shows them,
// nothing anywhere else. It decides on looks only and writes nothing.

/** What a piece of text is. */
export type Role =
  | 'plain'
  | 'time'
  | 'sender'
  | 'subject'
  | 'key'
  | 'string'
  | 'number'
  | 'literal'
  | 'note'
  | 'title';

/** Gives a piece of text its look. The text must be safe already. */
export type Paint = (role: Role, text: string) => string;

/** Select Graphic Rendition: how a role begins and ends. The basic colours, which every theme has. */
const CODES: Readonly<Record<Role, readonly [begin: number, end: number] | undefined>> = {
  plain: undefined,
  time: [2, 22],
  sender: [36, 39],
  subject: [33, 39],
  key: [34, 39],
  string: [32, 39],
  number: [35, 39],
  literal: [35, 39],
  note: [2, 22],
  title: [1, 22],
};

/** No looks at all. */
export const unpainted: Paint = (_role, text) => text;

/** Looks for a terminal. */
export const painted: Paint = (role, text) => {
  const codes = CODES[role];
  return codes === undefined ? text : `\u001b[${codes[0]}m${text}\u001b[${codes[1]}m`;
};

/** What of an output stream tells whether it shows colours. */
export interface ColourTarget {
  readonly isTTY?: boolean | undefined;
  hasColors?(): boolean;
}

/** Looks for where the output goes: a terminal with colours, unless NO_COLOR is set. */
export function paintFor(target: ColourTarget, environment: NodeJS.ProcessEnv): Paint {
  const { NO_COLOR: refused } = environment;
  if (target.isTTY !== true || (refused !== undefined && refused !== '')) return unpainted;
  return target.hasColors?.() === true ? painted : unpainted;
}
