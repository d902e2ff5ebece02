// Files in a run: what an expression sees of one (its name and size), and where
// its octets lie, which are fetched only when somebody needs them. A worker cannot
// make up such a thing in its reply: what counts is the class, not the fields.

/** The stream of files that runs are given; the subject is RUN/INPUT. */
export const FILES_STREAM = 'pipelines.files';
/** The broker's stream of what happens to jobs; the subject is SERVICE/JOB. */
export const JOBS_STREAM = '$jobs';

/** Where the octets of a file lie: in a message of a stream. */
export interface FileAt {
  readonly stream: typeof FILES_STREAM | typeof JOBS_STREAM;
  readonly sequence: number;
  /** The frame of the message's content, from 0. */
  readonly frame: number;
  /** Where the frame is a MessagePack value: the way to the octets in it. */
  readonly path?: readonly (string | number)[] | undefined;
}

/** A file. Expressions may read `name` and `bytes`, and hand the whole on. */
export class FileValue {
  /** Its name, where it came with one. */
  readonly name: string;
  readonly bytes: number;
  readonly #at: FileAt;

  constructor(name: string, bytes: number, at: FileAt) {
    this.name = name;
    this.bytes = bytes;
    this.#at = at;
  }

  /** Where its octets lie. */
  static at(file: FileValue): FileAt {
    return file.#at;
  }
}

/** Puts something in the place of each file of a value; the rest is copied as plain JSON. */
export function mapFiles(
  value: unknown,
  replace: (file: FileValue, path: readonly (string | number)[]) => unknown,
  path: readonly (string | number)[] = [],
): unknown {
  if (value instanceof FileValue) return replace(value, path);
  if (Array.isArray(value)) {
    return value.map((item, at) => mapFiles(item, replace, [...path, at]));
  }
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).map(
    ([key, item]) => [key, mapFiles(item, replace, [...path, key])] as const,
  );
  return Object.fromEntries(entries);
}
