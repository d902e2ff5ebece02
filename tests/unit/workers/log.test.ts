import { createWorkerLog, type LogOptions, type WorkerLog } from '../../../workers/index.js';
import { logWith } from '../../../workers/log.js';

function logged(options: LogOptions, use: (log: WorkerLog) => void): string[] {
  const lines: string[] = [];
  use(createWorkerLog({ ...options, write: (line) => lines.push(line) }));
  return lines;
}

it('a line for a terminal has time, level, message and fields', () => {
  const [line] = logged({ readable: true }, (log) => log.warn('failed', { code: 'x', ms: 3 }));
  expect(line).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z warn {2}failed code="x" ms=3$/);
});

it('a line for programs is JSON, and no field hides what every line has', () => {
  const fields = { level: 'mine', subject: 'a', stack: undefined };
  const [line] = logged({ readable: false }, (log) => log.error('failed', fields));
  expect(JSON.parse(line ?? '')).toEqual({
    level: 'error',
    message: 'failed',
    subject: 'a',
    timestamp: expect.any(String) as string,
  });
});

it.each([
  ['error', ['e']],
  ['warn', ['e', 'w']],
  ['info', ['e', 'w', 'i']],
  ['debug', ['e', 'w', 'i', 'd']],
] as const)('level %s shows %j', (level, expected) => {
  const lines = logged({ level, readable: false }, (log) => {
    log.error('e');
    log.warn('w');
    log.info('i');
    log.debug('d');
  });
  expect(lines.map((line) => (JSON.parse(line) as { message: string }).message)).toEqual(expected);
});

it('a stranger cannot forge a line', () => {
  const evil = 'a\n2025-01-01 error forged\u001b[31m';
  const [line] = logged({ readable: true }, (log) => log.info(evil, { subject: evil }));
  expect(line).not.toMatch(/\p{Cc}/u);
  expect(line).toContain('\\n2025-01-01 error forged\\u001b[31m');
});

it('what JSON cannot hold does not throw', () => {
  const circle: Record<string, unknown> = {};
  circle['self'] = circle;
  const log = (readable: boolean): string[] =>
    logged({ readable }, ({ info }) => info('odd', { circle, big: 1n, none: undefined }));
  expect(log(true)[0]).toContain('odd circle="[object Object]" big="1" none="undefined"');
  expect(log(false)).toHaveLength(1);
});

it('fields that stand on every line can be added to', () => {
  const [first, second] = logged({ readable: true }, (log) => {
    const job = logWith(log, { service: 's' });
    job.info('one');
    logWith(job, { subject: 't' }).info('two', { ms: 1 });
  });
  expect(first).toMatch(/one service="s"$/);
  expect(second).toMatch(/two service="s" subject="t" ms=1$/);
});
