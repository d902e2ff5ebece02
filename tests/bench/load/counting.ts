// What the roles of the Node load generator count and say: bodies with their
// numbers, progress of a receiver, events on stdout, the harness's lines on
// stdin. The C generator's counterpart is in load.c.
import { createInterface } from 'node:readline';
import type { RoleResult } from './options.js';

const LAST = 0x4c; // 'L'
const MORE = 0x4d; // 'M'

/** The body of message `number`, `size` octets. */
export function bodyOf(number: number, last: boolean, size: number): Buffer {
  const body = Buffer.alloc(size, 'x');
  body[0] = last ? LAST : MORE;
  body.writeUIntBE(0, 1, 2);
  body.writeUIntBE(number, 3, 6);
  return body;
}

/** What has arrived at one session. */
export class Progress {
  received = 0;
  disordered = 0;
  /** The run's last message has come. */
  finished = false;

  take(body: Buffer): void {
    if (body.readUIntBE(3, 6) !== this.received) this.disordered++;
    this.received++;
    this.finished = body[0] === LAST;
  }
}

export function isLast(body: Buffer): boolean {
  return body[0] === LAST;
}

/** Nanoseconds of the clock that all processes share. */
export function nowNs(): number {
  return Number(process.hrtime.bigint());
}

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
let cpuBefore = process.cpuUsage();

/** Waits for a line of stdin. @returns false at its end */
export async function nextLine(): Promise<boolean> {
  return (await lines.next()).done !== true;
}

export function sayReady(): void {
  console.log('{"event":"ready"}');
}

/** Says that the role is set up and waits to be released. */
export async function ready(): Promise<void> {
  sayReady();
  if (!(await nextLine())) process.exit(1); // the harness gave up
  cpuBefore = process.cpuUsage();
}

export type Report = Pick<RoleResult, 'count'> & Partial<RoleResult>;

/** Says what the role did. */
export function done(report: Report): void {
  const { user, system } = process.cpuUsage(cpuBefore);
  const result: RoleResult = {
    disordered: 0,
    stalled: false,
    firstNs: 0,
    lastNs: nowNs(),
    cpuMs: (user + system) / 1000,
    ...report,
  };
  console.log(JSON.stringify({ event: 'done', ...result }));
}
