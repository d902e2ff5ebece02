// The public entry of `malamute-ts/broker`: a broker inside your own process.
import { startBroker as startWithOptions, type Broker, type BrokerParts } from './broker.js';
import { resolveOptions, type OptionName } from './options.js';

export { OptionError, OPTIONS, type OptionName, type OptionValues } from './options.js';
export { createLog, silentLogger, type Logger, type LogLevel } from './log.js';
export type { Broker, BrokerParts };

/**
 * Starts a broker in this process.
 *
 * @param options options by name, as the flags of `mlm-broker` spell them; the
 *   rest have their defaults: `{ bind: ['tcp://127.0.0.1:*'] }`. Without `data`
 *   it keeps everything in memory
 * @returns the broker, listening; `broker.endpoints` has the real endpoints
 * @throws {OptionError} naming an option with a value it cannot have
 * @throws {Error} where an endpoint cannot be listened on
 */
export async function startBroker(
  options: Partial<Record<OptionName, unknown>> = {},
  parts: BrokerParts = {},
): Promise<Broker> {
  const ephemeral = options.data === undefined;
  return await startWithOptions(resolveOptions({ flags: { ephemeral, ...options } }), parts);
}
