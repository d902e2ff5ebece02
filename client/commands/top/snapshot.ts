// One look at a broker: what it tells of itself at a moment, and how fast its
// counters went since the last look. It shows nothing.
import type { MlmClient } from '../../index.js';
import { askStats, askTable, type Fields } from '../shared/introspection.js';

/** What the broker counts, and what it is called where its rate is shown. */
const RATES = {
  streamMessages: 'stream in',
  streamDeliveries: 'stream out',
  mailboxMessages: 'mail in',
  mailboxDeliveries: 'mail out',
  serviceRequests: 'requests in',
  serviceDeliveries: 'requests out',
  deadLetters: 'dead letters',
  refused: 'refused',
} as const;

/** What the broker counts of each service, and what it is called where its rate is shown. */
const SERVICE_RATES = { accepted: 'in', done: 'done', failed: 'failed' } as const;

/** By what is counted: how often a second since the last look, to a tenth; none at the first one. */
type Rates = Readonly<Record<string, number>>;

/** How a worker is: `paused` has a capacity of 0. */
type WorkerState = 'idle' | 'busy' | 'paused';

export interface WorkerRow {
  readonly address: string;
  readonly service: string;
  readonly state: WorkerState;
  readonly running: number;
  /** Null for no bound: a worker that speaks MLM/1. */
  readonly capacity: number | null;
  readonly labels: Fields;
}

export interface ServiceRow {
  readonly service: string;
  readonly workers: number;
  readonly busy: number;
  readonly idle: number;
  readonly paused: number;
  readonly waiting: number;
  /** How long the request waits that waits for a worker longest; null where none does. */
  readonly oldestMs: number | null;
  readonly running: number;
  readonly bytes: number;
  /** Counts since the broker knows the service. */
  readonly accepted: number;
  readonly done: number;
  /** Those of them that were answered with the result of another one. */
  readonly reused: number;
  /** Attempts that failed. */
  readonly failed: number;
  /** Requests that became dead letters. */
  readonly dead: number;
  readonly rates: Rates;
}

export interface Snapshot {
  readonly stats: Fields;
  readonly rates: Rates;
  readonly services: readonly ServiceRow[];
  readonly workers: readonly WorkerRow[];
}

/**
 * Looks at a broker.
 *
 * @param last the look before this one
 * @throws {CommandError} where the broker does not tell about itself; {MlmError}
 */
export async function look(
  client: MlmClient,
  last: Snapshot | undefined,
  signal: AbortSignal,
): Promise<Snapshot> {
  const [stats, services, workers] = await Promise.all([
    askStats(client, signal),
    askTable(client, 'services', signal),
    askTable(client, 'workers', signal),
  ]);
  const rows = workers.map(workerRow);
  const elapsedMs = elapsedSince(last?.stats, stats);
  const before = new Map(last?.services.map((row) => [row.service, row]));
  return {
    stats,
    rates: ratesOf(RATES, stats, last?.stats, elapsedMs),
    services: services.map((service) => ({
      ...serviceRow(service, rows),
      rates: ratesOf(SERVICE_RATES, service, before.get(String(service['service'])), elapsedMs),
    })),
    workers: rows,
  };
}

/** By the broker's own clock; 0 where there was no look at this broker before. */
function elapsedSince(before: Fields | undefined, stats: Fields): number {
  if (before === undefined || before['pid'] !== stats['pid']) return 0;
  return numberOf(stats['uptimeMs']) - numberOf(before['uptimeMs']);
}

/**
 * How fast counters went.
 *
 * @param names the counters, and what their rates are called
 * @param before how they stood then; where there was nothing to count yet, at 0
 */
function ratesOf(
  names: Readonly<Record<string, string>>,
  now: Fields,
  before: object | undefined,
  elapsedMs: number,
): Rates {
  if (elapsedMs <= 0) return {};
  const then = { ...before } as Fields;
  const entries = Object.entries(names).map(([counter, name]) => {
    const count = numberOf(now[counter]);
    const earlier = numberOf(then[counter]);
    // A service that was forgotten meanwhile counts anew.
    const counted = count < earlier ? count : count - earlier;
    return [name, Math.round((counted * 10_000) / elapsedMs) / 10] as const;
  });
  return Object.fromEntries(entries);
}

function workerRow(row: Fields): WorkerRow {
  const capacity = typeof row['capacity'] === 'number' ? row['capacity'] : null;
  const running = numberOf(row['running']);
  const labels = row['labels'];
  return {
    address: String(row['address']),
    service: String(row['service']),
    state: capacity === 0 ? 'paused' : running > 0 ? 'busy' : 'idle',
    running,
    capacity,
    labels: typeof labels === 'object' && labels !== null ? (labels as Fields) : {},
  };
}

function serviceRow(row: Fields, workers: readonly WorkerRow[]): Omit<ServiceRow, 'rates'> {
  const own = workers.filter(({ service }) => service === row['service']);
  const inState = (state: WorkerState): number =>
    own.filter((worker) => worker.state === state).length;
  return {
    service: String(row['service']),
    workers: numberOf(row['workers']),
    busy: inState('busy'),
    idle: inState('idle'),
    paused: inState('paused'),
    // What workers hold counts as theirs still.
    waiting: Math.max(0, numberOf(row['requests']) - numberOf(row['running'])),
    oldestMs: typeof row['oldestMs'] === 'number' ? row['oldestMs'] : null,
    running: numberOf(row['running']),
    bytes: numberOf(row['bytes']),
    accepted: numberOf(row['accepted']),
    done: numberOf(row['done']),
    reused: numberOf(row['reused']),
    failed: numberOf(row['failed']),
    dead: numberOf(row['dead']),
  };
}

function numberOf(value: unknown): number {
  return typeof value === 'number' ? value : 0;
}
