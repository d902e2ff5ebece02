// Text from strangers, made harmless for a terminal and kept on one line. Every
// character that moves the cursor, changes colours, hides or reorders what
// stands around it is written as an escape; all others stay as they are.

/**
 * Control characters, line and paragraph separators, lone surrogates, and the
 * invisible format characters (directions, tags, byte order marks); but not the
 * joiners that scripts and emoji need.
 */
const UNSAFE = /(?![\u200c\u200d])[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

const SHORT: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/** A stretch of text: as it came, or the escape for one character that must not be shown. */
export interface TextPart {
  readonly text: string;
  readonly escaped: boolean;
}

/** Cuts a text into what can be shown and escapes for what cannot. @param keep characters to leave alone */
export function* safeParts(text: string, keep = ''): Generator<TextPart> {
  let shown = 0;
  for (const match of text.matchAll(UNSAFE)) {
    const [character] = match;
    if (keep.includes(character)) continue;
    if (match.index > shown) yield { text: text.slice(shown, match.index), escaped: false };
    yield { text: escapeOf(character), escaped: true };
    shown = match.index + character.length;
  }
  if (shown < text.length) yield { text: shown === 0 ? text : text.slice(shown), escaped: false };
}

/** The text with an escape in the place of each unsafe character: `\n`, `\x1b`, `\u{202e}`. */
export function safeText(text: string, keep = ''): string {
  return text.replace(UNSAFE, (character) =>
    keep.includes(character) ? character : escapeOf(character),
  );
}

/**
 * A JSON document whose unsafe characters are escaped as JSON does it: the same
 * document. But for ends of lines between its parts, which stay, they can stand
 * in its strings only.
 */
export function safeJson(json: string): string {
  return json.replace(UNSAFE, (character) => {
    if (character === '\n') return character;
    let escape = '';
    for (let at = 0; at < character.length; at++) {
      escape += `\\u${character.charCodeAt(at).toString(16).padStart(4, '0')}`;
    }
    return escape;
  });
}

/** How many control characters a text has that are neither tab nor the end of a line. */
export function countControls(text: string): number {
  let count = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if ((code < 0x20 && code !== 0x09 && code !== 0x0a && code !== 0x0d) || code === 0x7f) count++;
  }
  return count;
}

function escapeOf(character: string): string {
  const short = SHORT[character];
  if (short !== undefined) return short;
  const hex = (character.codePointAt(0) as number).toString(16);
  return hex.length <= 2 ? `\\x${hex.padStart(2, '0')}` : `\\u{${hex}}`;
}
