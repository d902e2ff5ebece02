// The demonstration: a broker, two workers that resize pictures, a requester
// with a folder of them and `mlm-tail` on the stream of results, each a process
// of its own. This file shows what they say, sums it up, and sees to it that
// nothing is left running, however it ends; the play stands in demo-play.ts.
//
//   npm run demo [-- OUTPUT [PICTURES]]
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { play } from './demo-play.js';
import { Processes } from './demo-processes.js';

const PICTURES = fileURLToPath(new URL('../../../workers/examples/pictures', import.meta.url));
const NAME_WIDTH = 9;

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
    let interrupted = false;
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.on(signal, () => {
        if (interrupted) process.exit(1);
        interrupted = true;
        reject(new Error(`interrupted by ${signal}`));
      });
    }
    process.stdout.on('error', () => reject(new Error('nobody reads the output')));
  });
}

function summary(output: string, counts: ReadonlyMap<string, number>): string {
  const files = readdirSync(output).map((name) => {
    return `  ${join(output, name)} (${statSync(join(output, name)).size} bytes)`;
  });
  const shares = [...counts].map(([worker, count]) => `${worker} did ${count}`);
  return ['', `${shares.join(', ')}. The small pictures:`, ...files].join('\n');
}

async function main([output, pictures = PICTURES]: readonly string[]): Promise<void> {
  const interrupted = interruption();
  const processes = new Processes(say);
  const over = new AbortController();
  const folder = mkdtempSync(join(tmpdir(), 'malamute-demo-'));
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  const into = output ?? freshOutput();
  try {
    const stage = { pictures, output: into, folder, processes, say, over: over.signal };
    const counts = await Promise.race([play(stage), processes.failed, interrupted]);
    console.log(summary(into, counts));
  } finally {
    over.abort();
    // A second signal still ends it all at once meanwhile.
    await processes.stop();
  }
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  console.error(`demo: ${(error as Error).message}`);
  process.exitCode = 1;
}
