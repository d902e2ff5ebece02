// Our broker as a process of its own, built, as users run it: for scenarios in
// which it is killed and comes back. It is told where to listen and where to
// keep its data, nothing else.
import { join } from 'node:path';
import { readReadyFile, type Child, type Processes } from '../support/processes.js';

/** A broker process, and where it listens. */
export interface BrokerProcess {
  endpoint: string;
  child: Child;
}

/**
 * Starts `dist/broker/main.js` and waits until it listens; it ends with the test.
 *
 * @param data its data directory, the same again for a broker that comes back
 */
export async function startBrokerProcess(
  processes: Processes,
  data: string,
  bind = 'tcp://127.0.0.1:*',
): Promise<BrokerProcess> {
  const readyFile = join(processes.folder(), 'ready.json');
  const main = join('dist', 'broker', 'main.js');
  const child = await processes.start(
    process.execPath,
    [main, '--bind', bind, '--data', data, '--ready-file', readyFile],
    { readyFile },
  );
  const { endpoints } = readReadyFile(readyFile) as { endpoints: string[] };
  return { endpoint: endpoints[0]!, child };
}
