// The image that run.sh built: where its file system lies, and what its
// configuration says of how to run it. It only reads.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** What the image says, in the words of its configuration. */
interface ImageConfig {
  readonly User: string;
  readonly Env: readonly string[];
  readonly Entrypoint: readonly string[] | null;
  readonly Cmd: readonly string[];
  readonly WorkingDir: string;
  readonly ExposedPorts: Readonly<Record<string, object>>;
  readonly Volumes: Readonly<Record<string, object>>;
  readonly Healthcheck: { readonly Test: readonly string[] };
  readonly StopSignal: NodeJS.Signals;
}

export interface Image {
  /** Its file system, as a folder of this machine. */
  readonly root: string;
  readonly config: ImageConfig;
  /** The user that it runs as. */
  readonly uid: number;
  readonly gid: number;
}

/**
 * The image of this run.
 *
 * @throws {Error} where it was not run.sh that started the tests, or the image has no such user
 */
export function loadImage(): Image {
  const root = fromScript('MALAMUTE_IMAGE_ROOT');
  const json = readFileSync(fromScript('MALAMUTE_IMAGE_JSON'), 'utf8');
  const { config } = (JSON.parse(json) as { Docker: { config: ImageConfig } }).Docker;
  const users = readFileSync(join(root, 'etc', 'passwd'), 'utf8').split('\n');
  const user = users.map((line) => line.split(':')).find(([name]) => name === config.User);
  if (user === undefined) throw new Error(`the image has no user "${config.User}"`);
  return { root, config, uid: Number(user[2]), gid: Number(user[3]) };
}

function fromScript(name: string): string {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set: run tests/container/run.sh`);
  return value;
}
