// Brokers inside the test's own process, on free ports of the loopback address,
// and waiting for what happens in them.
import { setTimeout as sleep } from 'node:timers/promises';
import { startBroker, type Broker, type BrokerParts, type OptionName } from '../../broker/index.js';
import { PATIENCE_MS } from './processes.js';

const LOOK_MS = 5;

export type BrokerOptions = Partial<Record<OptionName, unknown>>;

/** A broker that listens, and where. */
export interface RunningBroker {
  readonly broker: Broker;
  readonly endpoint: string;
}

/** Call it once at the top of a test file: brokers, in memory, that stop with their test. */
export function useBrokers(): (
  options?: BrokerOptions,
  parts?: BrokerParts,
) => Promise<RunningBroker> {
  const brokers = new Set<Broker>();
  afterEach(async () => {
    await Promise.all([...brokers].map((broker) => broker.stop()));
    brokers.clear();
  });
  return async (options, parts) => {
    const broker = await startBroker(
      // What nobody reads need not be waited for.
      { bind: ['tcp://127.0.0.1:*'], 'drain-timeout': 100, ...options },
      parts,
    );
    brokers.add(broker);
    return { broker, endpoint: broker.endpoints[0]! };
  };
}

/** Waits until a condition holds. @throws {Error} where it does not in time */
export async function eventually(
  what: string,
  holds: () => boolean | Promise<boolean>,
): Promise<void> {
  const untilMs = performance.now() + PATIENCE_MS;
  while (!(await holds())) {
    if (performance.now() > untilMs) throw new Error(`not in time: ${what}`);
    await sleep(LOOK_MS);
  }
}
