import { useWorlds } from '../../support/broker-world.js';
import { brief, CLOSE, confirm, credit, mail, open, PING } from '../../support/v1-commands.js';

const startWorld = useWorlds();

function numbers(count: number, from = 0): string[] {
  return Array.from({ length: count }, (_, n) => `n${from + n}`);
}

describe('mail', () => {
  it('waits for its owner, in order, and comes with all its parts', async () => {
    const world = await startWorld();
    const sender = await world.client('sender');
    const content = [Buffer.from('body'), Buffer.alloc(0), Buffer.from([0, 255])];
    await world.exchange(sender, mail('owner', 'first', { tracker: 't', content }));
    await world.exchange(sender, ...numbers(200).map((subject) => mail('owner', subject)));
    const [opened, first, ...rest] = await world.exchange(world.network.connect(), open('owner'));
    expect(opened).toMatchObject({ name: 'OK' });
    expect(first).toEqual({
      name: 'MAILBOX DELIVER',
      sender: 'sender',
      address: 'owner',
      subject: 'first',
      tracker: 't',
      content,
    });
    expect(rest.map(brief)).toEqual(numbers(200));
    expect(await world.view('mailboxes')).toMatchObject([{ mailbox: 'owner', messages: 0 }]);
  });

  it('to oneself arrives', async () => {
    const world = await startWorld();
    const peer = await world.client('self');
    expect(await world.talk(peer, mail('self', 'hello'))).toEqual(['hello']);
  });

  it('leaves no mailbox behind when it was taken and its owner has gone', async () => {
    const world = await startWorld();
    const sender = await world.client('sender');
    await world.exchange(sender, mail('owner', 'x'));
    expect(await world.view('mailboxes')).toMatchObject([{ messages: 1, online: false }]);
    const owner = await world.client('owner');
    expect(await world.view('mailboxes')).toMatchObject([{ messages: 0, online: true }]);
    await world.exchange(owner, CLOSE);
    expect(await world.view('mailboxes')).toEqual([]);
  });

  it('that its owner’s socket did not take goes to the next owner, in order', async () => {
    const world = await startWorld({ 'outbox-messages-max': 5 });
    const sender = await world.client('sender');
    const owner = await world.client('owner');
    owner.pipeMessages = 3;
    await world.exchange(sender, ...numbers(20).map((subject) => mail('owner', subject)));
    owner.vanish();
    // At most once: what the socket took is gone, whatever became of it.
    const next = world.network.connect();
    expect(await world.talk(next, open('owner'))).toEqual(['OK 200', ...numbers(17, 3)]);
    expect(world.broker.counters.mailboxDeliveries).toBe(20);
  });

  it.each([[1], [2], [7]])('flows through an outbox of %i, in order', async (messages) => {
    const world = await startWorld({ 'outbox-messages-max': messages });
    const sender = await world.client('sender');
    const owner = await world.client('owner');
    owner.pipeMessages = 3;
    const subjects = numbers(100);
    await world.exchange(sender, ...subjects.map((subject) => mail('owner', subject)));
    const got: string[] = [];
    for (let turn = 0; turn < 100 && got.length < subjects.length; turn++) {
      got.push(...owner.read().map(brief));
      await world.pass(70);
    }
    expect(got).toEqual(subjects);
  });

  it('from a client that has gone is delivered all the same', async () => {
    const world = await startWorld();
    const sender = await world.client('sender');
    await world.exchange(sender, mail('owner', 'x'), CLOSE);
    const owner = world.network.connect();
    expect(await world.talk(owner, open('owner'))).toEqual(['OK 200', 'x']);
  });
});

