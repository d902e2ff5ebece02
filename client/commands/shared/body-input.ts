// The body that a command is to send: from its argument, or from standard
// input. It makes sure that what it gives is whole, or fails; it sends nothing.
import { fstatSync } from 'node:fs';
import type { Readable } from 'node:stream';
import type { Options } from 'yargs';
import { MlmError } from '../../index.js';
import { CommandError, usageError } from './failure.js';
import { size } from './units.js';

/** The most that a broker takes by default. */
const BODY_BYTES_MAX = 256 * 1024 * 1024;
const STANDARD_INPUT = 0;

export interface BodyArguments {
  readonly body?: string;
  readonly json?: boolean;
}

/** What the positional argument `body` is. */
export const BODY =
  'the body as text; - or, in a pipe, nothing reads it from standard input, byte for byte';

/** The option for a body that is a value. */
export const JSON_BODY: Options = {
  type: 'boolean',
  describe: 'the body is JSON: send the value as MessagePack, which the SDK reads with value()',
};

/**
 * The body to send, as the SDK takes it: bytes, a value, or undefined for none.
 *
 * @throws {CommandError} where standard input cannot be read, is too long, or is not JSON
 * @throws {MlmError} ABORTED
 */
export async function readBody(
  { body, json = false }: BodyArguments,
  signal: AbortSignal,
  input: Readable = process.stdin,
): Promise<unknown> {
  const bytes = await readBytes(body, signal, input);
  if (!json) return bytes;
  if (bytes === undefined) throw usageError('--json: there is no body');
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch (cause) {
    throw usageError(`--json: the body is not JSON: ${(cause as Error).message}`);
  }
}

async function readBytes(
  body: string | undefined,
  signal: AbortSignal,
  input: Readable,
): Promise<Buffer | undefined> {
  if (body !== undefined && body !== '-') return Buffer.from(body);
  const standard = standardInput();
  if (standard === 'directory') {
    throw new CommandError('cannot read standard input: it is a directory');
  }
  if (body === undefined && standard !== 'piped') return undefined;
  return readAll(input, signal);
}

/**
 * What standard input is: `piped` where it holds something (a pipe, a socket or
 * a file), `none` where it does not (a terminal, /dev/null). A directory would
 * read as if it were empty.
 */
function standardInput(): 'piped' | 'directory' | 'none' {
  try {
    const input = fstatSync(STANDARD_INPUT);
    if (input.isDirectory()) return 'directory';
    return input.isFIFO() || input.isSocket() || input.isFile() ? 'piped' : 'none';
  } catch {
    return 'none';
  }
}

/** Reads a stream to its end. */
export async function readAll(input: Readable, signal: AbortSignal): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  const stop = (): void => void input.destroy();
  signal.addEventListener('abort', stop);
  try {
    for await (const chunk of input as AsyncIterable<Buffer>) {
      chunks.push(chunk);
      bytes += chunk.length;
      if (bytes > BODY_BYTES_MAX) {
        throw new CommandError(
          `standard input is longer than ${size(BODY_BYTES_MAX)}: too long for one message`,
        );
      }
    }
  } catch (cause) {
    if (signal.aborted) throw new MlmError('ABORTED', 'reading was aborted', { cause });
    if (cause instanceof CommandError) throw cause;
    throw new CommandError(
      `cannot read standard input: ${(cause as Error).message}`,
      undefined,
      cause,
    );
  } finally {
    signal.removeEventListener('abort', stop);
  }
  return Buffer.concat(chunks, bytes);
}
