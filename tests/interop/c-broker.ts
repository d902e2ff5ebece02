// Starts the C broker of an installation of zeromq/malamute on a free port of
// the loopback. It knows where that installation keeps things and what the C
// broker's configuration looks like, nothing about the tests that use it.
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { Child, Processes } from '../support/processes.js';

/** A C broker that runs, and where it listens. */
export interface CBroker {
  endpoint: string;
  child: Child;
}

/** The environment in which programs of the C installation find their library. */
export function cEnvironment(prefix: string): Record<string, string> {
  const inherited = process.env['LD_LIBRARY_PATH'];
  const path = [join(prefix, 'lib'), ...(inherited ? [inherited] : [])].join(':');
  // Without this it would log to syslog too.
  return { LD_LIBRARY_PATH: path, ZSYS_LOGSYSTEM: 'false' };
}

/** Starts `PREFIX/bin/malamute`, on a free port unless told; it ends with the test. */
export async function startCBroker(
  processes: Processes,
  prefix: string,
  bind?: string,
): Promise<CBroker> {
  const endpoint = bind ?? `tcp://127.0.0.1:${await freePort()}`;
  const config = join(processes.folder(), 'malamute.cfg');
  // Only the bind: without a security section every client is let in.
  writeFileSync(config, `mlm_server\n    bind\n        endpoint = ${endpoint}\n`);
  const child = await processes.start(join(prefix, 'bin', 'malamute'), [config], {
    env: cEnvironment(prefix),
    readyLine: /loading configuration/,
  });
  return { endpoint, child };
}

/**
 * A port that was free a moment ago. The C broker cannot tell which port it picked, so it
 * must be told one.
 */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
