// A look at a broker as lines for people. It writes nothing, and knows no
// terminal but by the paint it is given.
import type { Fields } from '../shared/introspection.js';
import { Line } from '../shared/line.js';
import type { Paint } from '../shared/styles.js';
import { tableLines } from '../shared/table.js';
import { count, duration, grouped, size } from '../shared/units.js';
import type { ServiceRow, Snapshot, WorkerRow } from './snapshot.js';

/** @param endpoint where the broker is */
export function viewLines(snapshot: Snapshot, endpoint: string, paint: Paint): string[] {
  const { services, workers } = snapshot;
  return [
    new Line(paint).add('title', headOf(snapshot, endpoint)).toString(),
    new Line(paint).add('plain', ratesOf(snapshot)).toString(),
    '',
    ...(services.length === 0 ? ['no services'] : tableLines(serviceFields(services), paint)),
    '',
    ...(workers.length === 0 ? ['no workers'] : tableLines(workers.map(workerFields), paint)),
  ];
}

function headOf({ stats }: Snapshot, endpoint: string): string {
  const { uptimeMs, sessions, residentBytes } = stats;
  const parts = [
    `broker at ${endpoint}`,
    ...(typeof uptimeMs === 'number' ? [`up ${duration(uptimeMs)}`] : []),
    ...(typeof sessions === 'number' ? [count(sessions, 'client')] : []),
    ...(typeof residentBytes === 'number' ? [size(residentBytes)] : []),
  ];
  return parts.join(', ');
}

/** `a second: stream in 1,204, stream out 3,612, …`; what stands still is left out. */
function ratesOf({ rates }: Snapshot): string {
  const entries = Object.entries(rates);
  if (entries.length === 0) return 'a second: not known yet';
  const moving = entries.filter(([, rate]) => rate > 0);
  if (moving.length === 0) return 'a second: nothing';
  return `a second: ${moving.map(([name, rate]) => `${name} ${grouped(rate)}`).join(', ')}`;
}

/** Columns of what is seldom, or not as it should be, are left out while they would say nothing. */
function serviceFields(services: readonly ServiceRow[]): Fields[] {
  const is = (what: (row: ServiceRow) => number): boolean => services.some((row) => what(row) > 0);
  const paused = is((row) => row.paused);
  const reused = is((row) => row.reused);
  const failed = is((row) => row.failed);
  const dead = is((row) => row.dead);
  return services.map((row) => ({
    service: row.service,
    waiting: row.waiting,
    oldestMs: row.oldestMs,
    running: row.running,
    busy: row.busy,
    idle: row.idle,
    ...(paused ? { paused: row.paused } : {}),
    'in/s': row.rates['in'] ?? null,
    'done/s': row.rates['done'] ?? null,
    ...(failed ? { 'failed/s': row.rates['failed'] ?? null } : {}),
    done: row.done,
    ...(reused ? { reused: row.reused } : {}),
    ...(failed ? { failed: row.failed } : {}),
    ...(dead ? { dead: row.dead } : {}),
  }));
}

function workerFields({ address, service, state, running, capacity, labels }: WorkerRow): Fields {
  return { worker: address, service, state, running, capacity, labels: labelsText(labels) };
}

/** `gpu=true, models=sam3|kokoro` */
function labelsText(labels: Fields): string {
  const entries = Object.entries(labels).map(([label, value]) => {
    const text = Array.isArray(value) ? value.map(String).join('|') : String(value);
    return `${label}=${text}`;
  });
  return entries.join(', ');
}
