// Runs an image as a container, without a container engine: process 1 of its own
// process namespace, on the image's file system mounted read-only, as the image's
// user without any right, with the image's environment and command. It is as
// strict as compose.yaml; it knows nothing of what runs in the image.
import { chownSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PATIENCE_MS, startChild, type Child, type Exit } from '../support/processes.js';
import type { Image } from './image.js';

const LOOK_MS = 20;

/** Makes the container's file system and becomes its process 1; "$@" is how. */
const INIT = `
set -e
mount --bind "$ROOT" "$ROOT"
mount -o remount,bind,ro "$ROOT"
mount -t proc proc "$ROOT/proc"
mount --rbind /dev "$ROOT/dev"
mount --bind "$HOSTS" "$ROOT/etc/hosts"
if [ -n "$DATA" ]; then mount --bind "$DATA" "$ROOT/data"; fi
exec chroot "$ROOT" "$@"
`;

export interface RunOptions {
  /** Instead of the image's command. */
  readonly command?: readonly string[];
  /** Added to the image's environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** The folder for the volume /data; without it /data is read-only like the rest. */
  readonly data?: string;
  /** Ready once a line of its output matches. */
  readonly readyLine?: RegExp;
}

/** How a command in a container ended, and what it printed. */
export interface ExecResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A container that was started. */
export class Container {
  readonly child: Child;
  readonly #image: Image;
  readonly #asUser: readonly string[];

  constructor(child: Child, image: Image, asUser: readonly string[]) {
    this.child = child;
    this.#image = image;
    this.#asUser = asUser;
  }

  /** Its process 1, as this machine counts. */
  async pid(): Promise<number> {
    return this.child.until('process 1', PATIENCE_MS, () => this.#pid(), LOOK_MS);
  }

  /** Runs a command in the container, as its user and in its environment. */
  async exec(...command: readonly string[]): Promise<ExecResult> {
    const pid = await this.pid();
    const namespaces = ['--target', String(pid), '--mount', '--pid', '--root', '--wd'];
    const child = await startChild('nsenter', [...namespaces, ...this.#asUser, ...command]);
    const { code } = await child.ended;
    return { code, stdout: child.stdout, stderr: child.stderr };
  }

  /** Runs the health check of its image. */
  async health(): Promise<ExecResult> {
    const [kind, ...command] = this.#image.config.Healthcheck?.Test ?? [];
    if (kind !== 'CMD') throw new Error('the image has no health check that is a command');
    return this.exec(...command);
  }

  /** Sends a signal to its process 1. */
  async signal(signal: NodeJS.Signals): Promise<void> {
    process.kill(await this.pid(), signal);
  }

  /**
   * Stops it and waits for its end.
   *
   * @throws {Error} where it does not end
   */
  async stop(signal: NodeJS.Signals): Promise<Exit> {
    await this.signal(signal);
    return this.child.waitForExit();
  }

  /** Ends it, whatever it does. */
  async kill(): Promise<void> {
    if (this.child.exit !== undefined) return;
    try {
      // All others of its namespace go with process 1; where there is none yet, with its parent.
      process.kill(this.#pid() ?? this.child.pid, 'SIGKILL');
    } catch {
      // It has just ended by itself.
    }
    await this.child.ended;
  }

  #pid(): number | undefined {
    const children = `/proc/${this.child.pid}/task/${this.child.pid}/children`;
    if (!existsSync(children)) return undefined;
    return Number(readFileSync(children, 'utf8').trim()) || undefined;
  }
}

/** What `useContainers` gives a test file. */
export interface Containers {
  /** Starts a container; it is killed after the test, unless it has ended by then. */
  run: (image: Image, options?: RunOptions) => Promise<Container>;
  /** A fresh volume: a folder that belongs to the image's user, removed after the test. */
  volume: (image: Image) => string;
}

/**
 * Call it once at the top of a test file: after each test its containers are killed and its
 * volumes removed.
 *
 * @param hosts addresses by name, as containers find each other
 */
export function useContainers(hosts: Readonly<Record<string, string>>): Containers {
  const containers = new Set<Container>();
  const folders = new Set<string>();
  const folder = (): string => {
    const path = mkdtempSync(join(tmpdir(), 'malamute-container-'));
    folders.add(path);
    return path;
  };
  afterEach(async () => {
    await Promise.all([...containers].map((container) => container.kill()));
    containers.clear();
    for (const path of folders) rmSync(path, { recursive: true, force: true });
    folders.clear();
  });
  return {
    run: async (image, { command, env = {}, data = '', readyLine } = {}) => {
      const hostsFile = join(folder(), 'hosts');
      const lines = Object.entries(hosts).map(([name, address]) => `${address} ${name}\n`);
      writeFileSync(hostsFile, lines.join(''));
      const asUser = become(image, env);
      const { Entrypoint, Cmd } = image.config;
      const given = command ?? [...(Entrypoint ?? []), ...Cmd];
      const namespaces = ['--mount', '--pid', '--fork', '--kill-child'];
      const child = await startChild(
        'unshare',
        [...namespaces, 'sh', '-c', INIT, 'sh', ...asUser, ...given],
        {
          env: { ROOT: image.root, HOSTS: hostsFile, DATA: data },
          ...(readyLine === undefined ? {} : { readyLine }),
        },
        (born) => containers.add(new Container(born, image, asUser)),
      );
      return new Container(child, image, asUser);
    },
    volume: (image) => {
      const path = folder();
      chownSync(path, image.uid, image.gid);
      return path;
    },
  };
}

/** The words before a command that make it run as the image's user, in its environment. */
function become({ config, uid, gid }: Image, env: Readonly<Record<string, string>>): string[] {
  const variables = Object.entries(env).map(([name, value]) => `${name}=${value}`);
  return [
    ...['setpriv', `--reuid=${uid}`, `--regid=${gid}`, '--clear-groups'],
    ...['--no-new-privs', '--inh-caps=-all', '--bounding-set=-all'],
    ...['env', '-i', '-C', config.WorkingDir, ...config.Env, ...variables],
  ];
}
