// The images that run.sh built: where their file systems lie, and what their
// configurations say of how to run them. It only reads.
import { readFileSync, realpathSync } from 'node:fs';
import { join } from 'node:path';

/** What the image says, in the words of its configuration. */
interface ImageConfig {
  readonly User: string;
  readonly Env: readonly string[];
  readonly Entrypoint: readonly string[] | null;
  readonly Cmd: readonly string[];
  readonly WorkingDir: string;
  readonly ExposedPorts?: Readonly<Record<string, object>>;
  readonly Volumes?: Readonly<Record<string, object>> | null;
  readonly Healthcheck?: { readonly Test: readonly string[] };
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
 * An image of this run, by the name that it was built under.
 *
 * @throws {Error} where it was not run.sh that started the tests, or the image does not say by
 *   numbers that it runs as a user without privileges
 */
export function loadImage(name: string): Image {
  const folder = join(imagesFolder(), name);
  const root = realpathSync(join(folder, 'root'));
  const json = readFileSync(join(folder, 'image.json'), 'utf8');
  const { config } = (JSON.parse(json) as { Docker: { config: ImageConfig } }).Docker;
  const [uid = NaN, gid = NaN] = config.User.split(':').map(Number);
  if (!(uid > 0 && gid > 0)) throw new Error(`the image ${name} runs as "${config.User}"`);
  return { root, config, uid, gid };
}

function imagesFolder(): string {
  const folder = process.env['MALAMUTE_IMAGES'];
  if (folder === undefined) throw new Error('there are no images: run tests/container/run.sh');
  return folder;
}
