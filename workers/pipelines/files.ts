// The octets of files, fetched from the streams in which they lie; those that are
// not large are kept for a while, since many jobs may be given the same file. What
// refers to them is file-value.ts.
import type { MlmClient } from '../../client/index.js';
import { BodyError, octetsIn } from './bodies.js';
import { FileValue } from './file-value.js';

/** What is kept at most: of one file, and of all together, octets. */
const KEPT_FILE_BYTES_MAX = 16 * 1024 * 1024;
const KEPT_BYTES_MAX = 64 * 1024 * 1024;

export class Files {
  readonly #client: Pick<MlmClient, 'stream'>;
  /** By where they lie, the one that was asked for last at the end. */
  readonly #kept = new Map<string, { readonly bytes: number; readonly octets: Promise<Buffer> }>();
  #keptBytes = 0;

  constructor(client: Pick<MlmClient, 'stream'>) {
    this.#client = client;
  }

  /** @throws {BodyError} where it is not kept any more; {MlmError} where the session is lost */
  fetch(file: FileValue): Promise<Buffer> {
    const key = JSON.stringify(FileValue.at(file));
    const kept = this.#kept.get(key);
    if (kept === undefined && file.bytes > KEPT_FILE_BYTES_MAX) return this.#read(file);
    const { bytes } = file;
    this.#forget(key);
    const octets = kept?.octets ?? this.#read(file);
    this.#kept.set(key, { bytes, octets });
    this.#keptBytes += bytes;
    octets.catch(() => this.#forget(key));
    for (const oldest of this.#kept.keys()) {
      if (this.#keptBytes <= KEPT_BYTES_MAX) break;
      this.#forget(oldest);
    }
    return octets;
  }

  #forget(key: string): void {
    this.#keptBytes -= this.#kept.get(key)?.bytes ?? 0;
    this.#kept.delete(key);
  }

  async #read(file: FileValue): Promise<Buffer> {
    const { stream, sequence } = FileValue.at(file);
    const gone = new AbortController();
    const reader = this.#client.stream(stream).read({
      from: { sequence },
      own: true,
      credit: 1,
      signal: gone.signal,
      onGap: () => gone.abort(),
    });
    for await (const message of reader) {
      if (message.sequence !== sequence) break;
      return octetsIn(message.content, file);
    }
    const what = file.name === '' ? 'a file' : `the file "${file.name}"`;
    throw new BodyError(`${what} is not kept any more: the stream "${stream}" has dropped it`);
  }
}
