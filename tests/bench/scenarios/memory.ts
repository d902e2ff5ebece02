// The broker's resident size (VmRSS) where memory could grow without bound:
// waiting requests, clients that come and go, a reader that never reads. Each
// on a broker just started, measured once: this is counting, not timing.
import { setTimeout as sleep } from 'node:timers/promises';
import { onEach, type Comparison, type Context, type Group, type Sample } from '../comparison.js';
import type { LoadProcess, Part } from '../load/generator.js';
import { memoryComparisons } from '../native/memory.js';
import { memoryOf } from '../peers/process.js';
import type { Peer, RunningBroker } from '../peers/peer.js';
import { freshName, mustBeComplete, play } from './parts.js';

const REQUESTS = 100_000;
const CONNECTS_FIRST = 10_000;
const CONNECTS = 100_000;
const FLOOD = 200_000;
const FLOOD_MIDDLE = 1_000_000;
const FLOOD_END = 1_500_000;
const EXPIRY_MS = 1000;

/** @param main our broker's main.js of another build */
export function memory(peers: readonly Peer[], main: string | undefined): Group {
  return {
    title: 'Memory: resident size of the broker’s process',
    notes: [
      'Each on a broker just started; MB are 10^6 octets.',
      'Waiting requests: none is lost, a worker takes them all afterwards.' +
        ' Connects: 100 at once, every tenth client vanishes without CLOSE; measured once those have expired.' +
        ' Sleeping reader: it stays connected and alive but never takes a message from its socket;' +
        ' what it has not read is in the log of the stream, which is bounded (64 MiB unless said).',
      'Native sessions: everything on disk, 100-octet bodies. The slow reader takes one message and then sleeps,' +
        ' while a million are written; in the end it wakes and gets them all. Pages of the data file count as' +
        ' resident while the system has nothing better to do with them.',
    ],
    comparisons: [
      waitingRequests(peers),
      connects(peers),
      sleepingReader(peers),
      ...memoryComparisons(main),
    ],
  };
}

function waitingRequests(peers: readonly Peer[]): Comparison {
  return {
    name: 'memory-requests',
    rows: [
      { figure: 'start', title: 'at start', unit: 'MB' },
      { figure: 'waiting', title: `with ${REQUESTS} requests waiting`, unit: 'MB' },
      { figure: 'each', title: '  for each request', unit: 'octets' },
      { figure: 'drained', title: '  once a worker took them', unit: 'MB' },
    ],
    contenders: onEach(peers, async (broker, context): Promise<Sample> => {
      const { endpoint } = broker;
      const target = freshName('service');
      const count = REQUESTS / context.shrink;
      const start = memoryOf(broker.pid).nowMB;
      const flood = await begin(context, {
        role: 'flood-service',
        options: { endpoint, target, count, address: freshName('flooder') },
      });
      try {
        await flood.done();
        const waiting = memoryOf(broker.pid).nowMB;
        const { results } = await play(context, broker, [
          { role: 'drain', options: { endpoint, target, address: freshName('worker') } },
        ]);
        mustBeComplete(count, results[0]!);
        const drained = memoryOf(broker.pid).nowMB;
        return { start, waiting, each: ((waiting - start) * 1e6) / count, drained };
      } finally {
        await flood.end();
      }
    }),
    runs: 'once',
  };
}

function connects(peers: readonly Peer[]): Comparison {
  const contenders = onEach(
    peers,
    async (broker, context): Promise<Sample> => {
      const first = await afterConnects(CONNECTS_FIRST / context.shrink, broker, context);
      const all = await afterConnects(
        (CONNECTS - CONNECTS_FIRST) / context.shrink,
        broker,
        context,
      );
      return { first, all, growth: all / first };
    },
    { timeoutMs: EXPIRY_MS },
  );
  return {
    name: 'memory-connects',
    rows: [
      { figure: 'first', title: `after ${CONNECTS_FIRST} connects and disconnects`, unit: 'MB' },
      { figure: 'all', title: `after ${CONNECTS} connects and disconnects`, unit: 'MB' },
      { figure: 'growth', title: '  growth between the two', unit: '×', own: { most: 1.2 } },
    ],
    contenders,
    runs: 'once',
  };
}

async function afterConnects(
  count: number,
  broker: RunningBroker,
  context: Context,
): Promise<number> {
  const { endpoint } = broker;
  await play(context, broker, [{ role: 'churn', options: { endpoint, count } }]);
  await sleep(EXPIRY_MS * 1.5 + 500);
  return memoryOf(broker.pid).nowMB;
}

function sleepingReader([ours, ...others]: readonly Peer[]): Comparison {
  return {
    name: 'memory-sleeper',
    rows: [
      { figure: 'first', title: `after ${FLOOD} messages to a sleeping reader`, unit: 'MB' },
      { figure: 'middle', title: `after ${FLOOD_MIDDLE}`, unit: 'MB' },
      { figure: 'end', title: `after ${FLOOD_END}`, unit: 'MB' },
      { figure: 'growth', title: '  growth between the last two', unit: '×', own: { most: 1.2 } },
    ],
    contenders: [
      { peer: ours!, measure: (broker, context) => floods(true, broker, context) },
      // Where nothing bounds the queue, more would fill the machine.
      ...onEach(others, (broker, context) => floods(false, broker, context)),
    ],
    runs: 'once',
  };
}

async function floods(on: boolean, broker: RunningBroker, context: Context): Promise<Sample> {
  const target = freshName('stream');
  const sleeper = await begin(context, {
    role: 'sleep',
    options: { endpoint: broker.endpoint, target, address: freshName('sleeper') },
  });
  try {
    const first = await afterFlood(FLOOD, target, broker, context);
    if (!on) return { first };
    const middle = await afterFlood(FLOOD_MIDDLE - FLOOD, target, broker, context);
    const end = await afterFlood(FLOOD_END - FLOOD_MIDDLE, target, broker, context);
    return { first, middle, end, growth: end / middle };
  } finally {
    await sleeper.end();
  }
}

async function afterFlood(
  messages: number,
  target: string,
  broker: RunningBroker,
  context: Context,
): Promise<number> {
  const flood = await begin(context, {
    role: 'flood-stream',
    options: {
      endpoint: broker.endpoint,
      target,
      count: messages / context.shrink,
      address: freshName('flooder'),
    },
  });
  try {
    const { stalled } = await flood.done();
    if (stalled) throw new Error('the broker did not answer after the flood');
    return memoryOf(broker.pid).nowMB;
  } finally {
    await flood.end();
  }
}

/** Starts one role and releases it; it goes on after `done` until it is ended. */
async function begin(context: Context, part: Part): Promise<LoadProcess> {
  const load = context.generator.start(part);
  try {
    await load.ready();
  } catch (error) {
    await load.end();
    throw error;
  }
  load.go();
  return load;
}
