// Our broker as a process of its own, built, as users run it: for scenarios in
// which it is killed and comes back. It is told nothing but where to listen.
import { join } from 'node:path';
import { readReadyFile, type Child, type Processes } from '../support/processes.js';

/** A broker process, and where it listens. */
export interface BrokerProcess {
  endpoint: string;
  child: Child;
}

/** Starts `dist/broker/main.js` and waits until it listens; it ends with the test. */
export async function startBrokerProcess(
  processes: Processes,
  bind = 'tcp://127.0.0.1:*',
): Promise<BrokerProcess> {
  const readyFile = join(processes.folder(), 'ready.json');
  const main = join('dist', 'broker', 'main.js');
  const child = await processes.start(
    process.execPath,
    [main, '--bind', bind, '--ready-file', readyFile],
    { readyFile },
  );
  const { endpoints } = readReadyFile(readyFile) as { endpoints: string[] };
  return { endpoint: endpoints[0]!, child };
}
