// Nothing confirmed is ever lost: two minutes of crashes, or as many as
// MLM_CRASH_SECONDS says (`MLM_CRASH_SECONDS=3600 npm test -- crash`).
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crash, type CrashReport } from '../crash/run.js';

const SECONDS = Number(process.env['MLM_CRASH_SECONDS'] ?? 120);
const SLACK_MS = 180_000;

describe(`a broker that is killed again and again for ${SECONDS} s`, () => {
  let folder: string;
  let report: CrashReport;

  beforeAll(
    async () => {
      folder = mkdtempSync(join(tmpdir(), 'malamute-crash-'));
      report = await crash({ seconds: SECONDS, folder, pauses: true });
      const { kills, pauses, ledger, log, left } = report;
      process.stdout.write(
        `${kills} kills, ${pauses} pauses, ${ledger.sessions} sessions; stream: ${ledger.stored.size} confirmed, ` +
          `${log.length} in the log; mail: ${ledger.mailAccepted.size} accepted, ${ledger.mailDone.size} received; ` +
          `requests: ${ledger.requestsAccepted.size} accepted, ${ledger.requestsDone.size} done; ` +
          `left: ${left.mail} mail, ${left.requests} requests\n`,
      );
    },
    SECONDS * 1000 + SLACK_MS,
  );

  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it('was really killed, while everybody worked', () => {
    expect(report.kills).toBeGreaterThan(SECONDS / 10);
    expect(report.ledger.stored.size).toBeGreaterThan(100);
    expect(report.ledger.mailAccepted.size).toBeGreaterThan(10);
    expect(report.ledger.requestsAccepted.size).toBeGreaterThan(10);
  });

  it('has every confirmed stream message, at the sequence that it confirmed', () => {
    const bySequence = new Map(report.log.map(({ sequence, subject }) => [sequence, subject]));
    const missing = [...report.ledger.stored].filter(
      ([subject, sequence]) => bySequence.get(sequence) !== subject,
    );
    expect(missing).toEqual([]);
  });

  it('has no message and no sequence twice, and each writer’s messages in order', () => {
    const subjects = report.log.map(({ subject }) => subject);
    expect(new Set(subjects).size).toBe(subjects.length);
    const sequences = report.log.map(({ sequence }) => sequence);
    expect(sequences.every((sequence, at) => at === 0 || sequence > sequences[at - 1]!)).toBe(true);
    const lastOf = new Map<string, number>();
    const disordered = subjects.filter((subject) => {
      const [name = '', number = ''] = subject.split('/');
      const before = lastOf.get(name) ?? 0;
      lastOf.set(name, Number(number));
      return Number(number) <= before;
    });
    expect(disordered).toEqual([]);
  });

  it('gave every message of the log to every cursor', () => {
    expect(report.ledger.read.size).toBe(2);
    for (const seen of report.ledger.read.values()) {
      const missed = report.log.filter(({ sequence, subject }) => seen.get(sequence) !== subject);
      expect(missed).toEqual([]);
    }
  });

  it('delivered all accepted mail, and had every accepted request done; nothing is stuck', () => {
    const { mailAccepted, mailDone, requestsAccepted, requestsDone } = report.ledger;
    expect([...mailAccepted].filter((subject) => !mailDone.has(subject))).toEqual([]);
    expect([...requestsAccepted].filter((subject) => !requestsDone.has(subject))).toEqual([]);
    expect(report.left).toEqual({ requests: 0, mail: 0 });
  });
});
