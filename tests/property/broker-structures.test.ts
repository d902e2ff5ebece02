// The broker's small data structures against the plain arrays that they stand
// for: any sequence of operations must look the same from outside.
import fc from 'fast-check';
import { Deadlines, type Expiring } from '../../broker/queues/deadlines.js';
import { Deque } from '../../broker/deque.js';
import type { Message } from '../../broker/queues/message.js';
import { WaitingLine } from '../../broker/queues/waiting-line.js';

const RUNS = { numRuns: 50 };

describe('Deque', () => {
  const operation = fc.oneof(
    { weight: 4, arbitrary: fc.constant('push' as const) },
    { weight: 3, arbitrary: fc.constant('unshift' as const) },
    { weight: 3, arbitrary: fc.constant('shift' as const) },
    { weight: 2, arbitrary: fc.constant('pop' as const) },
    { weight: 1, arbitrary: fc.constant('filter' as const) },
    { weight: 1, arbitrary: fc.constant('burst' as const) },
    { weight: 1, arbitrary: fc.constant('drain' as const) },
  );

  function apply(kind: string, deque: Deque<number>, array: number[], n: number): void {
    if (kind === 'push') {
      deque.push(n);
      array.push(n);
    } else if (kind === 'unshift') {
      deque.unshift(n);
      array.unshift(n);
    } else if (kind === 'shift') expect(deque.shift()).toBe(array.shift());
    else if (kind === 'pop') expect(deque.pop()).toBe(array.pop());
    else if (kind === 'filter') {
      deque.filter((item) => item % 3 !== 0);
      array.splice(0, array.length, ...array.filter((item) => item % 3 !== 0));
    } else if (kind === 'burst') {
      for (let more = 0; more < 40; more++) {
        deque.push(more);
        array.push(more);
      }
    } else {
      while (array.length > 3) expect(deque.shift()).toBe(array.shift());
    }
  }

  it('is an array whose both ends are cheap', () => {
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 120, size: 'max' }), (operations) => {
        const deque = new Deque<number>();
        const array: number[] = [];
        operations.forEach((kind, n) => {
          apply(kind, deque, array, n);
          expect([...deque]).toEqual(array);
          expect(deque.length).toBe(array.length);
          expect([deque.peek(), deque.peekBack()]).toEqual([array[0], array.at(-1)]);
          expect([deque.at(n % 7), deque.at(-1)]).toEqual([array[n % 7], undefined]);
        });
        deque.clear();
        expect([deque.length, deque.peek(), [...deque]]).toEqual([0, undefined, []]);
      }),
      RUNS,
    );
  });
});

describe('Deadlines', () => {
  interface Item extends Expiring {
    readonly id: number;
  }
  const step = fc.oneof(
    { weight: 5, arbitrary: fc.record({ add: fc.nat(50) }) },
    { weight: 3, arbitrary: fc.record({ remove: fc.nat(1000) }) },
    { weight: 2, arbitrary: fc.record({ pass: fc.nat(20) }) },
  );

  it('gives up what has expired, the earliest first, and nothing else', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200, size: 'max' }), (steps) => {
        const deadlines = new Deadlines<Item>();
        let model: Item[] = [];
        let nowMs = 0;
        steps.forEach((action, id) => {
          if ('add' in action) {
            const item = { id, expiresAtMs: nowMs + action.add, heapIndex: -1 };
            deadlines.add(item);
            model.push(item);
          } else if ('remove' in action) {
            const item = model[action.remove % Math.max(1, model.length)];
            if (item !== undefined) {
              deadlines.remove(item);
              deadlines.remove(item);
              expect(item.heapIndex).toBe(-1);
              model = model.filter((other) => other !== item);
            }
          } else {
            nowMs += action.pass;
            const taken: Item[] = [];
            for (let item; (item = deadlines.takeExpired(nowMs)) !== undefined;) taken.push(item);
            const due = model.filter((item) => item.expiresAtMs <= nowMs);
            model = model.filter((item) => item.expiresAtMs > nowMs);
            expect(taken.map((item) => item.expiresAtMs)).toEqual(
              due.map((item) => item.expiresAtMs).sort((a, b) => a - b),
            );
            expect(new Set(taken)).toEqual(new Set(due));
          }
          const sooner = Math.min(...model.map((item) => item.expiresAtMs));
          expect(deadlines.nextMs).toBe(model.length === 0 ? undefined : sooner);
          expect(deadlines.size).toBe(model.length);
        });
      }),
      RUNS,
    );
  });
});

describe('WaitingLine', () => {
  type Place = Pick<Message, 'order' | 'line'>;
  const step = fc.oneof(
    { weight: 5, arbitrary: fc.constant('push' as const) },
    { weight: 3, arbitrary: fc.constant('shift' as const) },
    { weight: 2, arbitrary: fc.constant('back' as const) },
    { weight: 1, arbitrary: fc.constant('drain' as const) },
    { weight: 4, arbitrary: fc.record({ gone: fc.nat(1000) }) },
  );

  it('is a queue from which messages may vanish, and to which they may come back', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 250, size: 'max' }), (steps) => {
        const line = new WaitingLine();
        let model: Place[] = [];
        const taken: Place[] = [];
        steps.forEach((action, order) => {
          if (action === 'push') {
            const message: Place = { order, line: undefined };
            line.push(message as unknown as Message);
            model.push(message);
          } else if (action === 'shift') {
            const message = model.shift();
            expect(line.peek()).toBe(message);
            expect(line.shift()).toBe(message);
            if (message !== undefined) taken.push(message);
          } else if (action === 'back') {
            const message = taken.pop();
            if (message === undefined) return;
            line.putBack(message as unknown as Message);
            model = [...model, message].sort((a, b) => a.order - b.order);
          } else if (action === 'drain') {
            expect(line.drain()).toEqual(model);
            model = [];
          } else {
            const message = model[action.gone % Math.max(1, model.length)];
            if (message === undefined) return;
            line.leave(message as Message);
            model = model.filter((other) => other !== message);
          }
          expect(line.length).toBe(model.length);
        });
        expect(line.drain()).toEqual(model);
      }),
      RUNS,
    );
  });

  it('closes up when most of its places are empty', () => {
    const line = new WaitingLine();
    const messages = Array.from({ length: 1000 }, (_, order) => ({ order }));
    for (const message of messages) line.push(message as unknown as Message);
    for (const message of messages.slice(1)) line.leave(message as unknown as Message);
    expect([line.length, line.shift(), line.shift()]).toEqual([1, messages[0], undefined]);
  });
});
