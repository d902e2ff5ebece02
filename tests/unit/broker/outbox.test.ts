import type { Message } from '../../../broker/queues/message.js';
import {
  Outbox,
  TRAFFIC,
  v1Outgoing,
  type Outgoing,
  type Traffic,
} from '../../../broker/sessions/outbox.js';

const limits = { messagesMax: 4, bytesMax: 1000 };

function outgoing(name: string, bytes = 10): Outgoing {
  return { ...v1Outgoing(Buffer.from(name), []), bytes };
}

function fill(outbox: Outbox, traffic: Traffic, count: number): void {
  for (let n = 0; n < count; n++) outbox.push(traffic, outgoing(`${traffic}${n}`));
}

function take(outbox: Outbox, count = Infinity): string[] {
  const taken: string[] = [];
  while (taken.length < count) {
    const next = outbox.take();
    if (next === undefined) return taken;
    taken.push(next.head.toString());
  }
  return taken;
}

it('takes the kinds in turn, each in its order', () => {
  const outbox = new Outbox({ ...limits, messagesMax: 100 });
  fill(outbox, 'mailbox', 50);
  fill(outbox, 'stream', 2);
  fill(outbox, 'service', 3);
  expect(take(outbox, 7).sort()).toEqual([
    'mailbox0',
    'mailbox1',
    'mailbox2',
    'service0',
    'service1',
    'stream0',
    'stream1',
  ]);
  expect(outbox.length).toBe(48);
});

it('saturating mail delays a stream message by one mail, however often', () => {
  const outbox = new Outbox({ ...limits, messagesMax: 10 });
  for (let round = 0; round < 20; round++) {
    while (outbox.hasRoom('mailbox')) outbox.push('mailbox', outgoing('mail'));
    outbox.push('stream', outgoing('stream'));
    outbox.push('service', outgoing('service'));
    const taken = take(outbox, 3);
    expect(taken.sort()).toEqual(['mail', 'service', 'stream']);
  }
});

it('sends replies before anything else', () => {
  const outbox = new Outbox(limits);
  fill(outbox, 'mailbox', 4);
  expect(take(outbox, 1)).toEqual(['mailbox0']);
  outbox.reply(outgoing('PONG'));
  outbox.reply(outgoing('OK'));
  expect(take(outbox)).toEqual(['PONG', 'OK', 'mailbox1', 'mailbox2', 'mailbox3']);
});

it.each(TRAFFIC)('%s that the socket did not take comes next, after new replies', (traffic) => {
  const outbox = new Outbox(limits);
  fill(outbox, traffic, 2);
  const untaken = outbox.take()!;
  expect(outbox.length).toBe(1);
  outbox.reply(outgoing('PONG'));
  outbox.restore(untaken);
  expect(outbox.length).toBe(3);
  expect(take(outbox)).toEqual(['PONG', `${traffic}0`, `${traffic}1`]);
});

it('a reply that the socket did not take comes before the others', () => {
  const outbox = new Outbox(limits);
  outbox.reply(outgoing('OK'));
  outbox.reply(outgoing('PONG'));
  const untaken = outbox.take()!;
  outbox.push('mailbox', outgoing('mail'));
  outbox.restore(untaken);
  expect(take(outbox)).toEqual(['OK', 'PONG', 'mail']);
});

it('counts what came back', () => {
  const outbox = new Outbox(limits);
  fill(outbox, 'service', 4);
  outbox.restore(outbox.take()!);
  expect(outbox.hasRoom('service')).toBe(false);
  take(outbox, 1);
  expect(outbox.hasRoom('service')).toBe(true);
});

it('counts the octets of what came back', () => {
  const outbox = new Outbox(limits);
  outbox.push('mailbox', outgoing('large', 1000));
  const untaken = outbox.take()!;
  expect(outbox.hasRoom('mailbox')).toBe(true);
  outbox.restore(untaken);
  expect([outbox.hasRoom('mailbox'), outbox.isLow()]).toEqual([false, false]);
});

it('gives up its replies alone', () => {
  const outbox = new Outbox(limits);
  outbox.reply(outgoing('OK'));
  fill(outbox, 'mailbox', 2);
  outbox.reply(outgoing('PONG'));
  expect(outbox.takeReplies().map(({ head }) => head.toString())).toEqual(['OK', 'PONG']);
  expect(outbox.takeReplies()).toEqual([]);
  expect(outbox.length).toBe(2);
  expect(take(outbox)).toEqual(['mailbox0', 'mailbox1']);
});

it('has room for each kind apart, up to its number of messages', () => {
  const outbox = new Outbox(limits);
  fill(outbox, 'mailbox', 3);
  expect(outbox.hasRoom('mailbox')).toBe(true);
  fill(outbox, 'mailbox', 1);
  expect(TRAFFIC.map((traffic) => outbox.hasRoom(traffic))).toEqual([true, false, true]);
  take(outbox, 1);
  expect(outbox.hasRoom('mailbox')).toBe(true);
});

it('takes one message more than its octets, so that a large one passes at all', () => {
  const outbox = new Outbox(limits);
  outbox.push('mailbox', outgoing('large', 100_000));
  expect(outbox.hasRoom('mailbox')).toBe(false);
  take(outbox);
  expect(outbox.hasRoom('mailbox')).toBe(true);
});

it('is low when every kind is at most half full, in messages and in octets', () => {
  const outbox = new Outbox(limits);
  fill(outbox, 'stream', 3);
  expect(outbox.isLow()).toBe(false);
  take(outbox, 1);
  expect(outbox.isLow()).toBe(true);
  outbox.push('service', outgoing('large', 501));
  expect(outbox.isLow()).toBe(false);
  take(outbox);
  expect(outbox.isLow()).toBe(true);
});

it('takes no more replies than a client may leave unread', () => {
  const outbox = new Outbox(limits);
  let taken = 0;
  while (taken < 5000 && outbox.reply(outgoing('PONG'))) taken++;
  expect([taken, outbox.length]).toEqual([1000, 1000]);
  take(outbox, 1);
  expect(outbox.reply(outgoing('PONG'))).toBe(true);
});

it('gives its kept messages back, the newest of each kind first', () => {
  const outbox = new Outbox(limits);
  const messages = [1, 2, 3].map((sequence) => ({ sequence }) as unknown as Message);
  for (const message of messages) outbox.push('mailbox', { ...outgoing('mail'), message });
  fill(outbox, 'stream', 2);
  outbox.reply(outgoing('OK'));
  expect(outbox.clear()).toEqual([...messages].reverse());
  expect([outbox.length, outbox.take(), outbox.isLow()]).toEqual([0, undefined, true]);
  expect(outbox.clear()).toEqual([]);
});
