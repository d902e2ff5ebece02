// What the demonstrations have in common: the folder for their files, the broker,
// what is shown, and that nothing is left running, however they end. What is played
// stands in the files of each; how processes are kept in demo-processes.ts.
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, parse } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { MlmClient } from 'malamute-ts';
import { atSignals } from '../../client/commands/shared/signals.js';
import { Processes } from './demo-processes.js';

export const BROKER = script('../../broker/main.js');
export const MLM = script('../../client/commands/mlm.js');

const NAME_WIDTH = 9;
const LOOK_MS = 50;
/** How long the broker, or the workers and readers, may take to be there. */
const READY_MS = 60_000;

/** What a demonstration works with. */
export interface Stage {
  /** A folder for what is made, and one for files that are nobody's business. */
  readonly output: string;
  readonly folder: string;
  readonly processes: Processes;
  /** Shows a line. */
  readonly say: (name: string, line: string) => void;
  /** Fires when it is over, done or not. */
  readonly over: AbortSignal;
}

/** The path of a script of this project, by its place beside this file. */
export function script(path: string): string {
  return fileURLToPath(new URL(path, import.meta.url));
}

/**
 * Plays a demonstration once, and ends this process's part in it: all that was started has ended
 * when it returns, and the status is set.
 *
 * @param output the folder for what is made; one with the time in its name unless given
 * @param play does it; gives the lines that sum it up, which the files that were made follow
 */
export async function perform(
  output: string | undefined,
  play: (stage: Stage) => Promise<readonly string[]>,
): Promise<void> {
  try {
    await performOn(output ?? freshOutput(), play);
  } catch (error) {
    console.error(`demo: ${(error as Error).message}`);
    process.exitCode = 1;
  }
}

async function performOn(
  output: string,
  play: (stage: Stage) => Promise<readonly string[]>,
): Promise<void> {
  const interrupted = interruption();
  const processes = new Processes(say);
  const over = new AbortController();
  const folder = mkdtempSync(join(tmpdir(), 'malamute-demo-'));
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  try {
    const stage = { output, folder, processes, say, over: over.signal };
    const summary = await Promise.race([play(stage), processes.failed, interrupted]);
    console.log(['', ...summary, ...filesIn(output)].join('\n'));
  } finally {
    over.abort();
    // A second signal still ends it all at once meanwhile.
    await processes.stop();
  }
}

function say(name: string, line: string): void {
  console.log(`${name.padEnd(NAME_WIDTH)} | ${line}`);
}

/** A fresh folder with the time in its name. */
function freshOutput(): string {
  const time = new Date().toISOString().slice(0, 19).replaceAll(':', '.');
  mkdirSync('demo-output', { recursive: true });
  return mkdtempSync(join('demo-output', `${time}-`));
}

/** Rejects at a signal, or when nobody reads what is printed. A second signal ends it at once. */
function interruption(): Promise<never> {
  return new Promise((_, reject) => {
    const onSignal = atSignals(
      (signal: NodeJS.Signals) => reject(new Error(`interrupted by ${signal}`)),
      () => process.exit(1),
    );
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, onSignal);
    process.stdout.on('error', () => reject(new Error('nobody reads the output')));
  });
}

function filesIn(folder: string): string[] {
  // `card.png` before `card-2.png`.
  const names = readdirSync(folder).sort((a, b) => (parse(a).name < parse(b).name ? -1 : 1));
  return names.map((name) => {
    return `  ${join(folder, name)} (${statSync(join(folder, name)).size} bytes)`;
  });
}

/** Starts a broker at a free port. @returns its endpoint */
export async function startBroker(stage: Stage, options: readonly string[] = []): Promise<string> {
  const { processes, folder, over } = stage;
  const readyFile = join(folder, 'broker.json');
  const args = ['--bind', 'tcp://127.0.0.1:*', '--ephemeral', '--ready-file', readyFile];
  // It is stopped last: what then still waits is for processes that were killed.
  args.push('--drain-timeout', '500', ...options);
  const env = { MLM_LOG_LEVEL: 'warn' };
  const broker = processes.start('broker', BROKER, args, { env, quiet: true });
  await until('the broker', over, () => existsSync(readyFile));
  const { endpoints } = JSON.parse(readFileSync(readyFile, 'utf8')) as { endpoints: string[] };
  const [endpoint = ''] = endpoints;
  stage.say('broker', `listens on ${endpoint} (pid ${broker.pid ?? 0})`);
  return endpoint;
}

/** What a demonstration waits for before its work begins. */
interface Cast {
  /** So many workers of each of these services. */
  readonly services: Readonly<Record<string, number>>;
  /** So many readers of each of these streams. */
  readonly streams: Readonly<Record<string, number>>;
}

/** Waits until the broker knows all who take part. @throws {Error} where they are not there in time */
export async function untilReady(
  client: MlmClient,
  { services, streams }: Cast,
  over: AbortSignal,
): Promise<void> {
  await until('the workers and mlm-tail', over, async () => {
    const offered = await ask<{ service: string; workers: number }>(client, 'services.json');
    const read = await ask<{ stream: string; readers: number }>(client, 'streams.json');
    const workers = new Map(offered.map((row) => [row.service, row.workers]));
    const readers = new Map(read.map((row) => [row.stream, row.readers]));
    return areThere(services, workers) && areThere(streams, readers);
  });
}

function areThere(
  wanted: Readonly<Record<string, number>>,
  there: ReadonlyMap<string, number>,
): boolean {
  return Object.entries(wanted).every(([name, count]) => there.get(name) === count);
}

async function ask<Row>(client: MlmClient, subject: string): Promise<Row[]> {
  const reply = await client.request('$broker', subject);
  return JSON.parse(reply.text()) as Row[];
}

/** Waits until something holds. @throws {Error} where it does not in time, or all is over */
export async function until(
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
