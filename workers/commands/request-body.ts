// The body of a request as a command wants it: as text, as JSON, as bytes, or
// taken apart into fields. Values come as MessagePack or as JSON; the first
// octets tell which: to MessagePack, those that JSON begins with are numbers of
// one octet, which nothing can follow. It writes nothing.
import { isUtf8 } from 'node:buffer';
import { decodeValue } from '../../client/value.js';
import type { Body } from '../job.js';
import { badInput, messageOf } from './failure.js';

/** How a JSON object or list begins, in the first octets of a frame. */
const JSON_START = /^[ \t\r\n]*[{[]/;
const START_BYTES = 64;

/** No value: the frame is something else, or there is none. */
const NOTHING = Symbol('nothing');

export class RequestBody {
  readonly #body: Pick<Body, 'content'>;
  #value: unknown = NOTHING;
  #decoded = false;

  constructor(body: Pick<Body, 'content'>) {
    this.#body = body;
  }

  /**
   * A field of the value that the first frame holds: `['voice', 'name']`, or an item of a
   * list by its number.
   *
   * @returns undefined where there is none
   */
  field(path: readonly string[]): unknown {
    let value = this.#decode();
    for (const key of path) {
      if (typeof value !== 'object' || value === null || value instanceof Uint8Array) {
        return undefined;
      }
      value = Object.hasOwn(value, key) ? (value as Record<string, unknown>)[key] : undefined;
    }
    return value === NOTHING ? undefined : value;
  }

  /** How many frames there are. */
  get frames(): number {
    return this.#body.content.length;
  }

  /** One of the frames, counted from 0; undefined where there are fewer. It is not a copy. */
  frame(at: number): Buffer | undefined {
    return this.#body.content[at];
  }

  /** The first frame, as a body of its own. */
  first(): RequestBody {
    const content = this.#body.content.slice(0, 1);
    return new RequestBody({ content });
  }

  /** The body as it came; empty where there is none. @throws {JobError} where there are several frames */
  bytes(): Buffer {
    return this.#onlyFrame('bytes') ?? Buffer.alloc(0);
  }

  /**
   * The body as text: a MessagePack string, or a frame of UTF-8.
   *
   * @throws {JobError} bad-input where it is something else
   */
  text(): string {
    const frame = this.#onlyFrame('text');
    if (frame === undefined) return '';
    const value = this.#decode();
    if (typeof value === 'string') return value;
    if (!isUtf8(frame)) throw badInput('the body is not text');
    return frame.toString('utf8');
  }

  /**
   * The body as JSON. Bytes in it become `{"base64": "…"}`; no body becomes `null`.
   *
   * @throws {JobError} bad-input where it is no value
   */
  json(): string {
    const frame = this.#onlyFrame('a value');
    if (frame === undefined) return 'null';
    const value = this.#decode();
    if (value === NOTHING) throw badInput('the body is neither JSON nor a MessagePack value');
    return toJson(value);
  }

  #onlyFrame(as: string): Buffer | undefined {
    if (this.frames > 1) throw badInput(`the body is not ${as} but ${this.frames} frames`);
    return this.#body.content[0];
  }

  #decode(): unknown {
    if (!this.#decoded) {
      this.#value = decodeFrame(this.#body.content[0]);
      this.#decoded = true;
    }
    return this.#value;
  }
}

function decodeFrame(frame: Buffer | undefined): unknown {
  if (frame === undefined) return NOTHING;
  try {
    const isJson = frame.length > 1 && JSON_START.test(frame.toString('latin1', 0, START_BYTES));
    if (!isJson) return decodeValue([frame]);
    return isUtf8(frame) ? JSON.parse(frame.toString('utf8')) : NOTHING;
  } catch {
    return NOTHING;
  }
}

/**
 * A value as JSON.
 *
 * @param bytesAs what bytes in it become. Default: `{"base64": "…"}`
 * @throws {JobError} bad-input where JSON cannot hold it
 */
export function toJson(value: unknown, bytesAs: (bytes: Uint8Array) => unknown = asBase64): string {
  // JSON.stringify has asked a Buffer for its own idea of JSON before it asks here.
  const replace = function (this: unknown, key: string, given: unknown): unknown {
    const held = (this as Record<string, unknown>)[key];
    return held instanceof Uint8Array ? bytesAs(held) : given;
  };
  try {
    return JSON.stringify(value, replace);
  } catch (cause) {
    throw badInput(`the body does not fit JSON: ${messageOf(cause)}`, cause);
  }
}

function asBase64({ buffer, byteOffset, byteLength }: Uint8Array): unknown {
  return { base64: Buffer.from(buffer, byteOffset, byteLength).toString('base64') };
}
