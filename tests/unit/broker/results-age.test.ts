// How results are given up that are too old: what that costs while there are many.
import { Results } from '../../../broker/queues/results.js';
import { MemoryStore } from '../../../broker/store/memory.js';
import { singleStore, Storage } from '../../../broker/store/storage.js';
import { FakeClock } from '../../support/fake-clock.js';

/** A clock that counts how often it is asked for the time of day. */
class CountingClock extends FakeClock {
  asked = 0;

  override wallMs(): number {
    this.asked++;
    return super.wallMs();
  }
}

const AGE_MS_MAX = 1000;
const BODY = [Buffer.from('x')];

function setUp() {
  const clock = new CountingClock();
  const nothing = (): void => undefined;
  const log = { error: nothing, warn: nothing, info: nothing, debug: nothing };
  const events = { gathering: nothing, retry: nothing, ended: nothing };
  const storage = new Storage(singleStore(new MemoryStore(), 0), log, events);
  const bounds = { resultsMax: 1e6, bytesMax: 1e9, ageMsMax: AGE_MS_MAX };
  const results = new Results({ clock, limits: { results: bounds } });
  const service = results.of('s', storage.place('memory'));
  const keep = (version: string, inputs: number): void => {
    for (let input = 0; input < inputs; input++) {
      service.keep(version, String(input), { worker: 'w', content: BODY });
    }
  };
  return { clock, results, service, keep };
}

it('looks at none that is young, however many there are and in which order they were of use', () => {
  const { clock, results, service, keep } = setUp();
  keep('old', 100);
  clock.advance(600);
  keep('young', 1000);
  // What is old comes last among what was of use.
  for (let input = 0; input < 50; input++) service.find('old', String(input), Infinity);
  clock.advance(400);
  clock.asked = 0;
  results.trim();
  expect([results.size, clock.asked]).toEqual([1100, 1]);
  clock.advance(1);
  results.trim();
  expect([results.size, clock.asked]).toEqual([1000, 2]);
});

it('goes by when a result was kept last', () => {
  const { clock, results, keep } = setUp();
  keep('1', 10);
  clock.advance(600);
  keep('1', 5);
  clock.advance(500);
  results.trim();
  expect(results.size).toBe(5);
  clock.advance(501);
  results.trim();
  expect(results.size).toBe(0);
});

it('gives up very many one part after another', () => {
  const { clock, results, keep } = setUp();
  keep('1', 25_000);
  clock.advance(AGE_MS_MAX + 1);
  const left: number[] = [];
  for (let trims = 0; trims < 3; trims++) {
    results.trim();
    left.push(results.size);
  }
  expect(left).toEqual([15_000, 5000, 0]);
});

it('gives up those that were kept before the clock was set back, and no others', () => {
  const { clock, results, service, keep } = setUp();
  keep('before', 10);
  clock.advance(100);
  keep('future', 10);
  clock.setWall(-50);
  keep('after', 10);
  results.trim();
  expect(results.size).toBe(20);
  clock.advance(100);
  results.trim();
  expect(results.size).toBe(20);
  expect(service.find('future', '1', Infinity)).toBeUndefined();
});
