// How long the broker takes to start on a directory that holds much: a stream of
// ten thousand, a million, ten million messages. Filled once, then killed and
// started several times; the time runs until the ready file is there.
import { mkdtempSync, readdirSync, statfsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Comparison, Context, Group, Row, Sample } from '../comparison.js';
import { playNative } from '../native/play.js';
import { malamuteTs } from '../peers/ours.js';
import type { Peer, RunningBroker } from '../peers/peer.js';
import { cpuMsOf, residentOf } from '../peers/process.js';
import { spread } from '../statistics.js';

const COUNTS = [10_000, 1_000_000, 10_000_000];
/** Filled with so many at a time: a role that takes long counts as one that hangs. */
const PORTION = 500_000;
const STARTS = 5;
/** What the directories take on disk, with room to spare, octets for each message. */
const DISK_BYTES_EACH = 400;
const ENDLESS_LOG = ['--stream-bytes-max', '1000000000000'];
const MB = 1e6;

/** @param main our broker's main.js of another build */
export function startup(main: string | undefined): Group {
  return {
    title: 'Start-up: a directory that holds a long stream',
    notes: [
      `Messages of 100 octets, written in batches by the SDK. The broker is killed (SIGKILL) and started` +
        ` ${STARTS} times; shown is the median of the time from the start of its process to its ready` +
        ` file, Node's own start included. Processor time depends less on what else the machine does. The files are in the page cache, as they are after a crash.`,
    ],
    comparisons: [startups(main)],
  };
}

function startups(main: string | undefined): Comparison {
  const rowsOf = (count: number): Row[] => {
    const title = `${count.toLocaleString('en-US')} messages: ready after`;
    return [
      { figure: `ready ${count}`, title, unit: 'ms' },
      { figure: `cpu ${count}`, title: '  processor time until then', unit: 'ms' },
      { figure: `disk ${count}`, title: '  on disk', unit: 'MB' },
      { figure: `resident ${count}`, title: '  resident size', unit: 'MB' },
    ];
  };
  return {
    name: 'startup',
    rows: [
      ...COUNTS.flatMap(rowsOf),
      {
        figure: 'growth',
        title: '  processor time with the most ÷ with the fewest',
        unit: '×',
        own: { most: 1.5 },
      },
    ],
    contenders: [{ peer: absent(main), measure: (_broker, context) => measure(main, context) }],
    runs: 'once',
  };
}

/** Our broker as a contender that the measurement itself starts, again and again. */
function absent(main: string | undefined): Peer {
  const nobody: RunningBroker = {
    endpoint: '',
    pid: process.pid,
    lastWords: () => undefined,
    stop: () => Promise.resolve(),
  };
  return { ...malamuteTs(main), start: () => Promise.resolve(nobody) };
}

async function measure(main: string | undefined, context: Context): Promise<Sample> {
  const { folder, shrink } = context;
  const most = Math.max(...COUNTS) / shrink;
  const { bavail, bsize } = statfsSync(folder);
  if (bavail * bsize < most * DISK_BYTES_EACH) {
    const needed = Math.ceil((most * DISK_BYTES_EACH) / MB);
    throw new Error(`${folder} has less than ${needed} MB of room`);
  }
  const sample: Record<string, number> = {};
  for (const count of COUNTS) {
    const data = mkdtempSync(join(folder, 'startup-'));
    await fill(main, context, data, count / shrink);
    const times: number[] = [];
    const worked: number[] = [];
    const sizes: number[] = [];
    for (let start = 0; start < STARTS; start++) {
      const peer = malamuteTs(main, { storage: 'disk', data, flags: ENDLESS_LOG });
      const beganMs = performance.now();
      const broker = await peer.start(folder, {});
      times.push(performance.now() - beganMs);
      worked.push(cpuMsOf(broker.pid));
      sizes.push(residentOf(broker.pid).residentMB);
      await killed(broker);
    }
    sample[`ready ${count}`] = spread(times).median;
    sample[`cpu ${count}`] = spread(worked).median;
    sample[`resident ${count}`] = spread(sizes).median;
    sample[`disk ${count}`] = bytesIn(data) / MB;
  }
  const [fewest, ...more] = COUNTS.map((count) => sample[`cpu ${count}`]!);
  return { ...sample, growth: more.at(-1)! / fewest! };
}

/** Fills a directory, and leaves it as a broker that is killed does. */
async function fill(
  main: string | undefined,
  { folder }: Context,
  data: string,
  total: number,
): Promise<void> {
  const peer = malamuteTs(main, { storage: 'disk', data, flags: ENDLESS_LOG });
  const broker = await peer.start(folder, {});
  const { endpoint } = broker;
  try {
    for (let left = total; left > 0; left -= PORTION) {
      const count = Math.min(PORTION, left);
      await playNative([{ role: 'ours:publish', options: { endpoint, target: 'long', count } }]);
    }
  } finally {
    await killed(broker);
  }
}

async function killed(broker: RunningBroker): Promise<void> {
  process.kill(broker.pid, 'SIGKILL');
  await broker.stop();
}

/** What the files of a directory take on disk, octets. */
function bytesIn(directory: string): number {
  let bytes = 0;
  for (const entry of readdirSync(directory, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    bytes += statSync(join(entry.parentPath, entry.name)).blocks * 512;
  }
  return bytes;
}
