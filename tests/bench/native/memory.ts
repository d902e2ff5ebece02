// The broker's resident size with native clients: what waits, who is idle, who
// is slow. Each on a broker just started, measured once.
import { readFileSync } from 'node:fs';
import type { Comparison, Contender, Row } from '../comparison.js';
import type { LoadProcess } from '../load/generator.js';
import { malamuteTs } from '../peers/ours.js';
import type { Peer } from '../peers/peer.js';
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
    once('requests', `with ${REQUESTS} requests waiting`, ours, waiting),
    once('idle', `with ${CLIENTS} idle native clients`, ours, idle),
    once('slow', `with ${MESSAGES} messages to a slow reader`, ours, slow),
  ];
}

const rowsOf = (title: string): Row[] => [
  { figure: 'startMB', title: 'at start', unit: 'MB' },
  { figure: 'residentMB', title: title, unit: 'MB' },
  { figure: 'ownMB', title: '  without pages of the data file', unit: 'MB' },
];

function once(name: string, title: string, peer: Peer, measure: Contender['measure']): Comparison {
  return {
    name: `native-memory-${name}`,
    rows: rowsOf(title),
    contenders: [{ peer, measure }],
    runs: 'once',
  };
}

/** VmRSS, and what of it is no file, in MB (10^6 octets). */
function residentOf(pid: number): { residentMB: number; ownMB: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const read = (name: string) =>
    (Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]) * 1024) / 1e6;
  return { residentMB: read('VmRSS'), ownMB: read('RssAnon') };
}

const waiting: Contender['measure'] = async ({ endpoint, pid }, { shrink }) => {
  const startMB = residentOf(pid).residentMB;
  const count = REQUESTS / shrink;
  const options = { endpoint, target: freshName('service'), count };
  return holding([await begin({ role: 'ours:wait', options })], async ([requester]) => {
    requester!.go();
    await requester!.done();
    return { startMB, ...residentOf(pid) };
  });
};

const idle: Contender['measure'] = async ({ endpoint, pid }, { shrink }) => {
  const startMB = residentOf(pid).residentMB;
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
    return { startMB, ...residentOf(pid) };
  });
};

const slow: Contender['measure'] = async ({ endpoint, pid }, { shrink }) => {
  const startMB = residentOf(pid).residentMB;
  const count = MESSAGES / shrink;
  const shared = { endpoint, target: freshName('stream') };
  return holding(
    [await begin({ role: 'ours:sleepAndRead', options: shared })],
    async ([reader]) => {
      reader!.go();
      await playNative([{ role: 'ours:publish', options: { ...shared, count } }]);
      const resident = residentOf(pid);
      reader!.go();
      mustBeComplete(count, await reader!.done());
      return { startMB, ...resident };
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
