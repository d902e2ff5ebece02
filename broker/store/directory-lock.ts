// Who may use a data directory: one broker at a time. Each that wants it listens
// on a socket of its own in the directory, which the operating system silences
// with the process, however that ends, and asks all other sockets there who they
// are. It makes nothing else in the directory and reads nothing else.
//
// A socket says one line to who connects: `holding ID`, or `asking ID` while its
// broker is still looking around. Of two that ask at the same moment the one with
// the smaller id goes on; it waits until the other is gone.
import { randomBytes } from 'node:crypto';
import { readdirSync, renameSync, rmSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

const SUFFIX = '.lock';
/** While it does not listen yet, so that no other takes it for a dead one. */
const UNBORN = '.lock-new';
/** Another broker that says nothing for so long, stopped or busy, holds the directory. */
const ANSWER_MS = 3000;
/** Where this process stood still for so long, it takes what came meanwhile first, ms. */
const LOOK_MS = 50;
const ASK_AGAIN_MS = 10;
const ASK_TIMES_MAX = 300;
/** Behind every id. */
const LAST = '~';

/** Octets of the longest name of a file of a lock. */
export const LOCK_NAME_BYTES = 32;

/** Whether a file of a directory belongs to its lock. */
export function isOfLock(name: string): boolean {
  return name.endsWith(SUFFIX) || name.endsWith(UNBORN);
}

type State = 'asking' | 'holding';

/** A broker that lives. */
interface Other {
  readonly state: State;
  readonly id: string;
}

export class DirectoryLock {
  readonly #folder: string;
  readonly #id = randomBytes(8).toString('hex');
  readonly #server: Server;
  #state: State = 'asking';

  private constructor(folder: string) {
    this.#folder = folder;
    this.#server = createServer((peer) => {
      peer.on('error', () => undefined);
      peer.end(`${this.#state} ${this.#id}\n`);
    });
  }

  /**
   * Takes the lock of a directory.
   *
   * @returns undefined where another broker has it
   * @throws {Error} where no socket can be made in it
   */
  static async take(folder: string): Promise<DirectoryLock | undefined> {
    const lock = new DirectoryLock(folder);
    await lock.#listen();
    if (await lock.#prevails()) return lock;
    await lock.release();
    return undefined;
  }

  /** Gives it back. */
  async release(): Promise<void> {
    rmSync(this.#file(SUFFIX), { force: true });
    await new Promise<void>((done) => this.#server.close(() => done()));
  }

  #file(suffix: string): string {
    return join(this.#folder, `broker-${this.#id}${suffix}`);
  }

  async #listen(): Promise<void> {
    await new Promise<void>((done, fail) => {
      this.#server.once('error', fail);
      this.#server.listen(this.#file(UNBORN), done);
    });
    this.#server.unref();
    renameSync(this.#file(UNBORN), this.#file(SUFFIX));
  }

  async #prevails(): Promise<boolean> {
    for (let times = 0; times < ASK_TIMES_MAX; times++) {
      const others = await this.#others();
      if (others.length === 0) {
        this.#state = 'holding';
        return true;
      }
      if (others.some(({ state, id }) => state === 'holding' || id < this.#id)) break;
      await pause(ASK_AGAIN_MS);
    }
    return false;
  }

  /** The other brokers; what dead ones left behind is removed. */
  async #others(): Promise<Other[]> {
    const mine = this.#file(SUFFIX);
    const files = readdirSync(this.#folder)
      .filter((name) => name.endsWith(SUFFIX))
      .map((name) => join(this.#folder, name))
      .filter((file) => file !== mine);
    const answers = await Promise.all(files.map(ask));
    for (const [at, file] of files.entries()) {
      if (answers[at] === undefined) rmSync(file, { force: true });
    }
    return answers.filter((answer) => answer !== undefined);
  }
}

/** Asks a socket who it is; undefined where its process is dead. */
function ask(file: string): Promise<Other | undefined> {
  return new Promise((answer) => {
    let said = '';
    const socket = connect(file).setEncoding('latin1');
    const finish = (other: Other | undefined): void => {
      clearTimeout(timer);
      socket.destroy();
      answer(other);
    };
    let timer = setTimeout(() => {
      timer = setTimeout(() => finish({ state: 'holding', id: '' }), LOOK_MS);
    }, ANSWER_MS);
    socket.on('data', (text: string) => {
      said += text;
    });
    socket.once('end', () => {
      const [, state, id] = /^(asking|holding) ([0-9a-f]+)\n$/.exec(said) ?? [];
      // Without a word it has just ended, or does so now: it is asked again.
      if (id === undefined) finish({ state: 'asking', id: LAST });
      else finish({ state: state as State, id });
    });
    socket.once('error', ({ code }: NodeJS.ErrnoException) => {
      if (code === 'ECONNREFUSED' || code === 'ENOENT') finish(undefined);
      else finish({ state: 'asking', id: LAST });
    });
  });
}
