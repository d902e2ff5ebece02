// Messages with an id: one that comes again is accepted with the sequence of the
// first one, but never before that is durable, and written once.
import { SectionWriter } from '../../../protocol/index.js';
import { useWorlds, type World } from '../../support/broker-world.js';
import { FakeNativePeer, only, type Asked, type Said } from '../../support/fake-native-peer.js';
import { GatedStore } from '../../support/gated-store.js';

const startWorld = useWorlds();

function once(handle: number, sender: string, id: string, subjects: readonly string[]): Asked {
  const writer = new SectionWriter(sender);
  for (const subject of subjects) writer.append(subject, Buffer.from('body'));
  return { name: 'STREAM SEND ONCE', handle, id, sections: writer.take() ?? Buffer.alloc(0) };
}

class Sender {
  readonly peer: FakeNativePeer;
  handle = 0;

  constructor(peer: FakeNativePeer) {
    this.peer = peer;
  }

  static async open(world: World, address = 'w', stream = 's'): Promise<Sender> {
    const sender = new Sender(await FakeNativePeer.open(world, address));
    const { handle } = await sender.peer.ask<{ handle: number }>('write', { stream });
    sender.handle = handle;
    return sender;
  }

  /** Sends one message under an id; with several subjects, several at once. */
  send(id: string, ...subjects: string[]): Promise<Said[]> {
    const { handle, peer } = this;
    return peer.exchange(once(handle, peer.address, id, subjects));
  }
}

function sequencesIn(said: readonly Said[]): number[] {
  return only(said, 'STORED').map(({ sequence }) => sequence);
}

it('a repeat gets the sequence of the first one, in the order of sending', async () => {
  const world = await startWorld();
  const sender = await Sender.open(world);
  expect(await sender.send('x', 'one')).toEqual([
    { name: 'STORED', first: 1, count: 1, sequence: 1 },
    { name: 'ACCEPTED', upTo: 1 },
  ]);
  expect(sequencesIn(await sender.send('y', 'two'))).toEqual([2]);
  expect(await sender.send('x', 'one')).toEqual([
    { name: 'STORED', first: 3, count: 1, sequence: 1 },
    { name: 'ACCEPTED', upTo: 3 },
  ]);
  const info = await sender.peer.ask<{ lastSequence: number }>('stream.info', { stream: 's' });
  expect(info.lastSequence).toBe(2);
  expect(world.broker.counters).toMatchObject({ streamMessages: 2, streamRepeats: 1 });
});

it('an id is known for one stream and one address', async () => {
  const world = await startWorld();
  const sender = await Sender.open(world);
  await sender.send('x', 'one');
  const other = await Sender.open(world, 'other');
  expect(sequencesIn(await other.send('x', 'one'))).toEqual([2]);
  const elsewhere = await Sender.open(world, 'third', 't');
  expect(sequencesIn(await elsewhere.send('x', 'one'))).toEqual([1]);
});

it('the next session of the address, which takes it over, repeats nothing', async () => {
  const world = await startWorld();
  const first = await Sender.open(world);
  await first.send('x', 'one');
  const second = await Sender.open(world);
  expect(sequencesIn(await second.send('x', 'one'))).toEqual([1]);
  expect(sequencesIn(await second.send('y', 'two'))).toEqual([2]);
});

it('a stream that was deleted has forgotten its ids', async () => {
  const world = await startWorld();
  const first = await Sender.open(world);
  await first.send('z', 'zero');
  await first.send('x', 'one');
  const second = await Sender.open(world, 'w', 't');
  await second.peer.ask('stream.delete', { stream: 's' });
  const third = await Sender.open(world);
  expect(sequencesIn(await third.send('x', 'one'))).toEqual([1]);
});

