// Native comparisons of streams: written and read at once, appended with
// acceptance, replayed, single sends, large bodies; beside NATS, JetStream,
// Redis, LMDB and a bare ROUTER.
import type { Comparison, Contender, Context, Row, Sample } from '../comparison.js';
import { bareRouter, lmdbAlone } from '../peers/bare.js';
import { nats } from '../peers/nats.js';
import { malamuteTs } from '../peers/ours.js';
import type { Peer, RunningBroker } from '../peers/peer.js';
import { redis } from '../peers/redis.js';
import { cpuMsOf } from '../peers/process.js';
import { cpuUs, freshName, mustBeComplete, perSecond } from '../scenarios/parts.js';
import { playNative } from './play.js';

const FLOW = 600_000;
const FLOW_WARMUP = 200_000;
const WINDOW = 100_000;
const IN_FLIGHT = 256;
const STORED = 1_000_000;
const LARGE_BYTES = 1_000_000;
const LARGE = 300;
const LARGE_WARMUP = 60;
const SECONDS = 1.5;
/** So that a million messages stay in a stream. */
const LONG_LOG = ['--stream-bytes-max', '1000000000'];

/** @param main our broker's main.js of another build */
export function streamComparisons(main: string | undefined): Comparison[] {
  const ours = malamuteTs(main, { storage: 'disk', flags: LONG_LOG });
  const inMemory = malamuteTs(main, { storage: 'memory', flags: LONG_LOG });
  const core = nats('NATS core');
  const jetstream = nats('JetStream');
  return [
    {
      name: 'native-flow',
      rows: [
        {
          figure: 'rate',
          title: 'stream 1 → 1, durable, in lists',
          unit: '/s',
          ratio: { least: 1.5 },
        },
        { figure: 'millions', title: '  of 1,000,000/s', unit: '×', own: { least: 1 } },
        ...cpuRows,
      ],
      contenders: [
        { peer: ours, measure: flow('ours:publish', 'ours:readBatches') },
        { peer: core, measure: flow('nats:publish', 'nats:subscribe') },
      ],
      runs: 'alternate',
    },
    {
      name: 'native-flow-each',
      rows: [{ figure: 'rate', title: 'the same, one message at a time', unit: '/s' }, ...cpuRows],
      contenders: [{ peer: ours, measure: flow('ours:publish', 'ours:readEach') }],
      runs: 'alternate',
    },
    {
      name: 'native-append',
      rows: [
        {
          figure: 'rate',
          title: `append, accepted, ${IN_FLIGHT} in flight`,
          unit: '/s',
          ratio: { least: 10 },
        },
        { figure: 'p50Us', title: '  p50 of one acceptance', unit: 'µs' },
      ],
      contenders: [
        { peer: ours, measure: append('ours:append', IN_FLIGHT) },
        { peer: jetstream, measure: append('nats:append', IN_FLIGHT) },
      ],
      runs: 'alternate',
    },
    replays(ours, jetstream, 'jetstream', 4, 'nats:fill', 'nats:replay'),
    replays(ours, redis('Redis XREAD'), 'redis', 1.5, 'redis:fill', 'redis:replay'),
    {
      name: 'native-lone-send',
      rows: [
        {
          figure: 'p50Us',
          title: 'one durable send at a time, p50',
          unit: 'µs',
          ratio: { most: 1.5 },
        },
        { figure: 'p99Us', title: '  p99', unit: 'µs' },
      ],
      contenders: [
        { peer: ours, measure: append('ours:append', 1) },
        { peer: lmdbAlone(), measure: append('bare:commit', 1) },
      ],
      runs: 'alternate',
    },
    large('native-large', 'bodies of 1 MB, durable', ours),
    large('native-large-ephemeral', 'bodies of 1 MB, in memory', inMemory),
  ];
}

const cpuRows: readonly Row[] = [
  { figure: 'brokerUs', title: '  broker CPU for each', unit: 'µs' },
  { figure: 'writerUs', title: '  writer CPU for each', unit: 'µs' },
  { figure: 'readerUs', title: '  reader CPU for each', unit: 'µs' },
];

type Measure = Contender['measure'];

