// Mail: sending with and without confirmation, reading, confirming.
import type { MlmClient } from '../../../client/client.js';
import { MlmError } from '../../../client/errors.js';
import type { Command } from '../../../protocol/index.js';
import { FakeBroker, mailDelivery, settle } from './fakes.js';

let broker: FakeBroker;
let client: MlmClient;
beforeEach(async () => {
  broker = new FakeBroker();
  client = await broker.connect({ bufferMessagesMax: 4 });
});

async function codeOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => 'resolved',
    (error: unknown) => (error as MlmError).code,
  );
}

const sentMail = (): Command<'MAILBOX SEND'>[] => broker.link.ofName('MAILBOX SEND');
const confirm = (tracker: string, statusCode: number, statusReason = ''): Command => ({
  name: 'CONFIRM',
  tracker,
  statusCode,
  statusReason,
});

describe('sendTo', () => {
  it('sends address, subject, tracker, timeout and body as given', async () => {
    await client.sendTo('bob', 'hello', [Buffer.from('a'), Buffer.from('b')], {
      tracker: 'T',
      timeoutMs: 5000,
    });
    await client.sendTo('bob', '');
    expect(sentMail()).toEqual([
      {
        name: 'MAILBOX SEND',
        address: 'bob',
        subject: 'hello',
        tracker: 'T',
        timeout: 5000,
        content: [Buffer.from('a'), Buffer.from('b')],
      },
      { name: 'MAILBOX SEND', address: 'bob', subject: '', tracker: '', timeout: 0, content: [] },
    ]);
  });

  it.each([
    [200, 'resolved'],
    [300, 'REFUSED'],
    [408, 'EXPIRED'],
    [502, 'REFUSED'],
  ])('with confirm: CONFIRM %i means %s', async (status, outcome) => {
    const sending = client.sendTo('bob', 'hello', 1, { confirm: true });
    await settle();
    const { tracker } = sentMail()[0] as Command<'MAILBOX SEND'>;
    expect(tracker).not.toBe('');
    broker.link.bring(confirm('another', 200));
    broker.link.bring(confirm(tracker, status, 'the reason'));
    expect(await codeOf(sending)).toBe(outcome);
  });

  it('with confirm: times out, can be aborted, and then is not confirmed any more', async () => {
    const heard: string[] = [];
    client.on('confirm', ({ tracker, status }) => heard.push(`${tracker} ${status}`));
    const controller = new AbortController();
    const { signal } = controller;
    const sends = [
      codeOf(client.sendTo('bob', 'a', 1, { confirm: true, tracker: 'A', timeoutMs: 100 })),
      codeOf(client.sendTo('bob', 'b', 1, { confirm: true, tracker: 'B', signal })),
    ];
    await broker.clock.pass(100);
    controller.abort();
    expect(await Promise.all(sends)).toEqual(['TIMEOUT', 'ABORTED']);
    broker.link.bring(confirm('A', 200));
    expect(heard).toEqual(['A 200']);
  });

  it('with confirm: takes mail back that has not left when the wait ends', async () => {
    broker.link.cut(new MlmError('DISCONNECTED', 'cut'));
    const late = codeOf(client.sendTo('bob', 'late', 1, { confirm: true, timeoutMs: 10 }));
    await client.sendTo('bob', 'kept', 1, { signal: AbortSignal.abort() }).catch(() => undefined);
    const kept = client.sendTo('bob', 'kept');
    await broker.clock.pass(100);
    await kept;
    expect(await late).toBe('TIMEOUT');
    expect(sentMail().map(({ subject }) => subject)).toEqual(['kept']);
  });

  it('refuses a second wait under one tracker', async () => {
    const first = codeOf(client.sendTo('bob', 'a', 1, { confirm: true, tracker: 'A' }));
    expect(await codeOf(client.sendTo('bob', 'b', 1, { confirm: true, tracker: 'A' }))).toBe(
      'INVALID_ARGUMENT',
    );
    await settle();
    broker.link.bring(confirm('A', 200));
    expect(await first).toBe('resolved');
  });

  it('gives a CONFIRM that nobody waits for to listeners', async () => {
    const heard: unknown[] = [];
    client.on('confirm', (confirmation) => heard.push(confirmation));
    await client.sendTo('bob', 'x', 1, { tracker: 'T' });
    broker.link.bring(confirm('T', 408, 'late'));
    expect(heard).toEqual([{ tracker: 'T', status: 408, reason: 'late' }]);
  });

  it.each([
    ['an empty address', ['', 'x']],
    ['an address that is too long', ['a'.repeat(256), 'x']],
    ['a subject that is too long', ['a', 'x'.repeat(256)]],
  ] as const)('refuses %s', async (_, [address, subject]) => {
    expect(await codeOf(client.sendTo(address, subject))).toBe('INVALID_ARGUMENT');
  });
});

describe('mailbox', () => {
  it('gives mail in order, also what came before anybody read', async () => {
    broker.link.bring(mailDelivery('1'));
    const mailbox = client.mailbox();
    broker.link.bring(mailDelivery('2', 'T'));
    expect((await mailbox.next()).value).toMatchObject({
      subject: '1',
      sender: 'friend',
      tracker: '',
    });
    expect((await mailbox.next()).value).toMatchObject({ subject: '2', tracker: 'T' });
  });

  it('keeps its bounds while nobody reads, tells of what it drops, and stops nobody', async () => {
    const dropped: string[] = [];
    client.on('dropped', ({ from, name, subject }) => dropped.push(`${from} ${name} ${subject}`));
    for (let n = 0; n < 7; n++) broker.link.bring(mailDelivery(String(n)));
    expect(dropped).toEqual(['mailbox me 4']);
    expect(broker.link.paused).toBe(false);
    const got: string[] = [];
    for await (const mail of client.mailbox()) {
      got.push(mail.subject);
      if (got.length === 4) break;
    }
    expect(got).toEqual(['0', '1', '2', '3']);
  });

  it('makes the client take no more while its reader is slow, and more when that leaves', async () => {
    const mailbox = client.mailbox();
    for (let n = 0; n < 4; n++) broker.link.bring(mailDelivery(String(n)));
    expect(broker.link.paused).toBe(true);
    await mailbox.return?.();
    expect(broker.link.paused).toBe(false);
  });

  it('confirms and rejects by CONFIRM; mail without a tracker asks for nothing', async () => {
    for (const tracker of ['A', 'B', '']) broker.link.bring(mailDelivery('x', tracker));
    const mailbox = client.mailbox();
    await (await mailbox.next()).value?.confirm();
    await (await mailbox.next()).value?.reject('not today');
    await (await mailbox.next()).value?.confirm();
    expect(broker.link.ofName('CONFIRM')).toEqual([
      confirm('A', 200),
      confirm('B', 300, 'not today'),
    ]);
  });

  it('is not for the anonymous', async () => {
    const anonymous = await broker.connect({ address: '' });
    expect(() => anonymous.mailbox()).toThrow(
      expect.objectContaining({ code: 'UNSUPPORTED' }) as Error,
    );
  });

  it('with a signal that has fired gives nothing and takes nothing', async () => {
    broker.link.bring(mailDelivery('1'));
    expect((await client.mailbox({ signal: AbortSignal.abort() }).next()).done).toBe(true);
    expect((await client.mailbox().next()).value?.subject).toBe('1');
  });
});
