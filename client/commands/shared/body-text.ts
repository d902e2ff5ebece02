// A body as people read it (one line, or text as it is) and as programs do
// (JSON). What the bytes are is found out elsewhere; here it is put in words.
import { viewOf, type FrameView } from './body.js';
import { addJson, compactJson, jsonOf } from './json-text.js';
import type { Line } from './line.js';
import { count } from './units.js';

/** Octets of a binary body that are shown. */
const HEX_BYTES_MAX = 24;

/** Adds a body to a line: its frames, each as what it is. */
export function addBody(line: Line, content: readonly Buffer[]): void {
  if (content.length === 0) line.add('note', '(no body)');
  if (content.length > 1) line.add('note', `(${content.length} frames) `);
  content.forEach((frame, at) => {
    if (line.isCut) return;
    if (at > 0) line.add('note', ' | ');
    addFrame(line, frame);
  });
}

function addFrame(line: Line, frame: Buffer): void {
  const view = viewOf(frame);
  switch (view.kind) {
    case 'text':
      if (view.text === '') line.add('note', '(empty)');
      else line.add('plain', view.text);
      break;
    case 'json':
      addJson(line, view.text);
      break;
    case 'msgpack':
      addJson(line, jsonOf(view.value, bytesInWords));
      break;
    case 'binary':
      line.add('note', hexOf(frame));
  }
}

/** `(3 bytes) 89 50 4e` */
function hexOf(bytes: Uint8Array): string {
  const shown = Buffer.from(bytes.subarray(0, HEX_BYTES_MAX)).toString('hex');
  const rest = bytes.length > HEX_BYTES_MAX ? ' …' : '';
  return `(${count(bytes.length, 'byte')}) ${shown.replace(/..(?!$)/g, '$& ')}${rest}`;
}

function bytesInWords(bytes: Uint8Array): string {
  return JSON.stringify(hexOf(bytes));
}

function bytesAsBase64(bytes: Uint8Array): string {
  return `{"base64":"${Buffer.from(bytes).toString('base64')}"}`;
}

/**
 * A body as two fields of a JSON object, without its braces.
 *
 * | body | `encoding` | `body` |
 * | --- | --- | --- |
 * | no frame | `none` | null |
 * | a JSON object or list | `json` | that |
 * | other text | `text` | a string |
 * | MessagePack | `msgpack` | the value; bytes in it as `{"base64": …}` |
 * | other bytes | `base64` | a string |
 * | several frames | `frames` | a list of objects with `encoding` and `body` |
 */
export function bodyFields(content: readonly Buffer[]): string {
  const [frame] = content;
  if (frame === undefined) return '"encoding":"none","body":null';
  if (content.length === 1) return frameFields(frame);
  const frames = content.map((each) => `{${frameFields(each)}}`);
  return `"encoding":"frames","body":[${frames.join(',')}]`;
}

function frameFields(frame: Buffer): string {
  const view = viewOf(frame);
  const encoding = view.kind === 'binary' ? 'base64' : view.kind;
  return `"encoding":"${encoding}","body":${frameJson(view, frame)}`;
}

function frameJson(view: FrameView, frame: Buffer): string {
  switch (view.kind) {
    case 'text':
      return JSON.stringify(view.text);
    case 'json':
      return compactJson(view.text);
    case 'msgpack':
      return jsonOf(view.value, bytesAsBase64);
    case 'binary':
      return JSON.stringify(frame.toString('base64'));
  }
}

/**
 * A body byte for byte. One that is text gets an end of line where it has none,
 * so that a stream of texts stays a text; other bytes are left alone.
 */
export function rawBody(content: readonly Buffer[]): Buffer {
  const bytes = content.length === 1 ? (content[0] as Buffer) : Buffer.concat(content);
  const view = viewOf(bytes);
  const isText = view.kind === 'text' || view.kind === 'json';
  return isText && !view.text.endsWith('\n') ? Buffer.concat([bytes, Buffer.from('\n')]) : bytes;
}
