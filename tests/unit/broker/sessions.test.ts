import { useWorlds } from '../../support/broker-world.js';
import {
  brief,
  CLOSE,
  mail,
  offer,
  open,
  PING,
  read,
  request,
  send,
  write,
} from '../../support/v1-commands.js';

const startWorld = useWorlds();
const TIMEOUT_MS = 10_000;

describe('silence', () => {
  it('ends a session after the timeout, not before', async () => {
    const world = await startWorld();
    await world.client('silent');
    await world.pass(TIMEOUT_MS);
    expect(world.broker.counters.sessionsExpired).toBe(0);
    await world.pass(TIMEOUT_MS / 5);
    expect(world.broker.counters.sessionsExpired).toBe(1);
    expect(world.logged('session expired')).toMatchObject([{ fields: { address: 'silent' } }]);
  });

  it('is over with any command', async () => {
    const world = await startWorld();
    const commands = [PING, write('s'), send('x'), read('t'), mail('nobody', 'x'), offer('svc')];
    const peer = await world.client('lively');
    for (const command of commands) {
      await world.pass(TIMEOUT_MS * 0.9);
      await world.exchange(peer, command);
    }
    expect(world.broker.counters.sessionsExpired).toBe(0);
    expect(await world.talk(peer, PING)).toEqual(['CONNECTION PONG']);
  });

  it('ends everything the session had', async () => {
    const world = await startWorld();
    const peer = await world.client('silent');
    await world.exchange(peer, write('s'), read('t'), offer('svc'));
    await world.pass(TIMEOUT_MS * 1.2);
    // Asking is itself a client that has come.
    const { sessions, streams, services, mailboxes } =
      await world.view<Record<string, number>>('stats');
    expect({ sessions, streams, services, mailboxes }).toEqual({
      sessions: 1,
      streams: 0,
      services: 0,
      mailboxes: 0,
    });
    expect(await world.talk(peer, PING)).toEqual(['ERROR 500']);
  });

  it('is not that of clients whose broker was stopped for a while', async () => {
    const world = await startWorld();
    const peer = await world.client('patient');
    for (let stop = 0; stop < 5; stop++) {
      world.clock.jump(24 * 3_600_000);
      await world.settle();
    }
    expect(world.broker.counters.sessionsExpired).toBe(0);
    expect(await world.talk(peer, PING)).toEqual(['CONNECTION PONG']);
    await world.pass(TIMEOUT_MS * 1.2);
    expect(world.broker.counters.sessionsExpired).toBe(1);
  });

  it('is not measured by the wall clock', async () => {
    const world = await startWorld();
    const peer = await world.client('patient');
    for (const byMs of [86_400_000, -2 * 86_400_000]) {
      world.clock.setWall(byMs);
      await world.pass(TIMEOUT_MS / 2);
    }
    expect(await world.talk(peer, PING)).toEqual(['CONNECTION PONG']);
  });

  it('of some does not end others', async () => {
    const world = await startWorld();
    const lively = await world.client('lively');
    for (let n = 0; n < 20; n++) await world.client(`silent${n}`);
    for (let turn = 0; turn < 4; turn++) {
      await world.pass(TIMEOUT_MS / 2);
      await world.exchange(lively, PING);
    }
    expect(world.broker.counters.sessionsExpired).toBe(20);
    expect(await world.talk(lively, PING)).toEqual(['CONNECTION PONG']);
  });
});

describe('an address', () => {
  it('goes to the client that opened it last, with its mail', async () => {
    const world = await startWorld();
    const sender = await world.client('sender');
    const older = await world.client('shared');
    older.pipeMessages = 0;
    await world.exchange(sender, mail('shared', 'one'), mail('shared', 'two'));
    const newer = world.network.connect();
    expect(await world.talk(newer, open('shared'))).toEqual(['OK 200', 'one', 'two']);
    expect(older.read()).toEqual([]);
    older.pipeMessages = Infinity;
    expect(await world.talk(older, PING)).toEqual(['ERROR 500']);
    expect(await world.talk(newer, PING)).toEqual(['CONNECTION PONG']);
    expect(world.broker.counters).toMatchObject({ takenBack: 2, mailboxDeliveries: 2 });
  });

  it('that was taken over does not end with the older client', async () => {
    const world = await startWorld();
    const older = await world.client('shared');
    const newer = await world.client('shared');
    await world.exchange(older, CLOSE);
    older.vanish();
    await world.pass(TIMEOUT_MS / 2);
    const sender = await world.client('sender');
    await world.exchange(sender, mail('shared', 'one'));
    expect(newer.read().map(brief)).toEqual(['one']);
  });

  it('may be changed by closing and opening again', async () => {
    const world = await startWorld();
    const peer = await world.client('first');
    expect(await world.talk(peer, CLOSE, open('second'))).toEqual(['OK 200', 'OK 200']);
    const sender = await world.client('sender');
    await world.exchange(sender, mail('first', 'one'), mail('second', 'two'));
    expect(peer.read().map(brief)).toEqual(['two']);
  });

  it('is nobody’s for anonymous clients, of which there may be many', async () => {
    const world = await startWorld();
    const peers = [await world.client(''), await world.client(''), await world.client('')];
    for (const peer of peers) expect(await world.talk(peer, PING)).toEqual(['CONNECTION PONG']);
    expect((await world.view<unknown[]>('clients')).length).toBe(4);
  });

  it.each(['$', '$broker', '$x'])('%s is reserved', async (address) => {
    const world = await startWorld();
    expect(await world.talk(world.network.connect(), open(address))).toEqual(['ERROR 300']);
    expect(world.broker.counters.sessionsOpened).toBe(0);
  });

  it('of 255 octets is one', async () => {
    const world = await startWorld();
    const address = 'ü'.repeat(127) + 'x';
    const peer = await world.client(address);
    expect(await world.talk(peer, mail(address, 'x'))).toEqual(['x']);
  });
});

