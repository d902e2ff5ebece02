// One command run for one request: its folder, its arguments and input, the
// process, its bounds, and what becomes the reply. What each of these is stands
// in a file of its own.
import type { CommandSpec } from './command.js';
import type { CommandContext } from './context.js';
import { failureOfExit } from './exits.js';
import { reasonOf, timeOver } from './failure.js';
import { templateValues, writeInputFiles } from './job-input.js';
import type { JobFolder, JobFolders } from './job-folder.js';
import { LineCutter, Tail } from './lines.js';
import { collectFiles } from './outputs.js';
import { startGroup, type ProcessGroup } from './process-group.js';
import { percentageIn, reportOf } from './reports.js';
import { RequestBody } from './request-body.js';
import { readSource } from './sources.js';
import { OutputReader } from './standard-output.js';
import { Teller } from './telling.js';
import { fillAll } from './template.js';

/** Octets of standard error that are kept for messages, and of one line that may be a report. */
const TAIL_BYTES = 8 * 1024;
const REPORT_BYTES_MAX = 64 * 1024;

/**
 * Runs a command for one request, to its end: when the promise settles, none of its processes
 * is left, and neither is its folder.
 *
 * @returns the reply's body
 * @throws {JobError} of the class that the failure has; where the signal fires, its reason
 */
export async function runCommand(
  spec: CommandSpec,
  folders: JobFolders,
  context: CommandContext,
): Promise<unknown> {
  context.signal.throwIfAborted();
  const folder = await folders.make();
  try {
    const body = new RequestBody(context.body);
    const { files } = folder;
    const args = fillAll(spec.args, templateValues(context.subject, body, files, spec.here));
    const { stdin } = spec.input;
    const input = stdin === undefined ? Buffer.alloc(0) : readSource(stdin, body);
    await writeInputFiles(files, spec.input, body);
    const group = await start(spec, folder, args);
    const printed = await follow(group, input, spec, context);
    if (spec.output.files === undefined) return printed;
    return await collectFiles(files, spec.output.files, spec.outputBytesMax);
  } finally {
    const problem = await folder.remove();
    if (problem !== undefined) {
      context.log.warn('a temporary folder was left', { reason: problem.message });
    }
  }
}

function start(spec: CommandSpec, folder: JobFolder, args: string[]): Promise<ProcessGroup> {
  const { program, env, memoryBytesMax, graceMs } = spec;
  return startGroup({
    program,
    args,
    folder: spec.folder ?? folder.files,
    env: { TMPDIR: folder.temporary, ...env },
    memoryBytesMax,
    graceMs,
  });
}

/** Feeds a command, reads it and waits for its end. @returns what it printed, as its reply */
async function follow(
  group: ProcessGroup,
  input: Buffer,
  spec: CommandSpec,
  context: CommandContext,
): Promise<unknown> {
  /** Why it was stopped, if it was. */
  let stopped: Error | undefined;
  const stop = (reason: Error): void => {
    stopped ??= reason;
    group.stop();
  };
  const { signal } = context;
  const onAbort = (): void => stop(reasonOf(signal));
  const unlimit = limitTime(spec, stop);
  const teller = new Teller(context, stop);
  const output = new OutputReader({
    form: spec.output.stdout,
    withReports: spec.progress === 'stdout',
    bytesMax: spec.outputBytesMax,
    onReport: (report) => teller.report(report),
    onPartial: (body) => teller.emit(body),
    onFailure: stop,
  });
  const errors = readErrors(group, spec, teller);
  group.stdout.on('data', (chunk: Buffer) => output.write(chunk));
  signal.addEventListener('abort', onAbort);
  if (signal.aborted) onAbort();
  group.stdin.end(input);
  const exit = await group.ended;
  unlimit();
  signal.removeEventListener('abort', onAbort);
  teller.end();
  if (stopped !== undefined) throw stopped;
  const stderr = errors();
  const failed = failureOfExit(spec.program, exit, stderr, spec.exits);
  if (failed !== undefined) throw failed;
  if (stderr !== '') context.log.debug('standard error', { stderr });
  return output.result();
}

/** @returns takes the limit away */
function limitTime({ program, timeLimitMs }: CommandSpec, stop: (reason: Error) => void) {
  if (timeLimitMs === undefined) return () => undefined;
  const message = `"${program}" did not end within its time limit of ${timeLimitMs} ms`;
  const timer = setTimeout(() => stop(timeOver(message)), timeLimitMs);
  return () => clearTimeout(timer);
}

/** Reads standard error. @returns gives its end, once it is over */
function readErrors(group: ProcessGroup, { progress }: CommandSpec, teller: Teller): () => string {
  const tail = new Tail(TAIL_BYTES);
  const lines = new LineCutter(REPORT_BYTES_MAX, (line) => {
    const report = reportOf(line);
    if (report === undefined) tail.write(Buffer.concat([line, Buffer.from('\n')]));
    else teller.report(report);
  });
  group.stderr.on('data', (chunk: Buffer) => {
    if (progress === 'stderr') {
      lines.write(chunk);
      return;
    }
    tail.write(chunk);
    const fraction = progress === 'percent' ? percentageIn(tail.bytes) : undefined;
    if (fraction !== undefined) teller.report({ kind: 'progress', fraction, note: undefined });
  });
  return () => {
    lines.end();
    return tail.toString();
  };
}