describe('a limit', () => {
  it('of messages refuses what is beyond it and tells the sender, once there is room no more', async () => {
    const world = await startWorld({ 'mailbox-messages-max': 3 });
    const sender = await world.client('sender');
    const sends = numbers(5).map((tracker) => mail('owner', tracker, { tracker }));
    const answers = await world.exchange(sender, ...sends);
    expect(answers.map(brief)).toEqual(['CONFIRM n3 300', 'CONFIRM n4 300']);
    expect(answers[0]).toMatchObject({ statusReason: 'mailbox owner is full: 3 messages' });
    const owner = world.network.connect();
    expect(await world.talk(owner, open('owner'))).toEqual(['OK 200', 'n0', 'n1', 'n2']);
    expect(await world.talk(sender, mail('owner', 'n5', { tracker: 'n5' }))).toEqual([]);
    expect(owner.read().map(brief)).toEqual(['n5']);
    expect(world.logged('messages are refused')).toHaveLength(1);
    expect(world.logged('messages are accepted again')).toMatchObject([{ fields: { refused: 2 } }]);
    expect(world.broker.counters).toMatchObject({ refused: 2, mailboxMessages: 4 });
  });

  it('of octets refuses what would not fit, and takes what does', async () => {
    const world = await startWorld({ 'mailbox-bytes-max': 3000 });
    const sender = await world.client('sender');
    const large = { content: [Buffer.alloc(1000)] };
    const answers = await world.talk(
      sender,
      mail('owner', 'a', { ...large, tracker: 'a' }),
      mail('owner', 'b', { ...large, tracker: 'b' }),
      mail('owner', 'c', { tracker: 'c' }),
    );
    expect(answers).toEqual(['CONFIRM b 300']);
    const owner = world.network.connect();
    expect(await world.talk(owner, open('owner'))).toEqual(['OK 200', 'a', 'c']);
  });

  it('of one message refuses it, and leaves no mailbox behind', async () => {
    const world = await startWorld({ 'message-bytes-max': 1024 });
    const sender = await world.client('sender');
    const content = [Buffer.alloc(600), Buffer.alloc(600)];
    const answers = await world.talk(sender, mail('owner', 'x', { content, tracker: 't' }));
    expect(answers).toEqual(['CONFIRM t 300']);
    expect(await world.view('mailboxes')).toEqual([]);
    expect(world.broker.counters).toMatchObject({ refused: 1, mailboxMessages: 0 });
  });

  it('of all that is kept counts mailboxes and services together', async () => {
    const world = await startWorld({ 'kept-bytes-max': 6000 });
    const sender = await world.client('sender');
    const content = [Buffer.alloc(1000)];
    const sends = numbers(5).map((tracker) => mail(tracker, 'x', { content, tracker }));
    expect(await world.talk(sender, ...sends)).toEqual(['CONFIRM n3 300', 'CONFIRM n4 300']);
    await world.client('n0');
    expect(await world.talk(sender, mail('n4', 'x', { content, tracker: 't' }))).toEqual([]);
  });

  it('of mailboxes refuses a new one, not those that are there', async () => {
    const world = await startWorld({ 'mailboxes-max': 2 });
    const sender = await world.client('sender');
    const sends = ['a', 'b', 'c', 'a'].map((to) => mail(to, 'x', { tracker: to }));
    const answers = await world.exchange(sender, ...sends);
    expect(answers.map(brief)).toEqual(['CONFIRM c 300']);
    expect(answers[0]).toMatchObject({ statusReason: 'there are 2 mailboxes already' });
    expect(world.broker.counters).toMatchObject({ refused: 1, mailboxMessages: 3 });
  });

  it('is answered however long the name is that the answer quotes', async () => {
    const world = await startWorld({ 'mailbox-messages-max': 1 });
    const sender = await world.client('sender');
    for (const name of ['x'.repeat(255), 'ü'.repeat(127), '\u{1f43a}'.repeat(63)]) {
      const answers = await world.talk(sender, mail(name, 'x'), mail(name, 'x', { tracker: 't' }));
      expect(answers).toEqual(['CONFIRM t 300']);
    }
    expect(await world.talk(sender, PING)).toEqual(['CONNECTION PONG']);
  });

  it('says nothing to those who chose no tracker, but counts', async () => {
    const world = await startWorld({ 'mailbox-messages-max': 1 });
    const sender = await world.client('sender');
    expect(await world.talk(sender, mail('a', 'x'), mail('a', 'x'), mail('', 'x'))).toEqual([]);
    expect(world.broker.counters.refused).toBe(2);
  });
});

it('mail without an address is refused', async () => {
  const world = await startWorld();
  for (const sender of [await world.client(''), await world.client('named')]) {
    expect(await world.talk(sender, mail('', 'x', { tracker: 't' }))).toEqual(['CONFIRM t 300']);
  }
  expect(await world.view('mailboxes')).toEqual([]);
});

