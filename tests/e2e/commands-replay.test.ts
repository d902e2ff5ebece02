// `mlm replay` as a real process, against a real broker: a recorded stream comes
// out of it as it went in, and files that are none say so.
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { MlmClient, StreamMessage } from '../../client/index.js';
import { endLine, headerLine, messageLine } from '../../client/commands/shared/recording.js';
import { StreamMessage as Recorded } from '../../client/message.js';
import { PATIENCE_MS } from '../support/processes.js';
import { take } from '../support/sessions.js';
import { MLM, resultOf, useCommands, type Broker, type Result } from './commands-support.js';
import { until } from '../support/until.js';

const commands = useCommands();
const HEADER = headerLine({ stream: 's', recorded: '2026-01-31T10:52:07.501Z' });

let broker: Broker;
let client: MlmClient;
let file: string;
beforeEach(async () => {
  broker = await commands.broker();
  client = await commands.client(broker.endpoint, 'sender');
  file = join(commands.folder(), 'a.rec');
});

const replay = (...args: string[]): Promise<Result> =>
  commands.run(broker.endpoint, ['replay', ...args]);

/** What a stream holds. */
async function held(stream: string, count: number): Promise<StreamMessage[]> {
  const reader = client.stream(stream).read({ from: 'earliest', own: true });
  const messages = await take(reader, count);
  await reader.cancel();
  return messages;
}

/** A line of a recording. @param timeMs when it was recorded */
function line(subject: string, timeMs = 0, ...content: Buffer[]): string {
  return messageLine(new Recorded('s', 'who', subject, content, 1, timeMs));
}

it('sends again what was recorded, octet by octet', async () => {
  const every = Buffer.from(Array.from({ length: 256 }, (_, octet) => octet));
  const stream = client.stream('s');
  await stream.send('value', { a: [1, null] });
  await stream.send('nothing');
  await stream.send('frames', [every, Buffer.alloc(0), Buffer.from('x')]);
  await stream.send('', Buffer.alloc(3_000_000, every));
  const recorded = ['tail', 's', '--from', 'earliest', '--until', 'now', '--record', file];
  expect((await commands.run(broker.endpoint, [...recorded, '--raw'])).code).toBe(0);

  const done = { code: 0, signal: null, stdout: '', stderr: '' };
  expect(await replay(file, 'copy', '--speed', 'max')).toEqual(done);
  expect(await replay(file, '--pattern', '^(value|frames)$', '--speed', '50')).toEqual(done);
  const originals = await held('s', 6);
  const shown = ({ subject, content }: StreamMessage): unknown => [
    subject,
    content.map((frame) => createHash('sha256').update(frame).digest('hex')),
  ];
  expect((await held('copy', 4)).map(shown)).toEqual(originals.slice(0, 4).map(shown));
  expect(originals.slice(4).map(({ subject }) => subject)).toEqual(['value', 'frames']);
  expect(originals[4]!.sender).toMatch(/^mlm-replay-/);
});

it('sends at the speed of the recording, until it is ended', async () => {
  // Within an hour only the first two are due; at that speed, the last as well.
  const lines = [line('a', 1000), line('b', 1001), line('c', 3_601_000)];
  writeFileSync(file, [HEADER, ...lines, endLine(3)].join(''));
  const child = await commands.begin(broker.endpoint, ['replay', file]);
  await until(async () => {
    const { lastSequence } = await client.streamInfo('s').catch(() => ({ lastSequence: 0 }));
    return lastSequence === 2;
  }, 'two messages');
  child.signal('SIGINT');
  const { code, stderr } = await resultOf(child);
  expect([code, stderr]).toEqual([130, 'mlm: ended early; sent before: 2 messages\n']);
  expect((await replay(file, 'fast', '--speed', '3600000')).code).toBe(0);
  expect((await held('fast', 3)).map(({ subject }) => subject)).toEqual(['a', 'b', 'c']);
});

describe('a damaged file', () => {
  it('says which line is wrong, and how much was sent before', async () => {
    writeFileSync(file, `${HEADER}${line('a')}${line('b')}{"sequence":1}\n${line('c')}`);
    const { code, stderr } = await replay(file, '--speed', 'max');
    expect(code).toBe(1);
    expect(stderr).toMatch(/^mlm: .*a\.rec, line 4: \w+: .*; sent before: 2 messages\n$/);
    expect(await client.streamInfo('s')).toMatchObject({ lastSequence: 2 });
  });

  it('that has no end is sent, with a word about it', async () => {
    writeFileSync(file, `${HEADER}${line('a')}`);
    const { code, stderr } = await replay(file);
    expect(code).toBe(0);
    expect(stderr).toMatch(/^mlm: .*a\.rec has no end: the recording was broken off\n$/);
    expect(await client.streamInfo('s')).toMatchObject({ lastSequence: 1 });
  });

  it('that is another one is not sent', async () => {
    writeFileSync(file, readFileSync('package.json'));
    const { code, stderr } = await replay(file);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^mlm: .*a\.rec, line 1: it is not JSON; it is not a recording\n$/);
  });
});

it('says which message the broker did not accept', async () => {
  writeFileSync(file, `${HEADER}${line('a')}${endLine(1)}`);
  const { code, stderr } = await replay(file, '$own');
  expect(code).toBe(1);
  expect(stderr).toMatch(/^mlm: .*a\.rec, line 2: .*\$own.*; sent before: 0 messages\n$/);
  const wrong = await replay(file, '--speed', 'fast');
  expect([wrong.code, wrong.stderr]).toEqual([
    2,
    'mlm: --speed takes a number above 0, as 2 or 0.5, or max; not "fast"; "mlm replay --help" shows how it is called\n',
  ]);
});

it('shows on a terminal how far it has come', async () => {
  writeFileSync(file, [HEADER, line('a', 0), line('b', 3_600_000), endLine(2)].join(''));
  const call = `exec ${process.execPath} ${MLM} replay ${file} -e ${broker.endpoint}`;
  const child = await commands.start('script', ['-qec', call, '/dev/null']);
  const bar = /[█░]{24} \d+ % {2}1 message, [\d,]+\/s/;
  await child.until('a bar', PATIENCE_MS, () => bar.exec(child.stdout)?.[0], 20);
  child.write('\u0003');
  expect((await child.waitForExit()).code).toBe(130);
  expect(child.stdout).toMatch(/mlm: ended early; sent before: 1 message\r?\n/);
});
