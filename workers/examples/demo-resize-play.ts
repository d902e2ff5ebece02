// The play of the small demonstration: who is started with what, what is waited
// for, and what is counted. What demonstrations have in common, and how they end,
// stands in demo-stage.ts.
import { connect, type MlmClient } from 'malamute-ts';
import { script, startBroker, untilReady, type Stage } from './demo-stage.js';
import { picturesIn } from './picture-files.js';

const TAIL = script('../../client/commands/mlm-tail.js');
const WORKER = script('./resize-worker.js');
const REQUESTER = script('./resize-folder.js');

const WORKERS = ['worker-1', 'worker-2'];

/**
 * Plays it once.
 *
 * @param pictures the folder with the pictures
 * @returns how many pictures each worker did, in a line
 * @throws {Error} where something is not there in time; a process that fails tells `processes`
 */
export async function play(stage: Stage, pictures: string): Promise<string[]> {
  const { output, processes, say, over } = stage;
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
  const cast = { services: { resize: WORKERS.length }, streams: { results: 2 } };
  await untilReady(client, cast, over);
  const requester = processes.start('requester', REQUESTER, [pictures, output], {
    env,
    ends: true,
  });
  say('requester', `sends ${count} pictures (pid ${requester.pid ?? 0})`);
  const [counts] = await Promise.all([counted, requester.ended, tail.ended]);
  const shares = [...counts].map(([worker, count]) => `${worker} did ${count}`);
  return [`${shares.join(', ')}. The small pictures:`];
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
