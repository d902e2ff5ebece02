// How fast the load generator is without a broker: what it sends and counts
// then is the most that any row of the tables could show.
import type { Context } from '../comparison.js';
import { freePort } from '../peers/ports.js';
import { acksEndpoint, mustBeComplete, perSecond } from './parts.js';

/** @returns messages a second from one writer to one sink */
export async function generatorAlone(context: Context): Promise<number> {
  const endpoint = `tcp://127.0.0.1:${await freePort()}`;
  const shared = { endpoint, acks: acksEndpoint(context), window: 10_000 };
  const [sink, write] = await context.generator.play([
    { role: 'sink', options: shared },
    { role: 'write', options: { ...shared, seconds: context.seconds } },
  ]);
  mustBeComplete(write!.count, sink!);
  return perSecond(sink!.count, write!.firstNs, sink!.lastNs);
}
