// Workers that keep results, those who ask them, and what they are told, beside what
// native-service.ts has for all workers. The service is `s`.
import type { World } from './broker-world.js';
import { nativeRequest, type Asked, type FakeNativePeer } from './fake-native-peer.js';
import { newWorker, type Delivery } from './native-service.js';

type Terms = NonNullable<Parameters<typeof nativeRequest>[2]>;

/** What a worker offers that keeps results. */
export const CACHE = { cache: { version: '1' } };

/** A worker that keeps results; what it was given at once is to be read. */
export function worker(
  world: World,
  address: string,
  terms: Record<string, unknown> = CACHE,
): Promise<FakeNativePeer> {
  return newWorker(world, address, terms);
}

/** A request whose body is a text. */
export function ask(tracker: string, body: string, terms: Terms = {}): Asked {
  return nativeRequest('s', 'x', { tracker, content: [Buffer.from(body)], ...terms });
}

/** Sends; what comes is to be read. */
export async function say(world: World, peer: FakeNativePeer, ...commands: Asked[]): Promise<void> {
  peer.send(...commands);
  await world.settle();
}

/** What a peer was told since the last time, in brief words. */
export async function told(world: World, peer: FakeNativePeer): Promise<string[]> {
  await world.settle();
  return peer.read().flatMap((said) => {
    switch (said.name) {
      case 'MAILBOX DELIVER':
        return [`${said.tracker}: ${said.content[0]?.toString() ?? ''} from ${said.sender}`];
      case 'CONFIRM':
        return [`${said.tracker}: ${said.statusCode}`];
      default:
        return [];
    }
  });
}

export const trackers = (deliveries: readonly Delivery[]): string[] =>
  deliveries.map(({ tracker }) => tracker);
