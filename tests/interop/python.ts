// Starts the Python peer. It decides which interpreter runs it and says what
// to install where that cannot work; what the peer does is in peer.py.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { startChild, type Child, type Processes } from '../support/processes.js';

// Debian's own interpreter: it is the one that sees Debian's python3-zmq.
const interpreter = process.env['PYTHON'] ?? '/usr/bin/python3';

/** @throws {Error} saying which Debian package to install, where the peer could not run */
export function requirePython(): void {
  const { error, status, stderr } = spawnSync(interpreter, ['-c', 'import zmq'], {
    encoding: 'utf8',
  });
  if (!error && status === 0) return;
  throw new Error(
    `The Python peer needs ${interpreter} with ZeroMQ: apt-get install python3-zmq ` +
      `(or set PYTHON). ${error ? error.message : stderr.trim()}`,
  );
}

/** Starts peer.py; the caller stops it. */
export async function startPython(start: Processes['start'] = startChild): Promise<Child> {
  return start(interpreter, [join('tests', 'interop', 'peer.py')]);
}
