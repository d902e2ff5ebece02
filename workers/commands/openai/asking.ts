// What a request says to a model: the parameters of the API, from the body of
// the request and the configuration. It asks nobody.
import { badInput, failure } from '../failure.js';
import type { RequestBody } from '../request-body.js';
import type { ModelSpec } from './model.js';

export type Parameters = Readonly<Record<string, unknown>>;

/**
 * The parameters of a request: those of the configuration, then those of the body, which is a
 * map of them, or a text that is the one named here. `null` takes one away.
 *
 * @param main the parameter that a text is
 * @param defaults what is asked for where nobody says otherwise
 * @throws {JobError} bad-input where the body is something else
 */
export function parametersOf(
  { model, parameters }: ModelSpec,
  body: RequestBody,
  main: string,
  defaults: Parameters = {},
): Parameters {
  const given: Parameters = { ...defaults, ...parameters, ...fieldsOf(body, main), model };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== null));
}

function fieldsOf(body: RequestBody, main: string): Parameters {
  const value = body.field([]);
  if (isMap(value)) return value;
  const frame = body.frame(0);
  if (frame === undefined) throw badInput(`the body is empty: send a text, or a map with ${main}`);
  return { [main]: typeof value === 'string' ? value : textOf(body, main) };
}

function isMap(value: unknown): value is Parameters {
  if (typeof value !== 'object' || value === null) return false;
  return !Array.isArray(value) && !ArrayBuffer.isView(value);
}

function textOf(body: RequestBody, main: string): string {
  if (body.frames > 1) throw badInput(`the first frame must be a map with ${main}`);
  return body.text();
}

/** The parameters of a chat, with the pictures of the request where a server expects them. */
export function chatParameters(spec: ModelSpec, body: RequestBody): Parameters {
  const { prompt, system, pictures, ...given } = parametersOf(spec, firstOf(body), 'prompt');
  const { n, messages } = given;
  if (n !== undefined && n !== 1) throw badInput('n: a request has one answer');
  if (messages !== undefined && !Array.isArray(messages)) {
    throw badInput('messages must be a list');
  }
  if (prompt === undefined && messages === undefined) {
    throw badInput('the body has neither prompt nor messages');
  }
  const shown = [...picturesIn(pictures), ...framesAfterFirst(body)].map(pictureUrl);
  const all: readonly unknown[] = [
    ...(system === undefined ? [] : [{ role: 'system', content: system }]),
    ...((messages as readonly unknown[] | undefined) ?? []),
    ...(prompt === undefined ? [] : [{ role: 'user', content: prompt }]),
  ];
  return { ...given, messages: withPictures(all, shown), stream: true };
}

/** The first frame alone says what is asked; those after it are pictures. */
function firstOf(body: RequestBody): RequestBody {
  return body.frames > 1 ? body.first() : body;
}

function framesAfterFirst(body: RequestBody): Buffer[] {
  const frames: Buffer[] = [];
  for (let at = 1; at < body.frames; at++) frames.push(body.frame(at) as Buffer);
  return frames;
}

function picturesIn(value: unknown): Uint8Array[] {
  const list: readonly unknown[] = Array.isArray(value) ? value : [value];
  return list.flatMap((picture) => {
    if (picture === undefined) return [];
    if (picture instanceof Uint8Array) return [picture];
    throw badInput('pictures must be bytes');
  });
}

/** Puts pictures into the last message. */
function withPictures(messages: readonly unknown[], urls: readonly string[]): readonly unknown[] {
  if (urls.length === 0) return messages;
  const last = messages.at(-1) as { content?: unknown } | undefined;
  const content = last?.content;
  const parts: readonly unknown[] = Array.isArray(content)
    ? content
    : [{ type: 'text', text: content }];
  const pictures = urls.map((url) => ({ type: 'image_url', image_url: { url } }));
  return [...messages.slice(0, -1), { ...last, content: [...parts, ...pictures] }];
}

function pictureUrl(picture: Uint8Array): string {
  const bytes = Buffer.from(picture.buffer, picture.byteOffset, picture.byteLength);
  const type = pictureType(bytes);
  if (type === undefined) throw badInput('a picture must be PNG, JPEG, GIF or WebP');
  return `data:image/${type};base64,${bytes.toString('base64')}`;
}

/** What kind of picture the bytes are, by how they begin. */
export function pictureType(bytes: Buffer): string | undefined {
  const start = bytes.toString('latin1', 0, 12);
  if (start.startsWith('\x89PNG\r\n')) return 'png';
  if (start.startsWith('\xff\xd8\xff')) return 'jpeg';
  if (start.startsWith('GIF8')) return 'gif';
  return start.startsWith('RIFF') && start.endsWith('WEBP') ? 'webp' : undefined;
}

/** The answer of a server as a value. @throws {JobError} failed where it is none */
export function valueOf(bytes: Buffer): Parameters {
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString('utf8'));
  } catch (cause) {
    throw failure('failed', 'the server did not answer with JSON', cause);
  }
  if (typeof value === 'object' && value !== null) return value as Parameters;
  throw failure('failed', 'the server did not answer with an object');
}
