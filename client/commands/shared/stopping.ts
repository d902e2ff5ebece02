// Ctrl-C and its relatives: the first asks the command to end, a second one
// ends the process at once. What ending means is the command's business.
import { EXIT } from './failure.js';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Listens from now on. @returns fires at the first signal */
export function stopSignal(): AbortSignal {
  const stopping = new AbortController();
  const onSignal = (): void => {
    if (stopping.signal.aborted) process.exit(EXIT.interrupted);
    stopping.abort();
  };
  for (const signal of SIGNALS) process.on(signal, onSignal);
  return stopping.signal;
}
