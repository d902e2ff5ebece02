// A server that speaks the OpenAI API: posts requests to it, and turns what it
// refuses into failures of the classes that the broker knows. What is asked, and
// what the answers mean, is not known here.
import { setTimeout as pause } from 'node:timers/promises';
import { failure, messageOf, systemCodeOf, type FailureClass } from '../failure.js';
import type { WorkerLog } from '../../log.js';

/** Octets of a refusal that are read, and characters of it that are told. */
const REFUSAL_BYTES_MAX = 64 * 1024;
const REFUSAL_CHARACTERS_MAX = 2000;
/** A server that wants to be left alone for longer is asked again all the same, ms. */
const RETRY_AFTER_MS_MAX = 300_000;

/** One request to a server. */
export interface Asked {
  readonly path: string;
  readonly key: string | undefined;
  readonly body: Readonly<Record<string, unknown>>;
  readonly signal: AbortSignal;
  readonly log: WorkerLog;
}

export class ModelServer {
  readonly #url: string;
  /** Until when the server wants to be left alone, ms since 1970. */
  #busyUntilMs = 0;

  /** @param url without a slash at the end */
  constructor(url: string) {
    this.#url = url;
  }

  /**
   * Posts a request, once the server wants to be asked again.
   *
   * @returns the answer, whose body is yet to be read
   * @throws {JobError} of the class that the server's refusal, or its silence, has
   */
  async post({ path, key, body, signal, log }: Asked): Promise<Response> {
    const waitMs = this.#busyUntilMs - Date.now();
    if (waitMs > 0) await pause(waitMs, undefined, { signal });
    let response: Response;
    // A server that is silent for five minutes, before its answer or within it, `fetch` itself gives up.
    try {
      response = await fetch(`${this.#url}${path}`, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          ...(key !== undefined && { authorization: `Bearer ${key}` }),
        },
        body: JSON.stringify(body),
        signal,
      });
    } catch (cause) {
      throw unreachable(this.#url, cause);
    }
    if (response.ok) return response;
    throw await this.#refusal(response, log);
  }

  async #refusal(response: Response, log: WorkerLog): Promise<Error> {
    const { status } = response;
    const said = await readStart(response);
    const name = classOf(status, said);
    const message = `the server at ${this.#url} refused with status ${status}: ${said}`;
    // Nobody but the owner of the server, or of the key, can do something about it.
    if (name === 'not-ready') log.error(message);
    const waitMs = retryAfterMs(response.headers.get('retry-after'));
    if (waitMs === undefined) return failure(name, message);
    this.#busyUntilMs = Math.max(this.#busyUntilMs, Date.now() + waitMs);
    return failure(name, `${message} (it wants to be asked again after ${waitMs} ms)`);
  }
}

/**
 * Asks a server whether it is there.
 *
 * @returns why it will not do; undefined where it answers
 */
export async function serverProblem(
  url: string,
  key: string | undefined,
  signal: AbortSignal,
): Promise<string | undefined> {
  const headers = key === undefined ? {} : { authorization: `Bearer ${key}` };
  try {
    const response = await fetch(`${url}/models`, { headers, signal });
    await response.body?.cancel();
    // Not every server has a list of its models.
    if (response.status !== 401 && response.status !== 403) return undefined;
    return `the server at ${url} refuses the key (status ${response.status})`;
  } catch (error) {
    return unreachable(url, error).message;
  }
}

const CLASS_OF_STATUS: Readonly<Record<number, FailureClass>> = {
  400: 'bad-input',
  401: 'not-ready',
  403: 'not-ready',
  404: 'not-ready',
  405: 'not-ready',
  408: 'transient',
  413: 'bad-input',
  415: 'bad-input',
  422: 'bad-input',
  425: 'transient',
  429: 'transient',
  501: 'not-ready',
};

function classOf(status: number, said: string): FailureClass {
  const known = CLASS_OF_STATUS[status];
  if (known !== undefined) return known;
  if (status < 500) return 'failed';
  return /out of memory/i.test(said) ? 'out-of-memory' : 'transient';
}

/** A `Retry-After`: seconds, or a date. */
export function retryAfterMs(header: string | null): number | undefined {
  if (header === null) return undefined;
  const ms = /^\s*\d+(\.\d+)?\s*$/.test(header)
    ? Number(header) * 1000
    : Date.parse(header) - Date.now();
  return Number.isNaN(ms) ? undefined : Math.min(Math.max(Math.ceil(ms), 0), RETRY_AFTER_MS_MAX);
}

/** What a refusal says, wherever the server has put it. */
async function readStart(response: Response): Promise<string> {
  const bytes = await readAll(response, REFUSAL_BYTES_MAX).catch(() => Buffer.alloc(0));
  const text = bytes.toString('utf8');
  return (messageIn(text) ?? text).trim().slice(0, REFUSAL_CHARACTERS_MAX) || response.statusText;
}

function messageIn(text: string): string | undefined {
  try {
    return messageOfValue(JSON.parse(text));
  } catch {
    return undefined;
  }
}

/** `{"error": {"message": …}}`, `{"error": …}`, `{"detail": …}` or `{"message": …}`. */
export function messageOfValue(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  if (typeof value !== 'object' || value === null) return undefined;
  const { error, message, detail } = value as Record<string, unknown>;
  const found = error ?? message ?? detail;
  if (typeof found === 'string' || found === undefined) return found;
  return messageOfValue(found) ?? JSON.stringify(found);
}

/** Codes that say that there is no server, rather than one in trouble. */
const NOBODY_THERE: readonly string[] = [
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
];

/** Why a server could not be asked, or did not answer to the end. */
function unreachable(url: string, thrown: unknown): Error {
  const { cause = thrown } = thrown as { cause?: unknown };
  const code = systemCodeOf(cause);
  if (NOBODY_THERE.includes(code)) {
    return failure('not-ready', `there is no server at ${url} (${code})`, thrown);
  }
  const why = messageOf(cause) || code;
  return failure('transient', `the server at ${url} did not answer to the end: ${why}`, thrown);
}

/**
 * Reads an answer.
 *
 * @throws {JobError} `failed` where it is larger than `bytesMax`, `transient` where it ends too early
 */
export async function readAll(response: Response, bytesMax: number): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of chunksOf(response, bytesMax)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** The chunks of an answer as they come; see `readAll`. */
export async function* chunksOf(response: Response, bytesMax: number): AsyncGenerator<Uint8Array> {
  const { body, url } = response;
  if (body === null) return;
  const reader = (body as ReadableStream<Uint8Array>).getReader();
  let bytes = 0;
  try {
    for (;;) {
      const { value: chunk } = await reader.read().catch((cause: unknown) => {
        throw unreachable(url, cause);
      });
      if (chunk === undefined) return;
      bytes += chunk.length;
      if (bytes > bytesMax) {
        throw failure('failed', `the server answers more than the ${bytesMax} octets it may`);
      }
      yield chunk;
    }
  } finally {
    // Whoever stops reading early wants no more of it.
    await reader.cancel().catch(() => undefined);
  }
}
