// What can be said of an endpoint before it is listened on: whether it is one,
// and whether a local path is free. libzmq would take the place of whatever has
// that path, be it the socket of a broker that runs, or a file. It listens nowhere.
import { lstatSync } from 'node:fs';
import { connect } from 'node:net';

const PORT_MAX = 65_535;
/** Octets of a local socket's path that every system has room for. */
const PATH_BYTES_MAX = 103;
const NO_SUCH_PORT = `a port is a number from 1 to ${PORT_MAX}; port * picks a free one`;

export const NOT_AN_ENDPOINT = 'not an endpoint; write tcp://ADDRESS:PORT or ipc://PATH';
export const IN_USE =
  'the address is in use; stop the other program, or choose another port (port * picks a free one)';
const PATH_IN_USE = 'another program listens on it; stop that one, or choose another path';

/** What is wrong with the form of an endpoint; undefined where it is one. */
export function faultOf(endpoint: string): string | undefined {
  const path = localPath(endpoint);
  if (path !== undefined) {
    if (path === '') return NOT_AN_ENDPOINT;
    const bytes = Buffer.byteLength(path);
    if (bytes <= PATH_BYTES_MAX) return undefined;
    return `its path takes ${bytes} octets, a local socket's takes ${PATH_BYTES_MAX}; choose a shorter one`;
  }
  const [, port] = /^tcp:\/\/[^/]+:(\*|\d+)$/.exec(endpoint) ?? [];
  if (port === undefined) return NOT_AN_ENDPOINT;
  return Number(port) > PORT_MAX ? NO_SUCH_PORT : undefined;
}

/** Why a local path cannot be listened on; undefined where it can, or the endpoint is no such path. */
export async function obstacleAt(endpoint: string): Promise<string | undefined> {
  const path = localPath(endpoint);
  if (path === undefined || path.startsWith('@') || path === '*') return undefined;
  const there = lstatSync(path, { throwIfNoEntry: false });
  if (there === undefined) return undefined;
  if (!there.isSocket()) return 'there is something that is no socket; choose another path';
  return (await isAnswered(path)) ? PATH_IN_USE : undefined;
}

function localPath(endpoint: string): string | undefined {
  return endpoint.startsWith('ipc://') ? endpoint.slice('ipc://'.length) : undefined;
}

/** Whether a process listens on a local socket. */
function isAnswered(path: string): Promise<boolean> {
  return new Promise((answer) => {
    const probe = connect(path);
    probe.once('connect', () => {
      probe.destroy();
      answer(true);
    });
    // Refused where nobody listens; anything else is somebody, or not ours to judge.
    probe.once('error', (error: NodeJS.ErrnoException) => answer(error.code !== 'ECONNREFUSED'));
  });
}
