// Ctrl-C and its relatives: the first asks the command to end, a second one
// ends the process at once. What ending means is the command's business.
import { EXIT } from './failure.js';
import { atSignals } from './signals.js';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Listens from now on. @returns fires at the first signal */
export function stopSignal(): AbortSignal {
  const stopping = new AbortController();
  const onSignal = atSignals(
    () => stopping.abort(),
    () => process.exit(EXIT.interrupted),
  );
  for (const signal of SIGNALS) process.on(signal, onSignal);
  return stopping.signal;
}
