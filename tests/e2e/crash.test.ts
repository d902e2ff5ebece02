// Nothing confirmed is ever lost: two minutes in which the broker and its clients
// are killed and stopped, or as many seconds as MLM_CRASH_SECONDS says
// (`MLM_CRASH_SECONDS=3600 npm test -- crash`).
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  disorderIn,
  lostFrom,
  missedBy,
  repeatsOf,
  undeliveredMail,
  unfinishedJobs,
  unhandledRequests,
} from '../crash/audit.js';
import { crash, type CrashReport } from '../crash/run.js';
import { pidsWith } from '../support/pids.js';

const SECONDS = Number(process.env['MLM_CRASH_SECONDS'] ?? 120);
const END_MS = 180_000;

/** How often something has happened that does so every few seconds, be the machine slow. */
function atLeastEvery(seconds: number): number {
  return Math.max(1, Math.floor(SECONDS / seconds));
}

describe(`brokers and clients that are killed and stopped for ${SECONDS} s`, () => {
  let folder: string;
  let report: CrashReport;

  beforeAll(
    async () => {
      folder = mkdtempSync(join(tmpdir(), 'malamute-crash-'));
      report = await crash({ seconds: SECONDS, folder, endMs: END_MS });
      process.stdout.write(`${summary(report)}\n`);
    },
    SECONDS * 1000 + END_MS + 20_000,
  );

  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it('had both killed and stopped, while everybody worked', () => {
    const { ledger } = report;
    expect(report.brokerKills).toBeGreaterThanOrEqual(atLeastEvery(24));
    expect(report.brokerStops).toBeGreaterThanOrEqual(atLeastEvery(120));
    expect(report.clientKills).toBeGreaterThanOrEqual(atLeastEvery(12));
    expect(report.clientStops).toBeGreaterThanOrEqual(atLeastEvery(24));
    expect([...ledger.read.keys()].sort()).toEqual([
      'bare-reader',
      'sdk-reader',
      'sdk-slow-reader',
    ]);
    for (const [who, subjects] of [
      ['w1', ledger.stored.keys()],
      ['i1', ledger.stored.keys()],
      ['sdk-writer', ledger.stored.keys()],
      ['m1', ledger.mailAccepted],
      ['sdk-mailer', ledger.mailAccepted],
      ['r1', ledger.requestsAccepted],
      ['sdk-requester', ledger.requestsAccepted],
      ['sdk-requester', ledger.answered],
      ['j1', ledger.jobsAccepted],
    ] as const) {
      const count = [...subjects].filter((subject) => subject.startsWith(who)).length;
      expect([who, count >= atLeastEvery(12)]).toEqual([who, true]);
    }
  });

  it('has every confirmed stream message, at the sequence that was confirmed', () => {
    expect(lostFrom(report.log, report.ledger)).toEqual([]);
  });

  it('has the messages of each writer in order, and none twice', () => {
    expect(disorderIn(report.log)).toEqual([]);
  });

  it('gave every message of the log to every cursor, in order, from where it was', () => {
    expect(missedBy(report.log, report.ledger)).toEqual([]);
  });

  it('delivered all accepted mail, and had every accepted request handled', () => {
    expect(undeliveredMail(report.ledger)).toEqual([]);
    expect(unhandledRequests(report.ledger)).toEqual([]);
  });

  it('wrote down the life of every job, from its one beginning to its one end', () => {
    expect(unfinishedJobs(report.jobs, report.ledger)).toEqual([]);
  });

  it('left nothing waiting or held: no request, no mail, no reply, no cursor, no session', () => {
    expect(report.left).toEqual({
      requests: 0,
      mail: 0,
      deadLetters: 0,
      cursorsBehind: [],
      ghosts: [],
      unanswered: false,
    });
  });

  it('disturbed no client but those it killed', () => {
    expect(report.ledger.faults).toEqual([]);
  });
});

it('a run that takes too long says what is under way, and leaves no process behind', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'malamute-crash-'));
  try {
    // Time is up in the middle of it.
    await expect(crash({ seconds: 60, folder, endMs: -56_000 })).rejects.toThrow(
      /^after 4000 ms: still (starting the broker|killing and stopping)$/,
    );
    expect(pidsWith(folder, 'cmdline')).toEqual([]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

function summary({ ledger, log, left, jobs, ...done }: CrashReport): string {
  const { stored, mailAccepted, mailDone, requestsAccepted, requestsDone, answered } = ledger;
  return (
    `broker: ${done.brokerKills} kills, ${done.brokerStops} stops; ` +
    `clients: ${done.clientKills} kills, ${done.clientStops} stops; ` +
    `stream: ${stored.size} confirmed, ${log.length} in the log, ${repeatsOf(ledger)} read again; ` +
    `mail: ${mailAccepted.size} accepted, ${mailDone.size} received; ` +
    `requests: ${requestsAccepted.size} accepted, ${requestsDone.size} handled, ${answered.size} answered; ` +
    `jobs: ${ledger.jobsAccepted.size} accepted, ${jobs.size} done; ` +
    `left: ${left.mail} mail, ${left.requests} requests`
  );
}
