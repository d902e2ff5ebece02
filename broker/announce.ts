// What the broker prints once it listens: where, and what to try next, as it can
// be typed in the terminal beside it. It only makes texts.
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

const DEFAULT_ENDPOINT = 'tcp://127.0.0.1:9999';
const TAIL = 'mlm-tail';

/**
 * The lines to print.
 *
 * @param endpoints where the broker listens, with real ports
 * @param path the directories in which a shell looks for commands, as in `PATH`
 */
export function announcement(endpoints: readonly string[], path: string): string[] {
  const [first = ''] = endpoints;
  const reached = reachable(first);
  const option = reached === DEFAULT_ENDPOINT ? '' : ` -e ${quoted(reached)}`;
  const npx = isOnPath(TAIL, path) ? '' : 'npx ';
  return [
    ...endpoints.map((endpoint) => `listening on ${endpoint}`),
    'Follow a stream from another terminal, then send to it from a third:',
    `  ${npx}${TAIL}${option} greetings`,
    `  ${npx}mlm send${option} greetings hello.world "it works"`,
  ];
}

/** The endpoint by which a client on this machine comes to the broker. */
function reachable(endpoint: string): string {
  return endpoint.replace('//0.0.0.0:', '//127.0.0.1:').replace('//[::]:', '//[::1]:');
}

/** As one word of a shell. */
function quoted(endpoint: string): string {
  if (/^[\w:/.@+-]*$/.test(endpoint)) return endpoint;
  return `'${endpoint.replaceAll("'", "'\\''")}'`;
}

/** Whether a shell finds a command; what npm adds for its own scripts does not count. */
function isOnPath(command: string, path: string): boolean {
  return path.split(delimiter).some((folder) => {
    if (folder === '' || /[\\/]node_modules[\\/]/.test(`${folder}/`)) return false;
    try {
      accessSync(join(folder, command), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
