// Brokers inside the test's own process, in memory, on free ports of the loopback
// address.
import { startBroker, type Broker, type BrokerParts, type OptionName } from '../../broker/index.js';

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
