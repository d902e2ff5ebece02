import { Fifo } from '../../../client/fifo.js';
import { Intake } from '../../../client/intake.js';
import { DeliveryQueue, QueueIterator } from '../../../client/queue.js';

function setUp(messagesMax = 4, bytesMax = 1000, patient = true) {
  const changes: boolean[] = [];
  const intake = new Intake((paused) => changes.push(paused));
  const queue = new DeliveryQueue<string>({ messagesMax, bytesMax }, intake, patient);
  const read = (signal?: AbortSignal): QueueIterator<string> =>
    new QueueIterator(queue, signal, () => undefined);
  return { changes, intake, queue, read };
}

const done = { value: undefined, done: true };

describe('Fifo', () => {
  it('keeps the order over any number of pushes and shifts', () => {
    const fifo = new Fifo<number>();
    let pushed = 0;
    let shifted = 0;
    for (let round = 0; round < 200; round++) {
      for (let n = 0; n < 50; n++) fifo.push(pushed++);
      for (let n = 0; n < 45; n++) expect(fifo.shift()).toBe(shifted++);
      expect(fifo.peek()).toBe(shifted);
      expect(fifo.last()).toBe(pushed - 1);
      expect(fifo.length).toBe(pushed - shifted);
    }
    expect(fifo.drain()).toEqual(Array.from({ length: pushed - shifted }, (_, n) => shifted + n));
    expect([fifo.length, fifo.shift(), fifo.last()]).toEqual([0, undefined, undefined]);
  });
});

describe('DeliveryQueue', () => {
  it('gives what was pushed in order, to who waits and to who comes later', async () => {
    const { queue, read } = setUp();
    const reader = read();
    const first = reader.next();
    queue.push('a', 1);
    queue.push('b', 1);
    expect(await first).toEqual({ value: 'a', done: false });
    expect(await reader.next()).toEqual({ value: 'b', done: false });
  });

  it('closes the intake at its bound and opens it again at half of it', async () => {
    const { changes, queue, read } = setUp(4);
    const reader = read();
    for (const value of ['a', 'b', 'c']) queue.push(value, 1);
    expect(changes).toEqual([]);
    queue.push('d', 1);
    expect(changes).toEqual([true]);
    await reader.next();
    await reader.next();
    expect(changes).toEqual([true]);
    await reader.next();
    expect(changes).toEqual([true, false]);
  });

  it('counts octets too', () => {
    const { changes, queue } = setUp(100, 10);
    queue.push('a', 9);
    queue.push('b', 9);
    expect(changes).toEqual([true]);
  });

  it('takes four times its bound while an answer keeps the intake open, then no more', () => {
    const { changes, intake, queue } = setUp(4);
    intake.expect();
    const taken = Array.from({ length: 20 }, (_, n) => queue.push(String(n), 1));
    expect(taken.filter(Boolean)).toHaveLength(16);
    expect(taken[15]).toBe(true);
    expect(taken[16]).toBe(false);
    expect(changes).toEqual([]);
    intake.settle();
    expect(changes).toEqual([true]);
  });

  it('leaves the intake alone while nobody reads, and takes its bound only', () => {
    const { changes, queue } = setUp(4, 1000, false);
    const taken = Array.from({ length: 6 }, (_, n) => queue.push(String(n), 1));
    expect(taken).toEqual([true, true, true, true, false, false]);
    expect(changes).toEqual([]);
    queue.patient = true;
    expect(changes).toEqual([true]);
    queue.patient = false;
    expect(changes).toEqual([true, false]);
  });

  it('still gives what it has after its end, then the error once, then is done', async () => {
    const { queue, read } = setUp();
    queue.push('a', 1);
    queue.end(new Error('over'));
    expect(queue.push('b', 1)).toBe(false);
    const reader = read();
    expect(await reader.next()).toEqual({ value: 'a', done: false });
    await expect(reader.next()).rejects.toThrow('over');
    expect(await reader.next()).toEqual(done);
  });

  it('ends those who wait', async () => {
    const { queue, read } = setUp();
    const pending = [read().next(), read().next()];
    queue.end(new Error('over'));
    await expect(pending[0]).rejects.toThrow('over');
    expect(await pending[1]).toEqual(done);
  });

  it('gives back the intake when it ends or is cleared while full', () => {
    for (const end of ['end', 'clear'] as const) {
      const { changes, queue } = setUp(1);
      queue.push('a', 1);
      queue[end]();
      expect(changes).toEqual([true, false]);
    }
  });
});

describe('QueueIterator', () => {
  it('shares a queue: each message goes to one reader, and none is lost with a reader', async () => {
    const { queue, read } = setUp();
    const [one, two] = [read(), read()];
    const waiting = [one.next(), two.next()];
    await one.return();
    queue.push('a', 1);
    expect(await waiting[0]).toEqual(done);
    expect(await waiting[1]).toEqual({ value: 'a', done: false });
    queue.push('b', 1);
    await two.return();
    expect(await read().next()).toEqual({ value: 'b', done: false });
  });

  it('just ends when its signal fires', async () => {
    const { queue, read } = setUp();
    const controller = new AbortController();
    const got: string[] = [];
    const loop = (async () => {
      for await (const value of read(controller.signal)) got.push(value);
    })();
    queue.push('a', 1);
    await Promise.resolve();
    controller.abort();
    await loop;
    expect(got).toEqual(['a']);
  });

  it('tells once that it wants no more, also when there is no more', async () => {
    const { queue } = setUp();
    let ends = 0;
    const reader = new QueueIterator(queue, undefined, () => ends++);
    queue.end();
    await reader.next();
    await reader.return();
    expect(ends).toBe(1);
  });
});

describe('Intake', () => {
  it('is closed only while something is full and nothing is awaited', () => {
    const { changes, intake } = setUp();
    intake.fill();
    intake.expect();
    intake.expect();
    intake.settle();
    intake.settle();
    intake.fill();
    intake.drain();
    intake.drain();
    expect(changes).toEqual([true, false, true, false]);
  });
});