describe('CONFIRM', () => {
  it('goes on to the sender, with its code and reason', async () => {
    const world = await startWorld();
    const sender = await world.client('sender');
    const owner = await world.client('owner');
    await world.exchange(sender, mail('owner', 'x', { tracker: 't1' }));
    expect(await world.exchange(owner, confirm('t1', 201, 'done'))).toMatchObject([{}]);
    expect(sender.read()).toEqual([
      { name: 'CONFIRM', tracker: 't1', statusCode: 201, statusReason: 'done' },
    ]);
  });

  it('goes on once for each message, to the one who sent it', async () => {
    const world = await startWorld();
    const [alice, bob] = [await world.client('alice'), await world.client('bob')];
    const owner = await world.client('owner');
    await world.exchange(alice, mail('owner', 'a', { tracker: 't' }));
    await world.exchange(bob, mail('owner', 'b', { tracker: 't' }));
    await world.exchange(owner, confirm('t', 200), confirm('t', 300), confirm('t', 200));
    expect(alice.read().map(brief)).toEqual(['CONFIRM t 200']);
    expect(bob.read().map(brief)).toEqual(['CONFIRM t 300']);
    expect(world.broker.counters).toMatchObject({ confirms: 2, unknownTrackers: 1 });
  });

  it('reaches an anonymous sender while its session lasts', async () => {
    const world = await startWorld();
    const sender = await world.client('');
    const owner = await world.client('owner');
    await world.exchange(sender, mail('owner', 'x', { tracker: 't' }));
    await world.exchange(owner, confirm('t'));
    expect(sender.read().map(brief)).toEqual(['CONFIRM t 200']);
    await world.exchange(sender, mail('owner', 'x', { tracker: 't' }), CLOSE, open(''));
    sender.read();
    await world.exchange(owner, confirm('t'));
    expect(sender.read()).toEqual([]);
  });

  it('reaches a sender that opened its address again', async () => {
    const world = await startWorld();
    const sender = await world.client('sender');
    const owner = await world.client('owner');
    await world.exchange(sender, mail('owner', 'x', { tracker: 't' }), CLOSE);
    const again = await world.client('sender');
    await world.exchange(owner, confirm('t'));
    expect(again.read().map(brief)).toEqual(['CONFIRM t 200']);
  });

  it('of what the client was not given is counted, and hurts nobody', async () => {
    const world = await startWorld();
    const sender = await world.client('sender');
    const owner = await world.client('owner');
    await world.exchange(sender, mail('owner', 'x', { tracker: 't' }));
    const thief = await world.client('thief');
    expect(await world.talk(thief, confirm('t'), confirm(''), PING)).toEqual(['CONNECTION PONG']);
    expect(sender.read()).toEqual([]);
    await world.exchange(owner, confirm('t'));
    expect(sender.read().map(brief)).toEqual(['CONFIRM t 200']);
    expect(world.broker.counters.unknownTrackers).toBe(2);
  });

  it('of a message that is still in the outbox is not valid yet', async () => {
    const world = await startWorld();
    const sender = await world.client('sender');
    const owner = await world.client('owner');
    owner.pipeMessages = 0;
    await world.exchange(sender, mail('owner', 'x', { tracker: 't' }));
    await world.exchange(owner, confirm('t'));
    expect([sender.read(), world.broker.counters.unknownTrackers]).toEqual([[], 1]);
  });
});

