import type { Expiring } from '../../../broker/queues/deadlines.js';
import { Expiry } from '../../../broker/queues/expiry.js';
import { FakeClock } from '../../support/fake-clock.js';

interface Item extends Expiring {
  readonly id: string;
}

function item(id: string): Item {
  return { id, expiresAtMs: 0, heapIndex: -1 };
}

function setUp() {
  const clock = new FakeClock();
  const due: string[] = [];
  const turns = { count: 0 };
  const expiry = new Expiry<Item>(
    clock,
    ({ id }) => void due.push(id),
    () => {
      turns.count++;
    },
  );
  return { clock, due, turns, expiry };
}

it('says when the moment of an item has come, once, the earliest first', () => {
  const { clock, due, expiry } = setUp();
  for (const [id, delayMs] of Object.entries({ late: 300, soon: 100, mid: 200 })) {
    expiry.watch(item(id), delayMs);
  }
  clock.advance(99);
  expect(due).toEqual([]);
  clock.advance(150);
  expect(due).toEqual(['soon', 'mid']);
  clock.advance(1000);
  expect([due, clock.timers]).toEqual([['soon', 'mid', 'late'], 0]);
});

it('never watches an item without a moment', () => {
  const { clock, due, expiry } = setUp();
  expiry.watch(item('for ever'), 0);
  clock.advance(1e6);
  expect([due, clock.timers]).toEqual([[], 0]);
});

it('forgets an item that is unwatched, and does not mind one that it never watched', () => {
  const { clock, due, expiry } = setUp();
  const items = ['a', 'b', 'c'].map(item);
  for (const watched of items) expiry.watch(watched, 100);
  expiry.unwatch(items[0]!);
  expiry.unwatch(items[0]!);
  expiry.unwatch(item('stranger'));
  clock.advance(200);
  expect(due.sort()).toEqual(['b', 'c']);
});

it('watched again, an item has its new moment alone', () => {
  const { clock, due, expiry } = setUp();
  const again = item('again');
  expiry.watch(again, 100);
  expiry.watch(again, 300);
  clock.advance(250);
  expect(due).toEqual([]);
  clock.advance(100);
  expect(due).toEqual(['again']);
  expiry.watch(again, 100);
  expiry.watch(again, 50);
  expiry.unwatch(again);
  clock.advance(500);
  expect(due).toEqual(['again']);
});

it('sets one timer for all, anew where something comes before it', () => {
  const { clock, due, expiry } = setUp();
  for (let n = 1000; n > 0; n--) expiry.watch(item(`n${n}`), n * 10);
  expect(clock.timers).toBe(1);
  clock.advance(10);
  expect(due).toEqual(['n1']);
  expiry.stop();
  clock.advance(1e6);
  expect([due, clock.timers]).toEqual([['n1'], 0]);
});

it('lets others have their turn between many that are due together', () => {
  const { clock, due, turns, expiry } = setUp();
  for (let n = 0; n < 1700; n++) expiry.watch(item(`n${n}`), 100);
  clock.jump(200);
  expect(due.length).toBe(500);
  clock.advance(100);
  expect([due.length, turns.count]).toEqual([1700, 4]);
});

it('waits for a moment that is further away than any timer', () => {
  const { clock, due, expiry } = setUp();
  expiry.watch(item('far'), 0xffffffff);
  expect(clock.timers).toBe(1);
  clock.advance(2 ** 31 + 1000);
  expect(due).toEqual([]);
  clock.advance(2 ** 31);
  expect(due).toEqual(['far']);
});

it('is late rather than early where the clock has parts of milliseconds', () => {
  const { clock, due, expiry } = setUp();
  clock.advance(0.75);
  expiry.watch(item('a'), 10.5);
  clock.advance(10.4);
  expect(due).toEqual([]);
  clock.advance(6);
  expect(due).toEqual(['a']);
});

it('takes what came while the broker stood still before it says that anything is due', () => {
  const { clock, due, expiry } = setUp();
  const [extended, done, over] = [item('extended'), item('done'), item('over')];
  for (const watched of [extended, done, over]) expiry.watch(watched, 1000);
  clock.jump(3000);
  expect([due, clock.timers]).toEqual([[], 1]);
  expiry.watch(extended, 1000);
  expiry.unwatch(done);
  clock.advance(60);
  expect(due).toEqual(['over']);
  clock.advance(1000);
  expect([due, clock.timers]).toEqual([['over', 'extended'], 0]);
});

it('puts nothing off for ever where it is always late', () => {
  const { clock, due, expiry } = setUp();
  expiry.watch(item('a'), 1000);
  for (let n = 0; n < 20; n++) clock.jump(3000);
  expect(due).toEqual(['a']);
});
