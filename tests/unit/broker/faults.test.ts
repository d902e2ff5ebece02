// What must not end the broker: values that nobody can handle, and faults of its
// own. They end the session of who sent the message, and disturb nobody else.
import type { KeptMessage } from '../../../broker/store/store.js';
import { MemoryStore } from '../../../broker/store/memory.js';
import { useWorlds, type World } from '../../support/broker-world.js';
import { FakeNativePeer, nativeMail, nativeRequest, only } from '../../support/fake-native-peer.js';
import { mail } from '../../support/v1-commands.js';

const startWorld = useWorlds();

/** A value in so many lists. */
function nested(levels: number): unknown {
  return levels === 0 ? 1 : [nested(levels - 1)];
}

/** A client that was there before works as if nothing had happened. */
async function expectWell(world: World, peer: FakeNativePeer): Promise<void> {
  await peer.ask('offer', { service: 'well' });
  expect(await world.view('services')).toMatchObject([{ service: 'well', workers: 1 }]);
}

describe('a value that is nested deeper than anybody goes', () => {
  // As deep as MessagePack writes it; what the broker writes it into makes it one deeper.
  const hostile = {
    'in what a request wants': nativeRequest('s', 'x', { wants: { needs: { a: nested(97) } } }),
    'in the labels of an offer': {
      name: 'CALL',
      call: 1,
      method: 'offer',
      arguments: { service: 's', labels: { a: nested(97) } },
    },
    'in the arguments of a call that there is not': {
      name: 'CALL',
      call: 1,
      method: 'none',
      arguments: nested(99),
    },
  } as const;

  it.each(Object.entries(hostile))('%s ends the session that sent it', async (_, command) => {
    const world = await startWorld();
    const neighbour = await FakeNativePeer.open(world, 'neighbour');
    const peer = await FakeNativePeer.open(world, 'hostile');
    peer.send(command);
    await world.settle();
    expect(peer.peer.read()).toMatchObject([
      {
        name: 'ERROR',
        statusCode: 500,
        statusReason: expect.stringMatching(/16 levels deep/) as string,
      },
    ]);
    expect(world.broker.counters.protocolErrors).toBe(1);
    await expectWell(world, neighbour);
  });

  it('is no condition and no label either where it is less deep', async () => {
    const world = await startWorld();
    const peer = await FakeNativePeer.open(world, 'peer');
    const conditions = [nested(2), { min: 'x' }, { above: 7 }, null];
    const said = await peer.exchange(
      ...conditions.map((a) => nativeRequest('s', 'x', { wants: { needs: { a } } })),
    );
    expect(only(said, 'REFUSED')).toMatchObject(
      conditions.map(() => ({
        statusReason: 'needs: "a" has a value that a label cannot have',
      })),
    );
    await expect(peer.ask('offer', { service: 's', labels: { a: { min: 1 } } })).rejects.toThrow(
      'labels: "a" has a value that a label cannot have',
    );
  });
});

describe('a fault of the broker itself', () => {
  class FaultyStore extends MemoryStore {
    override keep(...[, message]: [string?, KeptMessage?]): void {
      if (message?.subject === 'poison') throw new TypeError('it cannot be');
      super.keep();
    }
  }

  it('ends the session of who met it, is logged, and is nobody else’s business', async () => {
    const world = await startWorld({}, new FaultyStore());
    const neighbour = await FakeNativePeer.open(world, 'neighbour');
    const native = await FakeNativePeer.open(world, 'native');
    const old = await world.client('old');
    native.send(nativeMail('box', 'poison'));
    old.send(mail('box', 'poison'));
    await world.settle();
    for (const peer of [native.peer, old]) {
      expect(peer.read()).toMatchObject([
        { name: 'ERROR', statusCode: 502, statusReason: 'a fault of the broker: it cannot be' },
      ]);
    }
    const logged = world.logged('a message met a fault of the broker itself; please report it');
    expect(logged).toMatchObject([
      {
        level: 'error',
        fields: { fault: expect.stringMatching(/TypeError: it cannot be\n/) as string },
      },
      { level: 'error' },
    ]);
    await expectWell(world, neighbour);
  });
});
