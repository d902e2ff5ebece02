// `npm run bench`: chooses peers and comparisons, runs them one after the
// other and prints the tables as they come. The parts do the work; this file
// only puts them together, and exits 1 where a figure could not be trusted.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Context, Group } from './comparison.js';
import { Generator } from './load/generator.js';
import { HELP, parseOptions, type BenchOptions } from './options.js';
import { native } from './native/index.js';
import { malamuteC } from './peers/malamute-c.js';
import { malamuteTs } from './peers/ours.js';
import type { Peer } from './peers/peer.js';
import { groupHead, machine, rowsOf, type Verdict } from './report.js';
import { runComparison } from './run-comparison.js';
import { generatorAlone } from './scenarios/generator-alone.js';
import { matching } from './scenarios/matching.js';
import { memory } from './scenarios/memory.js';
import { speed } from './scenarios/speed.js';
import { startup } from './scenarios/startup.js';

const QUICK_SHRINK = 50;

async function main(): Promise<void> {
  const options = parseOptions(process.argv.slice(2));
  if (options === 'help') {
    console.log(HELP);
    return;
  }
  const peers = [malamuteTs(options.broker), malamuteC(options.cPrefix)];
  const all = [
    speed(peers),
    matching(peers),
    memory(peers, options.broker),
    native(options.broker, options.cPrefix),
    startup(options.broker),
  ];
  const groups = chosen(all, options.only);
  if (groups === undefined) return;
  const folder = mkdtempSync(join(tmpdir(), 'mlm-bench-'));
  try {
    const verdict = await measure(groups, peers, options, folder);
    console.log(`\n${verdict.failed} failed, ${verdict.missed} targets missed.`);
    if (verdict.failed > 0) process.exitCode = 1;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** The groups with the comparisons asked for; undefined where only their names were. */
function chosen(groups: readonly Group[], only: readonly string[]): Group[] | undefined {
  const names = groups.flatMap(({ comparisons }) => comparisons.map(({ name }) => name));
  if (only.includes('list')) {
    console.log(names.join('\n'));
    return undefined;
  }
  const wanted = (name: string) => only.length === 0 || only.some((part) => name.includes(part));
  if (!names.some(wanted)) {
    throw new Error(
      `--only ${only.join(', ')}: no comparison of that name; there are ${names.join(', ')}`,
    );
  }
  return groups
    .map((group) => ({
      ...group,
      comparisons: group.comparisons.filter(({ name }) => wanted(name)),
    }))
    .filter(({ comparisons }) => comparisons.length > 0);
}

async function measure(
  groups: readonly Group[],
  peers: readonly Peer[],
  options: BenchOptions,
  folder: string,
): Promise<Verdict> {
  const generator = Generator.prepare(folder, options.generator);
  const shrink = options.quick ? QUICK_SHRINK : 1;
  const context: Context = { generator, folder, seconds: options.seconds, shrink };
  await printHeader(context, peers, options);
  const verdict: Verdict = { failed: 0, missed: 0 };
  for (const group of groups) {
    print(groupHead(group));
    for (const comparison of group.comparisons) {
      const outcomes = await runComparison(comparison, context, options.runs);
      print(rowsOf(comparison, outcomes, verdict));
    }
  }
  return verdict;
}

async function printHeader(
  context: Context,
  peers: readonly Peer[],
  options: BenchOptions,
): Promise<void> {
  const alone = Math.round((await generatorAlone(context)) / 1000) * 1000;
  print([
    `machine: ${machine()}`,
    `load generator: ${context.generator.description}; without a broker it sends and counts ${alone.toLocaleString('en-US')} messages/s`,
    `runs: ${options.runs} of ${options.seconds} s for each contender, in turn, after one that does not count; ratios are of neighbouring runs`,
  ]);
  if (options.quick) {
    print([
      `A SMOKE RUN (--quick): counts are divided by ${context.shrink}, figures mean nothing.`,
    ]);
  }
  for (const peer of peers) {
    const why = peer.missing();
    if (why !== undefined) print([`${peer.name}: skipped, ${why}`]);
  }
}

function print(lines: readonly string[]): void {
  for (const line of lines) console.log(line);
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
});
