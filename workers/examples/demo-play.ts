// The play of the demonstration: who is started with what, what is waited for,
// and what is counted. How processes are kept stands in demo-processes.ts, how
// all this ends in demo.ts.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { connect, type MlmClient } from 'malamute-ts';
import type { Processes } from './demo-processes.js';
import { picturesIn } from './picture-files.js';

const BROKER = script('../../broker/main.js');
const TAIL = script('../../client/commands/mlm-tail.js');
const WORKER = script('./resize-worker.js');
const REQUESTER = script('./resize-folder.js');

const WORKERS = ['worker-1', 'worker-2'];
const LOOK_MS = 50;
/** How long the broker, or the workers and readers, may take to be there. */
const READY_MS = 20_000;

function script(path: string): string {
  return fileURLToPath(new URL(path, import.meta.url));
}

/** What the demonstration works with. */
export interface Stage {
  /** The folder with the pictures, and the one for what becomes of them. */
  readonly pictures: string;
  readonly output: string;
  /** A folder for files that are nobody's business. */
  readonly folder: string;
  readonly processes: Processes;
  /** Shows a line. */
  readonly say: (name: string, line: string) => void;
  /** Fires when it is over, done or not. */
  readonly over: AbortSignal;
}

/**
 * Plays it once.
 *
 * @returns how many pictures each worker did, by its address
 * @throws {Error} where something is not there in time; a process that fails tells `processes`
 */
export async function play(stage: Stage): Promise<Map<string, number>> {
  const { pictures, output, processes, say, over } = stage;
  const names = picturesIn(pictures);
  if (names.length === 0) throw new Error(`there is no picture in ${pictures}`);
  const endpoint = await startBroker(stage);
  const env = { MLM_ENDPOINT: endpoint, MLM_LOG_LEVEL: 'warn' };
  for (const address of WORKERS) {
    // Pictures are quick: a job that takes longer waits for a broker that is gone.
    const own = { MLM_ADDRESS: address, MLM_DRAIN_TIMEOUT: '1000' };
    const worker = processes.start(address, WORKER, [], { env: { ...env, ...own } });
    say(address, `offers "resize" (pid ${worker.pid ?? 0})`);
  }
  const count = String(names.length);
  const tail = processes.start('mlm-tail', TAIL, ['results', '-n', count], { env, ends: true });
  say('mlm-tail', `follows the stream "results" (pid ${tail.pid ?? 0})`);

  const client = await connect(endpoint, { signal: over });
  over.addEventListener('abort', () => void client.close());
  const counted = countResults(client, names.length);
  await untilReady(client, over);
  const requester = processes.start('requester', REQUESTER, [pictures, output], {
    env,
    ends: true,
  });
  say('requester', `sends ${count} pictures (pid ${requester.pid ?? 0})`);
  const [counts] = await Promise.all([counted, requester.ended, tail.ended]);
  return counts;
}

/** @returns the broker's endpoint */
async function startBroker({ processes, folder, say, over }: Stage): Promise<string> {
  const readyFile = join(folder, 'broker.json');
  const args = ['--bind', 'tcp://127.0.0.1:*', '--ephemeral', '--ready-file', readyFile];
  // It is stopped last: what then still waits is for processes that were killed.
  args.push('--drain-timeout', '500');
  const env = { MLM_LOG_LEVEL: 'warn' };
  const broker = processes.start('broker', BROKER, args, { env, quiet: true });
  await until('the broker', over, () => existsSync(readyFile));
  const { endpoints } = JSON.parse(readFileSync(readyFile, 'utf8')) as { endpoints: string[] };
  const [endpoint = ''] = endpoints;
  say('broker', `listens on ${endpoint} (pid ${broker.pid ?? 0})`);
  return endpoint;
}

/** Waits until the broker knows both workers, and both readers of the results. */
async function untilReady(client: MlmClient, over: AbortSignal): Promise<void> {
  await until('the workers and mlm-tail', over, async () => {
    const services = await askBroker<{ service: string; workers: number }>(client, 'services.json');
    const streams = await askBroker<{ stream: string; readers: number }>(client, 'streams.json');
    const workers = services.find(({ service }) => service === 'resize')?.workers ?? 0;
    const readers = streams.find(({ stream }) => stream === 'results')?.readers ?? 0;
    return workers === WORKERS.length && readers === 2;
  });
}

async function askBroker<Row>(client: MlmClient, subject: string): Promise<Row[]> {
  const reply = await client.request('$broker', subject);
  return JSON.parse(reply.text()) as Row[];
}

/** Reads the results until there is one for each picture. @returns the number of each worker's */
async function countResults(client: MlmClient, results: number): Promise<Map<string, number>> {
  const counts = new Map(WORKERS.map((address) => [address, 0]));
  let seen = 0;
  for await (const { sender } of client.stream('results').read()) {
    counts.set(sender, (counts.get(sender) ?? 0) + 1);
    if (++seen === results) break;
  }
  return counts;
}

/** Waits until something holds. @throws {Error} where it does not in time, or all is over */
async function until(
  what: string,
  over: AbortSignal,
  holds: () => boolean | Promise<boolean>,
): Promise<void> {
  const deadlineMs = performance.now() + READY_MS;
  while (!(await holds())) {
    if (performance.now() > deadlineMs) throw new Error(`${what}: not ready in ${READY_MS} ms`);
    await pause(LOOK_MS, undefined, { signal: over });
  }
}
