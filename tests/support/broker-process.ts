// Our broker as a process of its own, built, as users run it: for scenarios in which it
// is killed, stands still or comes back, and for the commands. It ends with its test.
import { join, resolve } from 'node:path';
import { readReadyFile, type Child, type Processes } from './processes.js';

/** The built `mlm-broker`. */
export const BROKER = resolve('dist/broker/main.js');

/** A broker process, and where it listens. */
export interface BrokerProcess {
  readonly endpoint: string;
  readonly child: Child;
}

/**
 * Starts `mlm-broker` and waits until it listens.
 *
 * @param options by name; `data` is the same again for a broker that comes back, and without it
 *   everything is in memory. Unless told, it listens on any free port.
 */
export async function startBrokerProcess(
  processes: Processes,
  options: Readonly<Record<string, string | number>> = {},
): Promise<BrokerProcess> {
  const readyFile = join(processes.folder(), 'ready.json');
  const given: Record<string, string | number> = {
    bind: 'tcp://127.0.0.1:*',
    'ready-file': readyFile,
    ...options,
  };
  const words = Object.entries(given).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const kept = 'data' in options ? [] : ['--ephemeral'];
  const child = await processes.start(process.execPath, [BROKER, ...words, ...kept], { readyFile });
  const { endpoints } = readReadyFile(readyFile) as { endpoints: [string] };
  return { endpoint: endpoints[0], child };
}
