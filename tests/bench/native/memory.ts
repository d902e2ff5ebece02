// The broker's resident size with native clients: what waits, who is idle, who
// is slow. Each on a broker just started, measured once.
import type { Comparison, Contender, Row, Sample } from '../comparison.js';
import type { LoadProcess } from '../load/generator.js';
import { malamuteTs } from '../peers/ours.js';
import type { Peer } from '../peers/peer.js';
import { residentOf } from '../peers/process.js';
import { freshName, mustBeComplete } from '../scenarios/parts.js';
import { begin, endAll, playNative } from './play.js';

const REQUESTS = 100_000;
const CLIENTS = 10_000;
const CLIENTS_EACH = 1000;
const MESSAGES = 1_000_000;
const PATIENT = ['--timeout', '60000', '--stream-bytes-max', '1000000000'];

/** @param main our broker's main.js of another build */
export function memoryComparisons(main: string | undefined): Comparison[] {
  const ours = malamuteTs(main, { storage: 'disk', flags: PATIENT });
  return [
    once('requests', `with ${number(REQUESTS)} native requests waiting`, 'request', ours, waiting),
    once('idle', `with ${number(CLIENTS)} idle native clients`, 'client', ours, idle),
    once('slow', `with ${number(MESSAGES)} messages to a slow reader`, 'message', ours, slow),
  ];
}

type Resident = ReturnType<typeof residentOf>;

const number = (value: number): string => value.toLocaleString('en-US');

function once(
  name: string,
  title: string,
  thing: string,
  peer: Peer,
  measure: Contender['measure'],
): Comparison {
  const rows: Row[] = [
    { figure: 'startMB', title: 'native, on disk: at start', unit: 'MB' },
    { figure: 'residentMB', title, unit: 'MB' },
    { figure: 'ownMB', title: '  without pages of the data file', unit: 'MB' },
    { figure: 'each', title: `  more of that than at start, for each ${thing}`, unit: 'octets' },
  ];
  return { name: `memory-native-${name}`, rows, contenders: [{ peer, measure }], runs: 'once' };
}

/** What the broker has more than before, in all and for each of `count` things. */
function grown(pid: number, before: Resident, count: number): Sample {
  const { residentMB, ownMB } = residentOf(pid);
  return {
    startMB: before.residentMB,
    residentMB,
    ownMB,
    each: ((ownMB - before.ownMB) * 1e6) / count,
  };
}

const waiting: Contender['measure'] = async ({ endpoint, pid }, { shrink }) => {
  const before = residentOf(pid);
  const count = REQUESTS / shrink;
  const options = { endpoint, target: freshName('service'), count };
  return holding([await begin({ role: 'ours:wait', options })], async ([requester]) => {
    requester!.go();
    await requester!.done();
    return grown(pid, before, count);
  });
};

const idle: Contender['measure'] = async ({ endpoint, pid }, { shrink }) => {
  const before = residentOf(pid);
  const sessions = CLIENTS_EACH / shrink;
  const parts = Array.from({ length: CLIENTS / CLIENTS_EACH }, () => ({
    role: 'ours:idle',
    options: { endpoint, sessions },
  }));
  const started: LoadProcess[] = [];
  for (const part of parts) started.push(await begin(part));
  return holding(started, async (clients) => {
    for (const client of clients) client.go();
    for (const client of clients) {
      const { count } = await client.done();
      if (count !== sessions) throw new Error(`LOST: ${count} of ${sessions} clients are open`);
    }
    return grown(pid, before, sessions * parts.length);
  });
};

const slow: Contender['measure'] = async ({ endpoint, pid }, { shrink }) => {
  const before = residentOf(pid);
  const count = MESSAGES / shrink;
  const shared = { endpoint, target: freshName('stream') };
  return holding(
    [await begin({ role: 'ours:sleepAndRead', options: shared })],
    async ([reader]) => {
      reader!.go();
      await playNative([{ role: 'ours:publish', options: { ...shared, count } }]);
      const sample = grown(pid, before, count);
      reader!.go();
      mustBeComplete(count, await reader!.done());
      return sample;
    },
  );
};

async function holding<T>(
  processes: readonly LoadProcess[],
  measure: (processes: readonly LoadProcess[]) => Promise<T>,
): Promise<T> {
  try {
    return await measure(processes);
  } finally {
    await endAll(processes);
  }
}
