// `mlm top`: what a page of it says, and how fast a service is from two looks at
// a broker in this process.
import { viewLines } from '../../../client/commands/top/view.js';
import { look, type ServiceRow, type Snapshot } from '../../../client/commands/top/snapshot.js';
import { unpainted } from '../../../client/commands/shared/styles.js';
import { RequestFailure, type MlmClient, type Offer } from '../../../client/index.js';
import { World } from '../../support/sessions.js';
import { until, untilPasses } from '../../support/until.js';

const calm: ServiceRow = {
  service: 'render',
  workers: 3,
  busy: 2,
  idle: 1,
  paused: 0,
  waiting: 4,
  oldestMs: 61_000,
  running: 2,
  bytes: 100,
  accepted: 1010,
  done: 1004,
  reused: 0,
  failed: 0,
  dead: 0,
  rates: {},
};

/** The table of services, as it is shown. */
function servicesOf(...services: ServiceRow[]): string[] {
  const snapshot: Snapshot = { stats: {}, rates: {}, services, workers: [] };
  const lines = viewLines(snapshot, 'tcp://127.0.0.1:1', unpainted);
  return lines.slice(lines.indexOf('') + 1, lines.lastIndexOf(''));
}

it('a service that works well has few columns', () => {
  const rates = { in: 12.5, done: 1250, failed: 0 };
  expect(servicesOf({ ...calm, rates }, { ...calm, service: 'new', oldestMs: null })).toEqual([
    'SERVICE  WAITING     OLDEST  RUNNING  BUSY  IDLE  IN/S  DONE/S   DONE',
    'new            4          -        2     2     1     -       -  1,004',
    'render         4  1 min 1 s        2     2     1  12.5   1,250  1,004',
  ]);
});

it('what is wrong anywhere has its column for all', () => {
  const [titles = '', ...rows] = servicesOf(calm, {
    ...calm,
    service: 'bad',
    paused: 1,
    reused: 5,
    failed: 7,
    dead: 2,
    rates: { in: 0, done: 0, failed: 0.3 },
  });
  expect(titles.split(/ +/).slice(5)).toEqual(
    'IDLE PAUSED IN/S DONE/S FAILED/S DONE REUSED FAILED DEAD'.split(' '),
  );
  expect(rows.map((row) => row.split(/ {2,}/).slice(5).join(' '))).toEqual([
    '1 1 0 0 0.3 1,004 5 7 2',
    '1 0 - - - 1,004 0 0 0',
  ]);
});

describe('two looks', () => {
  const world = new World();
  let client: MlmClient;
  let last: Snapshot | undefined;
  beforeEach(async () => {
    await world.broker();
    client = await world.client();
    last = undefined;
  });
  afterEach(() => world.close());

  /** How fast the service is since the look before, as signs. */
  async function lookAgain(): Promise<Record<string, number> | undefined> {
    const before = last?.stats['uptimeMs'];
    await until(async () => {
      const { uptimeMs } = (await client.request('$broker', 'stats')).value() as Snapshot['stats'];
      return uptimeMs !== before;
    });
    // A broker that stands still for as long as a look may take is looked at again.
    const { signal } = new AbortController();
    await untilPasses(async () => void (last = await look(client, last, signal)));
    const rates = last?.services.find(({ service }) => service === 's')?.rates;
    return rates && Object.fromEntries(Object.entries(rates).map(([k, v]) => [k, Math.sign(v)]));
  }

  async function offer(): Promise<Offer> {
    return (await world.client()).offer('s', ({ subject }) => {
      if (subject === 'bad') throw new RequestFailure('bad-input', 'bad');
    });
  }

  it('tell how fast requests come, are done, and fail', async () => {
    const offered = await offer();
    expect(await lookAgain()).toEqual({});
    expect(await lookAgain()).toEqual({ in: 0, done: 0, failed: 0 });
    await client.request('s', 'good');
    expect(await lookAgain()).toEqual({ in: 1, done: 1, failed: 0 });
    await expect(client.request('s', 'bad')).rejects.toThrow('bad');
    expect(await lookAgain()).toEqual({ in: 1, done: 0, failed: 1 });
    expect(last?.services).toMatchObject([{ accepted: 2, done: 1, failed: 1, dead: 1 }]);
    await offered.stop();
  });

  it('count anew what the broker had forgotten meanwhile', async () => {
    const offered = await offer();
    for (const subject of ['one', 'two', 'three']) await client.request('s', subject);
    await lookAgain();
    await offered.stop();
    await offer();
    await client.request('s', 'four');
    expect(await lookAgain()).toEqual({ in: 1, done: 1, failed: 0 });
    expect(last?.services).toMatchObject([{ accepted: 1, done: 1 }]);
  });

  it('of which the first was at another broker tell nothing', async () => {
    await offer();
    await lookAgain();
    last = { ...last!, stats: { ...last!.stats, pid: 1 } };
    expect(await lookAgain()).toEqual({});
  });
});