describe('while the disk is slow, a repeat', () => {
  let store: GatedStore;

  beforeEach(() => {
    store = new GatedStore();
  });

  afterEach(() => store.open());

  it('is accepted with the first one, not before', async () => {
    const world = await startWorld({}, store);
    const sender = await Sender.open(world);
    expect(await sender.send('x', 'one')).toEqual([]);
    expect(await sender.send('x', 'one')).toEqual([]);
    store.succeed();
    await world.settle();
    expect(sequencesIn(sender.peer.read())).toEqual([1]);
    store.succeed();
    await world.settle();
    expect(sequencesIn(sender.peer.read())).toEqual([1]);
  });

  it('is refused where the first one is lost, and may be sent again', async () => {
    const world = await startWorld({}, store);
    const sender = await Sender.open(world);
    await sender.send('x', 'one');
    await sender.send('x', 'one');
    store.fail('no room');
    await world.settle();
    expect(sender.peer.read()).toMatchObject([
      { name: 'REFUSED', first: 1, count: 1 },
      { name: 'ACCEPTED', upTo: 1 },
    ]);
    store.succeed();
    await world.settle();
    expect(sender.peer.read()).toMatchObject([
      { name: 'REFUSED', first: 2, count: 1 },
      { name: 'ACCEPTED', upTo: 2 },
    ]);
    store.open();
    expect(sequencesIn(await sender.send('x', 'one'))).toEqual([2]);
    expect(sequencesIn(await sender.send('x', 'one'))).toEqual([2]);
  });

  it('in one commit with the first one shares what becomes of it', async () => {
    const world = await startWorld({}, store);
    const sender = await Sender.open(world);
    const command = once(sender.handle, 'w', 'x', ['one']);
    await sender.peer.exchange(command, command);
    store.fail('no room');
    await world.settle();
    expect(only(sender.peer.read(), 'REFUSED')).toMatchObject([{ first: 1, count: 2 }]);
  });
});

describe('refused by number is', () => {
  it('a message to a stream that is not open, and one that is too large', async () => {
    const world = await startWorld({ 'message-bytes-max': 1024 });
    const { peer, handle } = await Sender.open(world);
    const large = new SectionWriter('w');
    large.append('x', Buffer.alloc(2000));
    const said = await peer.exchange(once(handle + 1, 'w', 'x', ['one']), {
      name: 'STREAM SEND ONCE',
      handle,
      id: 'x',
      sections: large.take()!,
    });
    expect(only(said, 'REFUSED')).toMatchObject([{ first: 1 }, { first: 2 }]);
  });

  it('an empty id, and an id of a client without an address', async () => {
    const world = await startWorld();
    const sender = await Sender.open(world);
    expect(only(await sender.send('', 'one'), 'REFUSED')).toHaveLength(1);
    const anonymous = await Sender.open(world, '');
    const [refused] = only(await anonymous.send('x', 'one'), 'REFUSED');
    expect(refused?.statusReason).toContain('address');
  });
});

it.each([[], ['one', 'two']])('an id for %j messages ends the session', async (...subjects) => {
  const world = await startWorld();
  const sender = await Sender.open(world);
  sender.peer.send(once(sender.handle, 'w', 'x', subjects));
  await world.settle();
  expect(sender.peer.peer.read()).toMatchObject([{ name: 'ERROR', statusCode: 500 }]);
});

describe('a writer that is closed', () => {
  it('sends no more, and what was sent before is there', async () => {
    const world = await startWorld();
    const { peer, handle } = await Sender.open(world);
    peer.sendToStream(handle, [['one', '']]);
    await peer.ask('unwrite', { handle });
    const said = await peer.exchange(once(handle, 'w', 'x', ['two']));
    expect(only(said, 'REFUSED')).toMatchObject([
      { statusReason: expect.stringContaining('handle') as string },
    ]);
    const info = await peer.ask('stream.info', { stream: 's' });
    expect(info).toMatchObject({ lastSequence: 1, writers: 0 });
  });

  it('makes room for another one, and costs nothing twice', async () => {
    const world = await startWorld({ 'subscriptions-max': 1 });
    const { peer, handle } = await Sender.open(world);
    expect(await peer.ask('write', { stream: 's' })).toEqual({ handle });
    await expect(peer.ask('write', { stream: 't' })).rejects.toThrow('unwrite');
    await peer.ask('unwrite', { handle });
    await peer.ask('unwrite', { handle });
    const { handle: other } = await peer.ask<{ handle: number }>('write', { stream: 't' });
    expect(other).toBeGreaterThan(handle);
    expect(await world.view('streams')).toMatchObject([{ stream: 't', writers: 1 }]);
  });
});
