// A fan-out: 1000 jobs handed out at once to eight workers of different speeds,
// beside BullMQ on the same work. A job is a wait and nothing else, so that what
// is measured is how the jobs are shared; what is ideal follows from the waits.
import type { Comparison, Contender } from '../comparison.js';
import type { RoleResult } from '../load/options.js';
import { malamuteTs } from '../peers/ours.js';
import type { RunningBroker } from '../peers/peer.js';
import { cpuMsOf } from '../peers/process.js';
import { redis } from '../peers/redis.js';
import { cpuUs, freshName } from '../scenarios/parts.js';
import { begin, endAll, playNative } from './play.js';

const JOBS = 1000;
/** How long one job takes each of the workers, ms. */
const WAITS_MS = [8, 16, 24, 32, 40, 48, 56, 64];
const FAST = 4;

export const FAN_OUT_NOTE =
  `Fan-out: ${JOBS.toLocaleString('en-US')} jobs submitted at once; ${WAITS_MS.length} workers, each one job at a time,` +
  ` whose work is a wait of ${WAITS_MS.join(', ')} ms. Ideal is the shortest time in which these can do so many` +
  ` (${Math.round(idealMs(JOBS, WAITS_MS)).toLocaleString('en-US')} ms, the four fastest ${Math.round(fastShare(idealCounts(JOBS, WAITS_MS)))} %);` +
  ' a wait takes somewhat longer than it is told to, so there is a second ideal, of the waits as they were measured.' +
  ' Time runs from the first submission until the result of the last job is with who submitted them; every job must have' +
  ' succeeded exactly once. Ours: jobs, each event flushed to disk (fsync) before anybody is told; BullMQ: added in bulk,' +
  ' with Redis flushing once a second (appendonly yes, appendfsync everysec).';

/** @param main our broker's main.js of another build */
export function fanOutComparison(main: string | undefined): Comparison {
  return {
    name: 'native-fan-out',
    rows: [
      { figure: 'totalMs', title: 'fan-out to 8 unequal workers, total', unit: 'ms' },
      { figure: 'overIdeal', title: '  total ÷ ideal', unit: '×' },
      {
        figure: 'overMeasured',
        title: '  total ÷ ideal of the waits as measured',
        unit: '×',
        own: { most: 1.1 },
      },
      { figure: 'fastPercent', title: '  done by the four fastest', unit: '%' },
      { figure: 'succeeded', title: '  jobs that succeeded exactly once', unit: '' },
      { figure: 'brokerUs', title: '  server CPU for each', unit: 'µs' },
    ],
    contenders: [
      { peer: malamuteTs(main, { storage: 'disk' }), measure: fanOut('ours') },
      { peer: redis('BullMQ'), measure: fanOut('redis') },
    ],
    runs: 'alternate',
  };
}

function fanOut(family: string): Contender['measure'] {
  return async (broker, { shrink }) => {
    const count = JOBS / shrink;
    const { made, handled, brokerMs } = await play(family, broker, count);
    const counts = handled.map((worker) => worker.count);
    const handledInAll = sum(counts);
    if (handledInAll !== count) {
      throw new Error(`${count} jobs, but ${handledInAll} were handled`);
    }
    const totalMs = (made.lastNs - made.firstNs) / 1e6;
    // A worker that did nothing, in a short run, is not known to be slower than it should.
    const measured = handled.map(({ workMs = 0 }, at) => workMs || WAITS_MS[at]!);
    return {
      totalMs,
      overIdeal: totalMs / idealMs(count, WAITS_MS),
      overMeasured: totalMs / idealMs(count, measured),
      fastPercent: fastShare(counts),
      succeeded: made.count,
      brokerUs: cpuUs(brokerMs, count),
    };
  };
}

interface Played {
  readonly made: RoleResult;
  /** What the workers did, the fastest first. */
  readonly handled: readonly RoleResult[];
  readonly brokerMs: number;
}

/** @throws Error where a job did not succeed exactly once */
async function play(
  family: string,
  { endpoint, pid }: RunningBroker,
  count: number,
): Promise<Played> {
  const shared = { endpoint, target: freshName('fan-out') };
  const workers = await Promise.all(
    WAITS_MS.map((waitMs) =>
      begin({ role: `${family}:workAndWait`, options: { ...shared, waitMs } }),
    ),
  );
  try {
    for (const worker of workers) worker.go();
    const before = cpuMsOf(pid);
    const [made] = await playNative([{ role: `${family}:fanOut`, options: { ...shared, count } }]);
    const brokerMs = cpuMsOf(pid) - before;
    for (const worker of workers) worker.go();
    const handled = await Promise.all(workers.map((worker) => worker.done()));
    return { made: made!, handled, brokerMs };
  } finally {
    await endAll(workers);
  }
}

/** The shortest time in which workers can do so many jobs, ms, none of which can be divided. */
function idealMs(jobs: number, waitsMs: readonly number[]): number {
  const counts = idealCounts(jobs, waitsMs);
  return Math.max(...waitsMs.map((waitMs, at) => waitMs * counts[at]!));
}

/** How many jobs each worker does in that time: each job goes to the one that has done it first. */
function idealCounts(jobs: number, waitsMs: readonly number[]): number[] {
  const counts = waitsMs.map(() => 0);
  for (let job = 0; job < jobs; job++) {
    const doneAtMs = waitsMs.map((waitMs, at) => waitMs * (counts[at]! + 1));
    const first = doneAtMs.indexOf(Math.min(...doneAtMs));
    counts[first]!++;
  }
  return counts;
}

/** @param counts what each worker did, the fastest first */
function fastShare(counts: readonly number[]): number {
  return (100 * sum(counts.slice(0, FAST))) / sum(counts);
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