describe('opening', () => {
  it.each([
    ['another protocol', open('a', 'AMQP'), 'ERROR 501'],
    ['another version', open('a', 'MALAMUTE', 2), 'ERROR 501'],
    ['no protocol', open('a', ''), 'ERROR 501'],
  ])('with %s is refused', async (_, command, answer) => {
    const world = await startWorld();
    const peer = world.network.connect();
    expect(await world.talk(peer, command)).toEqual([answer]);
    expect(await world.talk(peer, open('a'))).toEqual(['OK 200']);
  });

  it('twice is an error that ends the session', async () => {
    const world = await startWorld();
    const peer = await world.client('a');
    expect(await world.talk(peer, open('a'), PING)).toEqual(['ERROR 500', 'ERROR 500']);
  });

  it('is refused to clients beyond the limit, until there is room', async () => {
    const world = await startWorld({ 'sessions-max': 2 });
    const first = await world.client('first');
    const second = await world.client('second');
    const third = world.network.connect();
    expect(await world.talk(third, open('third'))).toEqual(['ERROR 300']);
    await world.exchange(first, CLOSE);
    expect(await world.talk(third, open('third'))).toEqual(['OK 200']);
    // To take over an address needs no room beside that of the older session.
    expect(await world.talk(first, open('second'))).toEqual(['OK 200']);
    expect(await world.talk(second, PING)).toEqual(['ERROR 500']);
  });
});

describe('a client without a session', () => {
  it.each([
    ['PING', PING],
    ['STREAM SEND', send('x', Buffer.from('x'))],
    ['SERVICE SEND', request('$broker', 'stats')],
    ['MAILBOX SEND', mail('a', 'x')],
  ])('gets exactly one ERROR 500 for its %s', async (_, command) => {
    const world = await startWorld();
    const peer = world.network.connect();
    expect(await world.talk(peer, command)).toEqual(['ERROR 500']);
    await world.pass(TIMEOUT_MS * 2);
    expect(peer.read()).toEqual([]);
  });

  it('may close', async () => {
    const world = await startWorld();
    expect(await world.talk(world.network.connect(), CLOSE, CLOSE)).toEqual(['OK 200', 'OK 200']);
  });
});

describe('a client that reads nothing', () => {
  it('loses its session when too many replies wait for it', async () => {
    const world = await startWorld();
    const peer = await world.client('deaf');
    peer.pipeMessages = 0;
    for (let n = 0; n < 1000; n++) peer.send(PING);
    await world.settle();
    const [{ outbox } = { outbox: 0 }] = await world.view<{ outbox: number }[]>('clients');
    expect(outbox).toBe(1000);
    peer.send(PING);
    await world.settle();
    expect(world.logged('a client reads none of its replies: its session ends')).toHaveLength(1);
    expect(world.broker.counters.repliesDropped).toBe(1);
    peer.pipeMessages = Infinity;
    await world.pass(100);
    expect(peer.read()).toEqual([]);
    expect(await world.talk(peer, PING)).toEqual(['ERROR 500']);
  });
});

describe('what a client sends at once', () => {
  it('is answered command by command, up to its CLOSE', async () => {
    const world = await startWorld();
    const peer = world.network.connect();
    const answers = await world.talk(peer, open('x'), write('s'), PING, read('t'), CLOSE, CLOSE);
    expect(answers).toEqual(['OK 200', 'OK 200', 'CONNECTION PONG', 'OK 200', 'OK 200', 'OK 200']);
  });

  it('is answered command by command, up to an error', async () => {
    const world = await startWorld();
    const peer = world.network.connect();
    const answers = await world.talk(peer, open('x'), PING, offer('$broker'), PING);
    expect(answers).toEqual(['OK 200', 'CONNECTION PONG', 'ERROR 300', 'ERROR 500']);
  });
});

it('a peer that is gone loses its session as soon as something is sent to it', async () => {
  const world = await startWorld();
  const peer = await world.client('gone');
  const sender = await world.client('sender');
  peer.vanish();
  await world.exchange(sender, mail('gone', 'one'), mail('gone', 'two'));
  expect(world.logged('session ended').at(-1)).toMatchObject({ fields: { address: 'gone' } });
  const again = world.network.connect();
  expect(await world.talk(again, open('gone'))).toEqual(['OK 200', 'one', 'two']);
});

it('a peer that chose its routing id is a client like any other', async () => {
  const world = await startWorld();
  const named = world.network.connect(Buffer.from('alice'));
  const likeOurs = world.network.connect(Buffer.from([0, 0, 0, 0, 0, 1]));
  expect(await world.talk(named, open('a'))).toEqual(['OK 200']);
  expect(await world.talk(likeOurs, open('b'))).toEqual(['OK 200']);
  expect(await world.talk(named, mail('b', 'x'))).toEqual([]);
  expect(likeOurs.read().map(brief)).toEqual(['x']);
});

it('stopping leaves no timer and no session', async () => {
  const world = await startWorld();
  await world.client('a');
  await world.exchange(await world.client('b'), mail('nobody', 'x', { timeout: 5000 }));
  await world.stop();
  expect(world.clock.timers).toBe(0);
});
