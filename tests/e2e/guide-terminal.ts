// A terminal as a reader of the documentation has one: types the commands of a
// session into a shell, and compares what comes with what the page shows. What
// differs from run to run (times, addresses made of chance, the port, words of
// patience) and what only a real terminal is told does not count.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { withoutZeroMq } from '../support/processes.js';
import { until } from '../support/until.js';
import type { Step } from './guide-pages.js';

/** Stands between what one command and the next one print. */
const MARK = '\u001e';
const ANY_LINES = '…';

export interface Place {
  readonly folder: string;
  readonly env: NodeJS.ProcessEnv;
}

/** A shell in a process group of its own, so that Ctrl-C reaches all that it has started. */
export class Shell {
  stdout = '';
  /** Both outputs, as a terminal shows them. */
  output = '';
  hasEnded = false;
  readonly #child: ChildProcess;
  readonly #ended: Promise<unknown>;

  constructor(script: string, { folder, env }: Place) {
    this.#child = spawn('bash', ['-c', script], {
      cwd: folder,
      env,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text;
      this.output += text;
    });
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.output += text;
    });
    this.#ended = once(this.#child, 'close').then(() => {
      this.hasEnded = true;
    });
  }

  /** Resolves when it has ended; kills it where it does not in time. */
  async end(timeoutMs: number): Promise<void> {
    const timer = setTimeout(() => this.signal('SIGKILL'), timeoutMs);
    await this.#ended;
    clearTimeout(timer);
  }

  signal(signal: NodeJS.Signals): void {
    const { pid } = this.#child;
    if (pid === undefined || this.hasEnded) return;
    try {
      process.kill(-pid, signal);
    } catch {
      // It has ended just now.
    }
  }
}

/**
 * Types the commands one after the other and compares what each prints. Each has
 * to end well, unless the next one asks how it ended (`echo $?`).
 */
export async function typeAll(
  steps: readonly Step[],
  place: Place,
  shells: Set<Shell>,
  timeoutMs: number,
): Promise<void> {
  // Standard input is nobody's; the status goes on to the next command, as in a terminal.
  const script = steps.map(
    ({ command }) =>
      `{ ${command}\n} </dev/null; status=$?; printf '${MARK}%s${MARK}' $status; (exit $status)\n`,
  );
  const shell = new Shell(`exec 2>&1\n${script.join('')}`, place);
  shells.add(shell);
  await shell.end(timeoutMs);
  const seen = shell.output.split(MARK);
  steps.forEach(({ command, output }, at) => {
    const status = steps[at + 1]?.command === 'echo $?' ? 'asked for' : '0';
    const actual = { command, output: lines(seen[at * 2] ?? ''), status: seen[at * 2 + 1] };
    if (status === 'asked for') actual.status = status;
    const expected = { command, output: shownLines(output), status };
    if (matches(expected.output, actual.output)) expected.output = actual.output;
    expect(actual).toEqual(expected);
  });
}

/** Waits until a command in the background has printed what it should, or ended; then compares. */
export async function compareBackground({ command, output }: Step, shell: Shell): Promise<void> {
  const expected = shownLines(output);
  const isDone = (): boolean => shell.hasEnded || matches(expected, lines(shell.stdout));
  // What came instead tells more than that it never came.
  await until(isDone).catch(() => undefined);
  const actual = lines(shell.stdout);
  if (matches(expected, actual)) return;
  expect({ command, output: actual, all: shell.output }).toEqual({ command, output: expected });
}

export function hasPrinted({ output }: Step, shell: Shell): boolean {
  return output.length > 0 && matches(shownLines(output), lines(shell.stdout));
}

function lines(text: string): string[] {
  return normalise(text).trim().split('\n');
}

/** What a page shows, without what only a terminal is told: hints, and logs on standard error. */
function shownLines(output: readonly string[]): string[] {
  const shown = output.filter(
    (line) => !/; Ctrl-C ends it$|^\d{4}-\d\d-\d\dT[\d:.]+Z (info|warn)/.test(line),
  );
  return lines(shown.join('\n'));
}

function normalise(text: string): string {
  return withoutZeroMq(text)
    .replace(/^mlm: no worker .* yet; the request waits for one, .* at most\n/gm, '')
    .replace(/\d\d:\d\d:\d\d\.\d{3}/g, '00:00:00.000')
    .replace(/\d{4}-\d\d-\d\dT00:00:00\.000Z/g, 'TIME')
    .replace(/\b(mlm-[a-z]+|client)-[0-9a-f]{8,16}\b/g, '$1-CHANCE')
    .replace(/\bworker-\S+-\d+-[0-9a-f]{4}\b/g, 'worker-CHANCE')
    .replace(/ -e tcp:\/\/127\.0\.0\.1:\d+/g, '')
    .replace(/tcp:\/\/127\.0\.0\.1:\d+/g, 'tcp://127.0.0.1:9999')
    .replace(/[\d.]+ (ms|B|KiB)\b/g, '0 $1')
    .replace(/ {2,}/g, '  ');
}

/** Whether lines are those expected, of which some may stand for any lines. */
function matches(expected: readonly string[], actual: readonly string[]): boolean {
  const [first, ...rest] = expected;
  if (first === undefined) return actual.length === 0;
  if (first === ANY_LINES) {
    return actual.some((_, at) => matches(rest, actual.slice(at))) || matches(rest, []);
  }
  return first === actual[0] && matches(rest, actual.slice(1));
}
