import type { MlmError } from '../../../client/errors.js';
import { MlmError as Failure } from '../../../client/errors.js';
import { Outbox, type DataCommand } from '../../../client/outbox.js';
import { settle } from './fakes.js';

function message(subject: string, bytes = 1): DataCommand {
  return { name: 'STREAM SEND', subject, content: [Buffer.alloc(bytes)] };
}

/** Takes everything out, as the wire does. */
function drain(outbox: Outbox): string[] {
  const out: string[] = [];
  for (let next = outbox.peek(); next !== undefined; next = outbox.peek()) {
    if (next.command.name !== 'STREAM SEND') throw new Error('not expected here');
    out.push(`${next.stream ?? ''}:${next.command.subject}`);
    outbox.taken();
  }
  return out;
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => 'resolved',
    (error: unknown) => (error as MlmError).code,
  );
}

describe('Outbox', () => {
  it('keeps the order over streams and runs', () => {
    const outbox = new Outbox(100, 1000);
    for (const [stream, subject] of [
      ['a', 'a1'],
      ['a', 'a2'],
      ['b', 'b1'],
      ['a', 'a3'],
    ] as const) {
      void outbox.add(message(subject), stream);
    }
    expect(drain(outbox)).toEqual(['a:a1', 'a:a2', 'b:b1', 'a:a3']);
    expect([outbox.messages, outbox.bytes]).toEqual([0, 0]);
  });

  it('shares one promise among a burst, and settles it when the last has left', async () => {
    const outbox = new Outbox(100, 1000);
    const promises = [outbox.add(message('1'), 'a'), outbox.add(message('2'), 'a')];
    expect(promises[0]).toBe(promises[1]);
    let settled = false;
    void promises[0]?.then(() => (settled = true));
    outbox.taken();
    await settle();
    expect(settled).toBe(false);
    outbox.taken();
    await settle();
    expect(settled).toBe(true);
  });

  it('does not prolong a run that has begun to leave', () => {
    const outbox = new Outbox(100, 1000);
    const first = outbox.add(message('1'), 'a');
    void outbox.add(message('2'), 'a');
    outbox.taken();
    expect(outbox.add(message('3'), 'a')).not.toBe(first);
    expect(drain(outbox)).toEqual(['a:2', 'a:3']);
  });

  it('refuses beyond its bounds, and takes more when there is room', async () => {
    const outbox = new Outbox(2, 10);
    void outbox.add(message('1', 4));
    expect(await codeOf(outbox.add(message('too many octets', 7)))).toBe('BUFFER_FULL');
    void outbox.add(message('2', 4));
    expect(await codeOf(outbox.add(message('too many', 1)))).toBe('BUFFER_FULL');
    expect([outbox.messages, outbox.bytes]).toEqual([2, 8]);
    outbox.taken();
    void outbox.add(message('3', 4));
    expect(drain(outbox)).toEqual([':2', ':3']);
  });

  it('takes one message of any size while it is empty', () => {
    const outbox = new Outbox(2, 10);
    void outbox.add(message('large', 1000));
    expect(drain(outbox)).toEqual([':large']);
  });

  it('skips what was withdrawn, and forgets the withdrawals of what had left', () => {
    const outbox = new Outbox(100, 1000);
    const [gone, withdrawn, kept] = [message('gone'), message('withdrawn'), message('kept')];
    for (const command of [gone, withdrawn, kept]) void outbox.add(command);
    outbox.taken();
    outbox.withdraw(gone);
    outbox.withdraw(withdrawn);
    expect(drain(outbox)).toEqual([':kept']);
    void outbox.add(gone);
    expect(drain(outbox)).toEqual([':gone']);
  });

  it('fails what waits for one stream, and leaves the rest', async () => {
    const outbox = new Outbox(100, 1000);
    const failing = outbox.add(message('1'), 'a');
    const staying = outbox.add(message('2'), 'b');
    outbox.failStream('a', new Failure('REFUSED', 'no'));
    expect(await codeOf(failing)).toBe('REFUSED');
    expect([outbox.messages, outbox.bytes]).toEqual([1, 1]);
    expect(drain(outbox)).toEqual(['b:2']);
    expect(await codeOf(staying)).toBe('resolved');
  });

  it('tells when what waits now has left or failed', async () => {
    const outbox = new Outbox(100, 1000);
    await outbox.settled();
    outbox.add(message('1')).catch(() => undefined);
    const settled = outbox.settled();
    outbox.fail(new Failure('CLOSED', 'over'));
    await settled;
    expect(outbox.messages).toBe(0);
  });
});
