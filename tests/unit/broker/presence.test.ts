// The stream `$presence`: who came, who offers what, who left.
import { decode as unpack } from '@msgpack/msgpack';
import { CLOSE, offer, read } from '../../support/v1-commands.js';
import { useWorlds, type World } from '../../support/broker-world.js';
import { FakeNativePeer } from '../../support/fake-native-peer.js';
import type { FakePeer } from '../../support/fake-transport.js';

const startWorld = useWorlds();

/** What the stream said since it was asked last. */
async function told(world: World, watcher: FakePeer): Promise<unknown[]> {
  await world.settle();
  return watcher.read().map((command) => {
    if (command.name !== 'STREAM DELIVER') throw new Error(command.name);
    const { subject, content, sender } = command;
    expect(sender).toBe('$broker');
    return { address: subject, ...(unpack(content[0] as Buffer) as object) };
  });
}

async function watch(world: World): Promise<FakePeer> {
  const watcher = await world.client('');
  await world.exchange(watcher, read('$presence'));
  return watcher;
}

it('a client that comes, offers and goes is told of, once for each time', async () => {
  const world = await startWorld();
  const watcher = await watch(world);
  const peer = await world.client('w');
  expect(await told(world, watcher)).toEqual([
    { address: 'w', event: 'joined', native: false, offers: [] },
  ]);
  await world.exchange(peer, offer('s', 'x'), offer('s', 'y'));
  const offers = [{ service: 's', patterns: ['x', 'y'], capacity: null, labels: {} }];
  expect(await told(world, watcher)).toEqual([
    { address: 'w', event: 'offers', native: false, offers },
  ]);
  await world.exchange(peer, CLOSE);
  expect(await told(world, watcher)).toEqual([{ address: 'w', event: 'left' }]);
});

it('a native client is told of with its labels, and when it withdraws or is silent for too long', async () => {
  const world = await startWorld();
  const watcher = await watch(world);
  const peer = await FakeNativePeer.open(world, 'w');
  await peer.ask('offer', { service: 's', capacity: 3, labels: { gpu: true } });
  const offers = [{ service: 's', patterns: [''], capacity: 3, labels: { gpu: true } }];
  expect(await told(world, watcher)).toEqual([
    { address: 'w', event: 'joined', native: true, offers: [] },
    { address: 'w', event: 'offers', native: true, offers },
  ]);
  await peer.ask('withdraw', { service: 's' });
  expect(await told(world, watcher)).toMatchObject([{ event: 'joined', offers: [] }]);
  for (let second = 0; second < 15; second++) {
    watcher.send({ name: 'CONNECTION PING' });
    await world.pass(1000);
  }
  const left = watcher.read().filter(({ name }) => name === 'STREAM DELIVER');
  expect(left).toHaveLength(1);
});

it('an address that somebody takes over has not left', async () => {
  const world = await startWorld();
  await world.client('w');
  const watcher = await watch(world);
  await world.client('w');
  expect(await told(world, watcher)).toMatchObject([{ address: 'w', event: 'joined' }]);
});

it('anonymous clients are nobody', async () => {
  const world = await startWorld();
  const watcher = await watch(world);
  await world.exchange(await world.client(''), offer('s', ''));
  expect(await told(world, watcher)).toEqual([]);
});
