import { Outbox, TRAFFIC, type Outgoing, type Traffic } from '../../../broker/outbox.js';

const limits = { messagesMax: 4, bytesMax: 1000 };

function outgoing(name: string, bytes = 10): Outgoing {
  return { head: Buffer.from(name), content: [], command: undefined, bytes, message: undefined };
}

function fill(outbox: Outbox, traffic: Traffic, count: number): void {
  for (let n = 0; n < count; n++) outbox.push(traffic, outgoing(`${traffic}${n}`));
}

function take(outbox: Outbox, count = Infinity): string[] {
  const taken: string[] = [];
  while (taken.length < count) {
    const next = outbox.head();
    if (next === undefined) return taken;
    taken.push(next.head.toString());
    outbox.sent();
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

it.each(TRAFFIC)('a reply queued while %s is being sent is not taken for it', (traffic) => {
  const outbox = new Outbox(limits);
  fill(outbox, traffic, 2);
  expect(outbox.head()?.head.toString()).toBe(`${traffic}0`);
  outbox.reply(outgoing('PONG'));
  outbox.sent();
  expect(outbox.length).toBe(2);
  expect(take(outbox)).toEqual(['PONG', `${traffic}1`]);
});

it('a delivery queued while a reply is being sent is not taken for it', () => {
  const outbox = new Outbox(limits);
  outbox.reply(outgoing('OK'));
  expect(outbox.head()?.head.toString()).toBe('OK');
  outbox.push('mailbox', outgoing('mail'));
  outbox.sent();
  expect(take(outbox)).toEqual(['mail']);
});
