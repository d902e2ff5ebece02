// What is promised about the disk, proved by a store whose commits the test ends:
// nobody is told or given anything before the commit that holds it has ended.
import { GatedStore } from '../../support/gated-store.js';
import { useWorlds } from '../../support/broker-world.js';
import { mail, offer, open, read, request, send, write } from '../../support/v1-commands.js';

let store: GatedStore;

beforeEach(() => {
  store = new GatedStore();
});

// A broker that stops commits what is left: before that, the gate opens.
afterEach(() => store.open());

const startWorld = useWorlds();

it('a stream message reaches a reader only after its commit', async () => {
  const world = await startWorld({}, store);
  const writer = await world.client('w');
  const reader = await world.client('r');
  await world.talk(writer, write('s'));
  await world.talk(reader, read('s'));
  await world.talk(writer, send('one'));
  expect(reader.read()).toEqual([]);
  store.succeed();
  await world.settle();
  expect(reader.read()).toMatchObject([{ name: 'STREAM DELIVER', subject: 'one' }]);
});

it('mail and requests reach their receivers only after their commit', async () => {
  const world = await startWorld({}, store);
  const sender = await world.client('s');
  const receiver = await world.client('r');
  await world.talk(receiver, offer('svc'));
  await world.talk(sender, mail('r', 'letter'), request('svc', 'job'));
  expect(receiver.read()).toEqual([]);
  store.succeed();
  await world.settle();
  expect(
    receiver
      .read()
      .map(({ name }) => name)
      .sort(),
  ).toEqual(['MAILBOX DELIVER', 'SERVICE DELIVER']);
});

it('what comes while a commit is under way waits for the next one', async () => {
  const world = await startWorld({}, store);
  const writer = await world.client('w');
  const reader = await world.client('r');
  await world.talk(reader, read('s'));
  await world.talk(writer, write('s'), send('one'));
  await world.talk(writer, send('two'), send('three'));
  expect(store.commits).toBe(1);
  store.succeed();
  await world.settle();
  expect(reader.read()).toMatchObject([{ subject: 'one' }]);
  expect(store.commits).toBe(2);
  store.succeed();
  await world.settle();
  expect(reader.read()).toMatchObject([{ subject: 'two' }, { subject: 'three' }]);
});

describe('a commit that fails', () => {
  it('is told to the senders of what it held, which nobody gets', async () => {
    const world = await startWorld({}, store);
    const sender = await world.client('s');
    const receiver = await world.client('r');
    await world.talk(receiver, offer('svc'));
    await world.talk(
      sender,
      mail('r', 'letter', { tracker: 'a' }),
      request('svc', 'job', { tracker: 'b' }),
    );
    store.fail('no room');
    await world.settle();
    const answers = sender.read();
    expect(answers.map((answer) => ('statusReason' in answer ? answer.statusReason : ''))).toEqual([
      'it could not be stored: no room',
      'it could not be stored: no room',
    ]);
    expect(answers).toMatchObject([
      { name: 'CONFIRM', tracker: 'a', statusCode: 300 },
      { name: 'CONFIRM', tracker: 'b', statusCode: 300 },
    ]);
    expect(receiver.read()).toEqual([]);
    expect(
      world.logged('the store takes nothing: what clients send is refused until it does'),
    ).toHaveLength(1);
  });

  it('of a stream is told once, however many follow, and once more when it is over', async () => {
    const world = await startWorld({}, store);
    const writer = await world.client('w');
    await world.talk(writer, write('s'));
    for (const episode of [1, 2]) {
      for (let n = 0; n < 3; n++) {
        await world.talk(writer, send('lost'), send('lost, too'));
        store.fail('no room');
        await world.settle();
      }
      expect(world.logged('stream messages could not be stored')).toHaveLength(episode);
      await world.talk(writer, send('stored'));
      store.succeed();
      await world.settle();
      expect(world.logged('stream messages are stored again')).toHaveLength(episode);
    }
    expect(world.logged('stream messages could not be stored')[0]).toMatchObject({
      level: 'error',
      fields: { stream: 's', why: 'no room' },
    });
    const [over] = world.logged('stream messages are stored again');
    expect(over).toMatchObject({ level: 'info', fields: { stream: 's', lost: 6 } });
    expect(world.broker.counters.refused).toBe(12);
  });

  it('leaves what came before and after it in order', async () => {
    const world = await startWorld({}, store);
    const writer = await world.client('w');
    const reader = await world.client('r');
    await world.talk(reader, read('s'));
    await world.talk(writer, write('s'), send('one'));
    store.succeed();
    await world.settle();
    await world.talk(writer, send('lost'));
    await world.talk(writer, send('two'));
    store.fail('no room');
    await world.settle();
    store.succeed();
    await world.settle();
    expect(reader.read()).toMatchObject([{ subject: 'one' }, { subject: 'two' }]);
    expect(world.broker.counters.refused).toBe(1);
    expect(world.logged('the store takes messages again')).toHaveLength(1);
  });

  it('keeps mail that was there before, for the next owner', async () => {
    const world = await startWorld({}, store);
    const sender = await world.client('s');
    await world.talk(sender, mail('absent', 'kept'));
    store.succeed();
    await world.settle();
    await world.talk(sender, mail('absent', 'lost'));
    store.fail('no room');
    await world.settle();
    store.open();
    const owner = world.network.connect();
    expect(await world.exchange(owner, open('absent'))).toMatchObject([
      { name: 'OK' },
      { name: 'MAILBOX DELIVER', subject: 'kept' },
    ]);
  });
});
