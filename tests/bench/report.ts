// Turns outcomes into lines of text: Markdown tables, wide enough for a
// terminal, and the header that says where the figures were made. It formats
// and judges targets; it measures nothing.
import { readFileSync } from 'node:fs';
import { cpus, loadavg, totalmem } from 'node:os';
import type { Bound, Comparison, Group, Row } from './comparison.js';
import type { Outcome } from './run-comparison.js';
import { ratios, spread, type Spread } from './statistics.js';

const WIDTHS = [46, 30, 40, 20, 16];
const HEADINGS = ['what (median, min–max)', 'malamute-ts', 'peer', 'ratio', 'target'];

/** What the last line of the report counts. */
export interface Verdict {
  failed: number;
  missed: number;
}

export function machine(): string {
  const processors = cpus();
  const gigabytes = (totalmem() / 1e9).toFixed(0);
  const model = processors[0]?.model.trim() ?? 'unknown processor';
  const load = (loadavg()[0] ?? 0).toFixed(1);
  return `${processors.length} × ${model}, ${gigabytes} GB, ${system()}, Node ${process.version}; load average before the run ${load}`;
}

function system(): string {
  try {
    const release = readFileSync('/etc/os-release', 'utf8');
    return /^PRETTY_NAME="?([^"\n]*)/m.exec(release)?.[1] ?? process.platform;
  } catch {
    return process.platform;
  }
}

/** The lines above a group's rows. */
export function groupHead(group: Group): string[] {
  const rule = WIDTHS.map((width) => '-'.repeat(width));
  const notes = group.notes.flatMap((note) => [note, '']);
  return ['', `## ${group.title}`, '', ...notes, line(HEADINGS), line(rule)];
}

/** The rows of one comparison; adds to the verdict. */
export function rowsOf(
  comparison: Comparison,
  outcomes: readonly Outcome[],
  verdict: Verdict,
): string[] {
  const failures = outcomes.filter((outcome) => outcome.failed !== undefined);
  verdict.failed += failures.length;
  const lines = failures.flatMap(({ contender, failed }) =>
    `${comparison.name} FAILED on ${contender.peer.name}: ${failed}`
      .split('\n')
      .map((text) => `!!! ${text}`),
  );
  const [ours, ...others] = outcomes;
  const peers = others.filter(({ samples }) => samples.length > 0);
  for (const row of comparison.rows) {
    const own = figures(ours!, row);
    if (peers.length === 0 && own.length > 0) lines.push(rowLine(row, own, undefined, verdict));
    for (const peer of peers) lines.push(rowLine(row, own, peer, verdict));
  }
  return lines;
}

function rowLine(
  row: Row,
  own: readonly number[],
  peer: Outcome | undefined,
  verdict: Verdict,
): string {
  const theirs = peer === undefined ? [] : figures(peer, row);
  const both = own.length > 0 && own.length === theirs.length;
  const ratio = both ? ratios(own, theirs) : undefined;
  const name = peer === undefined ? '' : `${peer.contender.peer.name} `;
  return line([
    row.title,
    own.length === 0 ? '—' : quantity(spread(own), row.unit),
    theirs.length === 0 ? '—' : name + quantity(spread(theirs), row.unit),
    ratio === undefined ? '—' : range(ratio, ratioText),
    target(row, own, ratio, verdict),
  ]);
}

function figures(outcome: Outcome, row: Row): number[] {
  if (outcome.failed !== undefined) return [];
  return outcome.samples.map((sample) => sample[row.figure]).filter((value) => value !== undefined);
}

/** The target beside the row and, where it was measured, whether it was met. */
function target(
  row: Row,
  own: readonly number[],
  ratio: Spread | undefined,
  verdict: Verdict,
): string {
  const bound = row.ratio ?? row.own;
  if (bound === undefined) return '';
  const text = bound.least === undefined ? `≤ ${bound.most}` : `≥ ${bound.least}`;
  const value = row.ratio === undefined ? median(own) : ratio?.median;
  if (value === undefined) return text;
  if (meets(value, bound)) return `${text} met`;
  verdict.missed++;
  return `${text} MISSED`;
}

function median(values: readonly number[]): number | undefined {
  return values.length === 0 ? undefined : spread(values).median;
}

function meets(value: number, { least = -Infinity, most = Infinity }: Bound): boolean {
  return value >= least && value <= most;
}

function quantity(values: Spread, unit: string): string {
  const short = unit.startsWith('/') ? unit : ` ${unit}`;
  return range(values, (value) => number(value), short);
}

function range(values: Spread, format: (value: number) => string, unit = ''): string {
  const middle = format(values.median) + unit;
  if (values.min === values.max) return middle;
  return `${middle} (${format(values.min)}–${format(values.max)})`;
}

/** Three significant digits, thousands apart. */
function number(value: number): string {
  return Number(value.toPrecision(3)).toLocaleString('en-US');
}

function ratioText(value: number): string {
  return value.toPrecision(3);
}

function line(cells: readonly string[]): string {
  return `| ${cells.map((cell, at) => cell.padEnd(WIDTHS[at]!)).join(' | ')} |`;
}
