// `mlm top` as a real process, against a real broker with workers that idle, work
// and pause.
import type { MlmClient } from '../../client/index.js';
import { PATIENCE_MS } from '../support/processes.js';
import { MLM, resultOf, useCommands, type Broker } from './commands-support.js';
import { until } from '../support/until.js';

const commands = useCommands();

let broker: Broker;
let client: MlmClient;
let release: () => void;
beforeEach(async () => {
  broker = await commands.broker();
  client = await commands.client(broker.endpoint, 'tester');
  const released = new Promise<void>((resolve) => (release = resolve));
  const worker = await commands.client(broker.endpoint, 'worker-1');
  const idle = await commands.client(broker.endpoint, 'worker-2');
  await worker.offer('render', { labels: { gpu: true, models: ['a', 'b'] } }, () => released);
  await idle.offer('speak', () => undefined);
  for (const id of ['j1', 'j2', 'j3']) await client.submit('render', 'page', 7, { id });
  await until(async () => {
    const rows = (await client.request('$broker', 'workers')).value();
    return (rows as { running: number }[]).some(({ running }) => running === 1);
  }, 'a request runs');
});
afterEach(() => release());

it('tells what services and workers do, and how fast', async () => {
  const child = await commands.begin(broker.endpoint, ['top', '-n', '2', '--every', '1', '--json']);
  const first = JSON.parse(await child.line()) as Record<string, unknown>;
  expect(first).toMatchObject({
    stats: { pid: broker.child.pid },
    rates: {},
    services: [
      {
        service: 'render',
        workers: 1,
        busy: 1,
        idle: 0,
        paused: 0,
        waiting: 2,
        running: 1,
        oldestMs: expect.any(Number) as number,
        accepted: 3,
        done: 0,
        failed: 0,
        dead: 0,
        rates: {},
      },
      { service: 'speak', workers: 1, busy: 0, idle: 1, waiting: 0, running: 0, oldestMs: null },
    ],
    workers: [
      {
        address: 'worker-1',
        service: 'render',
        state: 'busy',
        running: 1,
        capacity: 1,
        labels: { gpu: true, models: ['a', 'b'] },
      },
      { address: 'worker-2', service: 'speak', state: 'idle', running: 0, labels: {} },
    ],
  });
  await client.stream('s').send('x');
  const second = JSON.parse(await child.line()) as Record<string, unknown>;
  expect(second).toMatchObject({
    rates: { 'stream in': expect.any(Number) as number, refused: 0 },
    services: [{ rates: { in: 0, done: 0, failed: 0 } }, { service: 'speak' }],
  });
  expect((await resultOf(child)).code).toBe(0);
});

it('prints a look after the other where there is no terminal', async () => {
  const child = await commands.begin(broker.endpoint, ['top', '--every', '1']);
  for (let looks = 0; looks < 2; looks++) {
    await child.line(/^broker at tcp:.*, up .*, \d+ clients, .* MiB$/);
    await child.line(/^a second: /);
    await child.line(/^SERVICE +WAITING +OLDEST +RUNNING +BUSY +IDLE +IN\/S +DONE\/S +DONE$/);
    await child.line(/^render +2 +\d.* m?s +1 +1 +0 .* 0$/);
    await child.line(/^WORKER +SERVICE +STATE +RUNNING +CAPACITY +LABELS$/);
    await child.line(/^worker-1 +render +busy +1 +1 +gpu=true, models=a\|b$/);
  }
  child.signal('SIGINT');
  expect(await resultOf(child)).toMatchObject({ code: 0, stderr: '' });
});

it('keeps a page up to date on a terminal, and gives the terminal back', async () => {
  const call = `exec ${process.execPath} ${MLM} top --every 1 -e ${broker.endpoint}`;
  const child = await commands.start('script', ['-qec', call, '/dev/null']);
  const seen = (what: RegExp): Promise<string> =>
    child.until(what.source, PATIENCE_MS, () => what.exec(child.stdout)?.[0], 20);
  await seen(/worker-1.*busy/);
  expect(child.stdout.startsWith('\u001b[?1049h')).toBe(true);
  release();
  await seen(/worker-1.*busy[^]*worker-1.*idle/);
  await broker.child.stop();
  await seen(/lost the broker at tcp:.*; waiting for it to come back/);
  await commands.broker(broker.endpoint);
  await seen(/waiting for it to come back[^]*render/);
  child.write('\u0003');
  expect((await child.waitForExit()).code).toBe(0);
  expect(child.stdout.trimEnd().endsWith('\u001b[?1049l')).toBe(true);
});
