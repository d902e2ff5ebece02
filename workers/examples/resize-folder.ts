// A requester: sends every picture of a folder to the service `resize`, a few at
// a time, and writes what comes back into another folder. Who does the work, and
// where, is not its business. Its exit status is 1 where a picture failed.
//
//   MLM_ENDPOINT=tcp://127.0.0.1:9999 node resize-folder.js FROM TO [SIDE]
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect, MlmError, type MlmClient, type Reply } from 'malamute-ts';
import { picturesIn } from './picture-files.js';

const IN_FLIGHT_MAX = 4;
const TRIES_MAX = 3;
const REPLY_TIMEOUT_MS = 30_000;

interface Task {
  readonly client: MlmClient;
  readonly from: string;
  readonly to: string;
  /** The longest side wanted, in pixels. */
  readonly side: string;
}

/** @returns the number of pictures that failed */
async function resizeFolder(task: Task): Promise<number> {
  mkdirSync(task.to, { recursive: true });
  // All turns take from the same iterator.
  const names = picturesIn(task.from).values();
  const turns = Array.from({ length: IN_FLIGHT_MAX }, () => resizeInTurn(task, names));
  return (await Promise.all(turns)).reduce((sum, failed) => sum + failed, 0);
}

async function resizeInTurn(task: Task, names: Iterable<string>): Promise<number> {
  let failed = 0;
  for (const name of names) {
    try {
      await resizeOne(task, name);
    } catch (error) {
      failed++;
      console.error(`${name}: ${(error as Error).message}`);
    }
  }
  return failed;
}

async function resizeOne({ client, from, to, side }: Task, name: string): Promise<void> {
  const picture = readFileSync(join(from, name));
  const { sender, content } = await request(client, `${side}/${name}`, picture);
  const [small = Buffer.alloc(0)] = content;
  writeFileSync(join(to, name), small);
  console.log(`${name}: ${picture.length} → ${small.length} bytes, by ${sender}`);
}

/** Asks; and asks again where the worker was stopped before it had begun. */
async function request(client: MlmClient, subject: string, body: Buffer): Promise<Reply> {
  for (let tries = 1; ; tries++) {
    try {
      return await client.request('resize', subject, body, { timeoutMs: REPLY_TIMEOUT_MS });
    } catch (error) {
      const stopped = error instanceof MlmError && error.workerCode === 'STOPPED';
      if (!stopped || tries === TRIES_MAX) throw error;
    }
  }
}

async function main([from, to, side = '240']: readonly string[]): Promise<number> {
  if (from === undefined || to === undefined)
    throw new Error('usage: resize-folder FROM TO [SIDE]');
  const client = await connect(process.env['MLM_ENDPOINT'] ?? 'tcp://127.0.0.1:9999');
  try {
    return await resizeFolder({ client, from, to, side });
  } finally {
    await client.close();
  }
}

try {
  if ((await main(process.argv.slice(2))) > 0) process.exitCode = 1;
} catch (error) {
  console.error((error as Error).message);
  process.exitCode = 1;
}
