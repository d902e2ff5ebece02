// Runs the roles of the native comparisons as processes: all set up, released
// in turn, done, ended. What the roles do stands in the roles- files.
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { LoadProcess } from '../load/generator.js';
import { toArguments, type RoleOptions, type RoleResult } from '../load/options.js';

const ROLE = fileURLToPath(new URL('./role.js', import.meta.url));

/** One process: `family:role` of role.ts, and its options. */
export interface NativePart {
  readonly role: string;
  readonly options: RoleOptions;
}

/** Extra flags of Node for roles, for profiling: MLM_BENCH_NODE_FLAGS="--cpu-prof …". */
const NODE_FLAGS = (process.env['MLM_BENCH_NODE_FLAGS'] ?? '').split(' ').filter(Boolean);

/** What takes longer hangs: a server may have died, and a client wait for it for ever. */
const PLAY_MS = 120_000;

/** Starts a role and waits until it is set up. @throws Error with what it said, where it failed */
export async function begin(part: NativePart): Promise<LoadProcess> {
  const words = [...NODE_FLAGS, ROLE, part.role, ...toArguments(part.options)];
  const child = spawn(process.execPath, words, { stdio: ['pipe', 'pipe', 'pipe'] });
  const load = new LoadProcess(part, child);
  try {
    await load.ready();
    return load;
  } catch (error) {
    await load.end();
    throw error;
  }
}

/**
 * Plays all parts together.
 *
 * @returns what they did, in the order given
 * @throws Error where one fails; the others are ended then
 */
export async function playNative(parts: readonly NativePart[]): Promise<RoleResult[]> {
  const started: LoadProcess[] = [];
  let hanging: NodeJS.Timeout | undefined;
  try {
    for (const part of parts) started.push(await begin(part));
    for (const load of started) load.go();
    hanging = setTimeout(() => void endAll(started), PLAY_MS);
    return await Promise.all(started.map((load) => load.done()));
  } finally {
    clearTimeout(hanging);
    await endAll(started);
  }
}

/** Ends roles; those that do not end by themselves are killed. */
export async function endAll(processes: readonly LoadProcess[]): Promise<void> {
  await Promise.all(processes.map((load) => load.end()));
}