function flow(writer: string, reader: string): Measure {
  return async ({ endpoint, pid }, { shrink }) => {
    const target = freshName('flow');
    const [count, warmup] = [FLOW / shrink, FLOW_WARMUP / shrink];
    const shared = { endpoint, target, window: WINDOW };
    const before = cpuMsOf(pid);
    const [read, write] = await playNative([
      { role: reader, options: shared },
      { role: writer, options: { ...shared, count, warmup } },
    ]);
    const brokerMs = cpuMsOf(pid) - before;
    mustBeComplete(count + warmup, read!);
    const rate = perSecond(count, write!.firstNs, read!.lastNs);
    return {
      rate,
      millions: rate / 1e6,
      brokerUs: cpuUs(brokerMs, count + warmup),
      writerUs: cpuUs(write!.cpuMs, count + warmup),
      readerUs: cpuUs(read!.cpuMs, count + warmup),
    };
  };
}

function append(role: string, window: number): Measure {
  return async ({ endpoint }, { shrink }) => {
    const seconds = shrink > 1 ? 0.2 : SECONDS;
    const target = freshName('append');
    const [result] = await playNative([{ role, options: { endpoint, target, window, seconds } }]);
    const { count, disordered, firstNs, lastNs, p50Us, p99Us } = result!;
    if (disordered > 0) throw new Error(`DISORDER: ${disordered} of ${count} out of order`);
    return { rate: perSecond(count, firstNs, lastNs), p50Us: p50Us!, p99Us: p99Us! };
  };
}

function replays(
  ours: Peer,
  peer: Peer,
  name: string,
  least: number,
  filler: string,
  reader: string,
): Comparison {
  return {
    name: `native-replay-${name}`,
    rows: [
      {
        figure: 'rate',
        title: 'replay of 1,000,000 stored messages',
        unit: '/s',
        ratio: { least },
      },
      { figure: 'brokerUs', title: '  server CPU for each', unit: 'µs' },
      { figure: 'readerUs', title: '  reader CPU for each', unit: 'µs' },
    ],
    contenders: [
      { peer: ours, measure: replay('ours:publish', 'ours:replay') },
      { peer, measure: replay(filler, reader) },
    ],
    runs: 'alternate',
  };
}

/** The first run fills the broker; it does not count. */
function replay(filler: string, reader: string): Measure {
  const filled = new WeakMap<RunningBroker, string>();
  return async (broker: RunningBroker, { shrink }: Context): Promise<Sample> => {
    const { endpoint, pid } = broker;
    const count = STORED / shrink;
    let target = filled.get(broker);
    if (target === undefined) {
      target = freshName('stored');
      await playNative([{ role: filler, options: { endpoint, target, count } }]);
      filled.set(broker, target);
    }
    const before = cpuMsOf(pid);
    const [read] = await playNative([{ role: reader, options: { endpoint, target } }]);
    const brokerMs = cpuMsOf(pid) - before;
    mustBeComplete(count, read!);
    return {
      rate: perSecond(count, read!.firstNs, read!.lastNs),
      brokerUs: cpuUs(brokerMs, count),
      readerUs: cpuUs(read!.cpuMs, count),
    };
  };
}

function large(name: string, title: string, ours: Peer): Comparison {
  return {
    name,
    rows: [
      { figure: 'rate', title, unit: 'MB/s', ratio: { least: 0.5 } },
      { figure: 'brokerMs', title: '  server CPU for each', unit: 'ms' },
    ],
    contenders: [
      { peer: ours, measure: bodies('ours:publish', 'ours:readBatches') },
      { peer: bareRouter(), measure: bodies('bare:send', 'bare:receive') },
    ],
    runs: 'alternate',
  };
}

function bodies(writer: string, reader: string): Measure {
  return async ({ endpoint, pid }, { shrink }) => {
    const target = freshName('large');
    const [count, warmup] = [LARGE / shrink, Math.ceil(LARGE_WARMUP / shrink)];
    const shared = { endpoint, target, size: LARGE_BYTES };
    const before = cpuMsOf(pid);
    const [read, write] = await playNative([
      { role: reader, options: shared },
      { role: writer, options: { ...shared, count, warmup } },
    ]);
    const brokerMs = (cpuMsOf(pid) - before) / (count + warmup);
    mustBeComplete(count + warmup, read!);
    const rate = (perSecond(count, write!.firstNs, read!.lastNs) * LARGE_BYTES) / 1e6;
    return { rate, brokerMs };
  };
}
