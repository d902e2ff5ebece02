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

/** How a worker is: `paused` has a capacity of 0. */
export type WorkerState = 'idle' | 'busy' | 'paused';

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
  readonly running: number;
  readonly bytes: number;
}

export interface Snapshot {
  readonly stats: Fields;
  /** By what is counted: per second, since the last look; none at the first. */
  readonly rates: Readonly<Record<string, number>>;
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
  return {
    stats,
    rates: ratesOf(stats, last?.stats),
    services: services.map((service) => serviceRow(service, rows)),
    workers: rows,
  };
}

/** By the broker's own clock. One that started anew has no rates yet. */
function ratesOf(stats: Fields, before: Fields | undefined): Readonly<Record<string, number>> {
  if (before === undefined || before['pid'] !== stats['pid']) return {};
  const elapsedMs = numberOf(stats['uptimeMs']) - numberOf(before['uptimeMs']);
  if (elapsedMs <= 0) return {};
  const entries = Object.entries(RATES).map(([counter, name]) => {
    const counted = numberOf(stats[counter]) - numberOf(before[counter]);
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

function serviceRow(row: Fields, workers: readonly WorkerRow[]): ServiceRow {
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
    running: numberOf(row['running']),
    bytes: numberOf(row['bytes']),
  };
}

function numberOf(value: unknown): number {
  return typeof value === 'number' ? value : 0;
}
