// Workers that keep results, those who ask them, and what they are told, in a world
// without sockets. The service is `s`.
import { decode as unpack } from '@msgpack/msgpack';
import { BlockReader } from '../../protocol/index.js';
import type { World } from './broker-world.js';
import {
  FakeNativePeer,
  mailCredit,
  nativeRequest,
  only,
  type Asked,
  type SaidBy,
} from './fake-native-peer.js';

export type Delivery = SaidBy<'SERVICE DELIVER'>;
type Terms = NonNullable<Parameters<typeof nativeRequest>[2]>;

/** What a worker offers that keeps results. */
export const CACHE = { cache: { version: '1' } };

/** Does a request. */
export function reply({ delivery, epoch }: Delivery, text: string): Asked {
  return { name: 'REPLY', delivery, epoch, content: [Buffer.from(text)] };
}

/** A worker; what it was given at once is to be read. */
export async function worker(
  world: World,
  address: string,
  terms: Record<string, unknown> = CACHE,
): Promise<FakeNativePeer> {
  const peer = await FakeNativePeer.open(world, address);
  // What waits comes with the answer.
  peer.call('offer', { service: 's', ...terms });
  await world.settle();
  return peer;
}

/** Somebody who takes all mail. */
export async function requester(world: World, address = 'asks'): Promise<FakeNativePeer> {
  const peer = await FakeNativePeer.open(world, address);
  await peer.exchange(mailCredit(100_000));
  return peer;
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

/** What a worker was given since the last time. */
export async function given(world: World, peer: FakeNativePeer): Promise<Delivery[]> {
  await world.settle();
  return only(peer.read(), 'SERVICE DELIVER');
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

/** The events of all jobs so far. */
export function jobEvents(world: World): Record<string, unknown>[] {
  const events: Record<string, unknown>[] = [];
  for (let sequence = 0; ;) {
    const block = world.store.readBlock('$jobs', sequence);
    if (block === undefined) return events;
    const messages = new BlockReader(block.bytes);
    while (messages.next()) {
      const [head, ...content] = messages.content();
      const event = unpack(head as Buffer) as Record<string, unknown>;
      events.push({ job: messages.subject, ...event, content: content.map(String) });
    }
    sequence = block.last + 1;
  }
}
