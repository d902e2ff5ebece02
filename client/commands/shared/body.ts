// What a body is, found out from its bytes: nobody says, so this guesses, one
// frame at a time: text, JSON, a MessagePack value, or bytes that are none of
// these. It shows nothing.
import { isUtf8 } from 'node:buffer';
import { Decoder } from '@msgpack/msgpack';
import { isShallowJson } from './json-text.js';
import { isShallow } from './msgpack-depth.js';
import { countControls } from './safe-text.js';

/** One frame of a body. `json` is a text that is a JSON object or list. */
export type FrameView =
  | { readonly kind: 'text' | 'json'; readonly text: string }
  | { readonly kind: 'msgpack'; readonly value: unknown }
  | { readonly kind: 'binary' };

const BINARY: FrameView = { kind: 'binary' };

/** What is nested deeper is not decoded: it would take more memory and stack than anyone has. */
const DEPTH_MAX = 100;

/** Texts with more control characters than one in this many are not taken for texts. */
const CONTROLS_SHARE = 4;

/** MessagePack's first octets of strings and bytes that could begin a UTF-8 text too. */
const LONG_FORMS: readonly number[] = [0xc4, 0xc5, 0xc6, 0xd9, 0xda, 0xdb];

/** Finds out what a frame is. */
export function viewOf(frame: Buffer): FrameView {
  const text = readText(frame);
  if (text !== undefined && !LONG_FORMS.includes(frame[0] ?? 0)) return textView(text);
  const value = readValue(frame);
  if (value !== undefined) return { kind: 'msgpack', value: value.decoded };
  return text === undefined ? BINARY : textView(text);
}

function textView(text: string): FrameView {
  return { kind: isJsonDocument(text) ? 'json' : 'text', text };
}

/** The frame as text, if it can be one. */
function readText(frame: Buffer): string | undefined {
  if (!isUtf8(frame)) return undefined;
  const text = frame.toString('utf8');
  return countControls(text) * CONTROLS_SHARE > text.length ? undefined : text;
}

/** The frame as one MessagePack value from its first octet to its last. */
function readValue(frame: Buffer): { readonly decoded: unknown } | undefined {
  if (!isShallow(frame, DEPTH_MAX)) return undefined;
  const lengths = { maxArrayLength: frame.length, maxMapLength: frame.length };
  try {
    return { decoded: new Decoder({ useBigInt64: true, ...lengths }).decode(frame) };
  } catch {
    return undefined;
  }
}

/** Objects and lists only: a bare word or number is no more JSON than text. */
function isJsonDocument(text: string): boolean {
  if (!/^\s*[{[]/.test(text) || !isShallowJson(text, DEPTH_MAX)) return false;
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