describe('a timeout', () => {
  it('discards what waited longer, and tells its sender', async () => {
    const world = await startWorld();
    const sender = await world.client('sender');
    await world.exchange(
      sender,
      mail('owner', 'soon', { tracker: 'soon', timeout: 100 }),
      mail('owner', 'late', { tracker: 'late', timeout: 300 }),
      mail('owner', 'never', { tracker: 'never' }),
    );
    await world.pass(90);
    expect(sender.read()).toEqual([]);
    await world.pass(20);
    expect(sender.read()).toMatchObject([
      {
        name: 'CONFIRM',
        tracker: 'soon',
        statusCode: 408,
        statusReason: expect.stringContaining('owner') as string,
      },
    ]);
    expect(await world.view('mailboxes')).toMatchObject([{ mailbox: 'owner', messages: 2 }]);
    await world.pass(300);
    expect(sender.read().map(brief)).toEqual(['CONFIRM late 408']);
    const owner = world.network.connect();
    expect(await world.talk(owner, open('owner'))).toEqual(['OK 200', 'never']);
    expect(world.broker.counters).toMatchObject({ expired: 2, mailboxDeliveries: 1 });
  });

  it('leaves no mailbox behind', async () => {
    const world = await startWorld();
    const sender = await world.client('sender');
    const { timers } = world.clock;
    await world.exchange(sender, ...numbers(50).map((to) => mail(to, 'x', { timeout: 10 })));
    expect(world.clock.timers).toBe(timers + 1);
    await world.pass(100);
    expect(await world.view('mailboxes')).toEqual([]);
    expect(world.clock.timers).toBe(timers);
  });

  it('is over when the message was delivered in time', async () => {
    const world = await startWorld();
    const sender = await world.client('sender');
    await world.exchange(sender, mail('owner', 'x', { tracker: 't', timeout: 100 }));
    const owner = await world.client('owner');
    await world.pass(200);
    expect([sender.read(), world.broker.counters.expired]).toEqual([[], 0]);
    await world.exchange(owner, confirm('t'));
    expect(sender.read().map(brief)).toEqual(['CONFIRM t 200']);
  });

  it('goes on running while the message is in an outbox, and counts when it comes back', async () => {
    const world = await startWorld();
    const sender = await world.client('sender');
    const owner = await world.client('owner');
    owner.pipeMessages = 0;
    await world.exchange(sender, mail('owner', 'x', { tracker: 't', timeout: 3000 }));
    await world.pass(2000);
    await world.exchange(owner, CLOSE);
    await world.pass(900);
    expect(sender.read()).toEqual([]);
    await world.pass(200);
    expect(sender.read().map(brief)).toEqual(['CONFIRM t 408']);
  });

  it('that passed while the message was in an outbox keeps it from the next owner', async () => {
    const world = await startWorld();
    const sender = await world.client('sender');
    const owner = await world.client('owner');
    owner.pipeMessages = 0;
    await world.exchange(sender, mail('owner', 'x', { tracker: 't', timeout: 3000 }));
    await world.pass(4000);
    const newer = world.network.connect();
    expect(await world.talk(newer, open('owner'))).toEqual(['OK 200']);
    await world.pass(10);
    expect(sender.read().map(brief)).toEqual(['CONFIRM t 408']);
  });

  it('that passed while the message was in an outbox keeps it from a client that reads late', async () => {
    const world = await startWorld();
    const sender = await world.client('sender');
    const owner = await world.client('owner');
    owner.pipeMessages = 0;
    await world.exchange(owner, credit(2));
    const parts = { tracker: 't', timeout: 3000 };
    await world.exchange(sender, mail('owner', 'x', parts), mail('owner', 'y'), mail('owner', 'z'));
    await world.pass(4000);
    owner.pipeMessages = Infinity;
    await world.pass(100);
    // What was not delivered did not cost its credit.
    expect(owner.read().map(brief)).toEqual(['y', 'z']);
    expect(sender.read().map(brief)).toEqual(['CONFIRM t 408']);
    expect(world.broker.counters).toMatchObject({ expired: 1, mailboxDeliveries: 2 });
  });

  it('is not measured by the wall clock', async () => {
    const world = await startWorld();
    const sender = await world.client('sender');
    const owner = await world.client('owner');
    owner.pipeMessages = 0;
    const parts = { tracker: 't', timeout: 8000 };
    await world.exchange(sender, mail('nobody', 'x', parts), mail('owner', 'x', parts));
    world.clock.setWall(3_600_000);
    await world.exchange(owner, CLOSE);
    await world.pass(5000);
    expect(sender.read()).toEqual([]);
    await world.exchange(sender, PING);
    await world.pass(4000);
    expect(sender.read().map(brief)).toEqual(['CONFIRM t 408', 'CONFIRM t 408']);
  });

  it('of 49 days needs one timer', async () => {
    const world = await startWorld();
    const sender = await world.client('sender');
    const { timers } = world.clock;
    await world.exchange(sender, mail('nobody', 's', { timeout: 0xffffffff }));
    expect(world.clock.timers).toBe(timers + 1);
  });

  it('of thousands that expire together tells every sender', async () => {
    const world = await startWorld();
    const sender = await world.client('sender');
    const trackers = numbers(5000);
    for (const tracker of trackers) sender.send(mail('owner', 'x', { tracker, timeout: 100 }));
    await world.settle();
    for (let turn = 0; turn < 100; turn++) await world.pass(10);
    const told = sender.read().map(brief);
    expect(told.sort()).toEqual(trackers.map((tracker) => `CONFIRM ${tracker} 408`).sort());
    expect(world.broker.counters).toMatchObject({ expired: 5000, repliesDropped: 0 });
  });
});
