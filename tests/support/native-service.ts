// Native workers of the service `s`, those who ask them, and what they say, in a
// world without sockets. It decides nothing: each test says what happens when.
import { decode as unpack, encode as pack } from '@msgpack/msgpack';
import { BlockReader } from '../../protocol/index.js';
import type { World } from './broker-world.js';
import {
  FakeNativePeer,
  mailCredit,
  only,
  type Asked,
  type Said,
  type SaidBy,
} from './fake-native-peer.js';

export type Delivery = SaidBy<'SERVICE DELIVER'>;

/** Does a request. */
export function reply({ delivery, epoch }: Delivery, text: string): Asked {
  return { name: 'REPLY', delivery, epoch, content: [Buffer.from(text)] };
}

/** Begins the lease anew. */
export function extend({ delivery, epoch }: Delivery): Asked {
  return { name: 'EXTEND', delivery, epoch };
}

/** @param kind 1: progress; 2: a part of the result */
export function progress({ delivery, epoch }: Delivery, kind: number, value: unknown): Asked {
  return { name: 'PROGRESS', delivery, epoch, kind, content: [Buffer.from(pack(value))] };
}

/** A worker that comes before its requests: what it is given at once is dropped. */
export async function worker(
  world: World,
  address: string,
  terms: Record<string, unknown> = {},
): Promise<FakeNativePeer> {
  const peer = await FakeNativePeer.open(world, address);
  await peer.ask('offer', { service: 's', ...terms });
  return peer;
}

/** A worker that comes when requests wait already: what it is given is to be read. */
export async function newWorker(
  world: World,
  address: string,
  terms: Record<string, unknown> = {},
): Promise<FakeNativePeer> {
  const peer = await FakeNativePeer.open(world, address);
  // What waits comes with the answer.
  peer.call('offer', { service: 's', ...terms });
  await world.settle();
  return peer;
}

/** As `newWorker`. @returns it, and what it was given at once */
export async function lateWorker(
  world: World,
  address: string,
  terms: Record<string, unknown> = {},
): Promise<[FakeNativePeer, Delivery[]]> {
  const peer = await newWorker(world, address, terms);
  return [peer, await given(world, peer)];
}

/** Somebody who takes all mail. */
export async function requester(world: World, address = 'asks'): Promise<FakeNativePeer> {
  const peer = await FakeNativePeer.open(world, address);
  await peer.exchange(mailCredit(100_000));
  return peer;
}

export function deliveries(said: readonly Said[]): Delivery[] {
  return only(said, 'SERVICE DELIVER');
}

export const subjects = (said: readonly Said[]): string[] =>
  deliveries(said).map(({ subject }) => subject);

/** What a peer was given since the last time, at a moment when nothing more happens. */
export async function given(world: World, peer: FakeNativePeer): Promise<Delivery[]> {
  await world.settle();
  return deliveries(peer.read());
}

/** The events of all jobs so far, as `$jobs` holds them; `content` where one has some, as latin1. */
export function jobEvents(world: World): Record<string, unknown>[] {
  const events: Record<string, unknown>[] = [];
  for (let sequence = 0; ;) {
    const block = world.store.readBlock('$jobs', sequence);
    if (block === undefined) return events;
    const messages = new BlockReader(block.bytes);
    while (messages.next()) {
      const [head, ...content] = messages.content();
      const texts = content.map((frame) => frame.toString('latin1'));
      const more = texts.length > 0 ? { content: texts } : {};
      const event = unpack(head as Buffer) as Record<string, unknown>;
      events.push({ job: messages.subject, ...event, ...more });
    }
    sequence = block.last + 1;
  }
}
