// The data directory: who may use it, and whether it is one at all. One broker
// at a time: it holds a socket in the directory for as long as it lives, which
// the operating system takes away with the process, however that ends.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { createHash } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

/** The version of everything that is written into a data directory. */
export const FORMAT = 1;
const MARKER = 'malamute.json';
const LOCK = 'broker.lock';
const SOCKET_PATH_MAX = 100;

/** A data directory that cannot be used; the message says why and what to do. */
export class DataDirectoryError extends Error {
  override readonly name = 'DataDirectoryError';
}

export class DataDirectory {
  readonly path: string;
  readonly #lock: Server;

  private constructor(path: string, lock: Server) {
    this.path = path;
    this.#lock = lock;
  }

  /**
   * Takes a data directory, making it where there is none.
   *
   * @throws {DataDirectoryError} where it is another program's, of another
   *   format, in use, or not to be written to
   */
  static async take(path: string): Promise<DataDirectory> {
    const full = resolve(path);
    try {
      mkdirSync(full, { recursive: true });
    } catch (cause) {
      throw new DataDirectoryError(`cannot make the data directory: ${(cause as Error).message}`, {
        cause,
      });
    }
    const lock = await takeLock(full);
    try {
      checkFormat(full);
    } catch (error) {
      lock.close();
      throw error;
    }
    return new DataDirectory(full, lock);
  }

  /** Where a file of the directory lies. */
  file(name: string): string {
    return join(this.path, name);
  }

  async release(): Promise<void> {
    await new Promise<void>((done) => this.#lock.close(() => done()));
  }
}

function checkFormat(path: string): void {
  const marker = join(path, MARKER);
  if (!existsSync(marker)) {
    const others = readdirSync(path).filter((name) => name !== LOCK);
    if (others.length > 0) {
      throw new DataDirectoryError(
        `${path} is not a data directory of this broker (it holds ${others[0] ?? ''}); choose an empty one`,
      );
    }
    writeFileSync(marker, `${JSON.stringify({ format: FORMAT })}\n`);
    return;
  }
  const format = readFormat(marker);
  if (format === FORMAT) return;
  throw new DataDirectoryError(
    `${path} has format ${format ?? 'unknown'}, this broker reads format ${FORMAT}; ` +
      'run the version that wrote it, or choose another directory',
  );
}

function readFormat(marker: string): number | undefined {
  try {
    const { format } = JSON.parse(readFileSync(marker, 'utf8')) as { format?: unknown };
    return typeof format === 'number' ? format : undefined;
  } catch {
    return undefined;
  }
}

async function takeLock(path: string): Promise<Server> {
  const socket = lockPath(path);
  if (await isAlive(socket)) {
    throw new DataDirectoryError(
      `${path} is in use by another broker; stop that one, or choose another directory`,
    );
  }
  rmSync(socket, { force: true });
  const server = createServer((peer) => peer.destroy());
  await new Promise<void>((done, fail) => {
    server.once('error', (cause) => {
      const message = `cannot lock the data directory ${path}: ${cause.message}`;
      fail(new DataDirectoryError(message, { cause }));
    });
    server.listen(socket, done);
  });
  server.unref();
  return server;
}

/** A socket's path is short; a directory that lies deep is locked from elsewhere. */
function lockPath(path: string): string {
  const inside = join(path, LOCK);
  if (inside.length <= SOCKET_PATH_MAX) return inside;
  const name = createHash('sha256').update(path).digest('hex').slice(0, 24);
  return join(tmpdir(), `malamute-${name}.lock`);
}

function isAlive(socket: string): Promise<boolean> {
  return new Promise((answer) => {
    const probe = connect(socket);
    probe.once('connect', () => {
      probe.destroy();
      answer(true);
    });
    probe.once('error', () => answer(false));
  });
}
