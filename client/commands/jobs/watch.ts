// Follows one job to its end: a bar on a terminal, a line for each thing that
// happens elsewhere, both on standard error; what the job gives goes to standard
// output. Ending the command does not end the job.
import { MlmError, type JobEvent, type JobHandle } from '../../index.js';
import { rawBody } from '../shared/body-text.js';
import type { Context } from '../shared/command.js';
import { CommandError, oneLine } from '../shared/failure.js';
import { endOf } from '../shared/follow.js';
import { readable } from '../shared/message-view.js';
import { detailOf, eventJson, eventLine } from './event-text.js';

export interface WatchArguments {
  /** Events as JSON on standard output, the result among them. */
  readonly json?: boolean;
  /** The result byte for byte. */
  readonly raw?: boolean;
}

/** Lines tell of progress when so much more is done. */
const TOLD_STEP = 0.1;

/**
 * Watches a job until it is done, and prints its result.
 *
 * @throws {CommandError} where it failed, was cancelled or expired; {MlmError} ABORTED
 */
export async function watchJob(
  job: JobHandle,
  given: WatchArguments,
  context: Context,
): Promise<void> {
  const last = given.json === true ? await tellJson(job, context) : await tell(job, context);
  if (context.output.closed.aborted) return;
  if (last?.isFinal !== true) throw new MlmError('ABORTED', 'the watching was ended');
  if (last.event !== 'succeeded') throw new CommandError(endText(last));
  if (given.json !== true) await print(last, given, context);
}

async function tellJson(job: JobHandle, context: Context): Promise<JobEvent | undefined> {
  let last: JobEvent | undefined;
  for await (const event of job.events({ signal: endOf(context) })) {
    await context.output.line(eventJson(event));
    last = event;
  }
  return last;
}

async function tell(job: JobHandle, context: Context): Promise<JobEvent | undefined> {
  const teller = context.progress.isSeen ? new BarTeller(context) : new LineTeller(context);
  let last: JobEvent | undefined;
  try {
    for await (const event of job.events({ signal: endOf(context) })) {
      teller.event(event);
      last = event;
    }
  } finally {
    context.progress.stop();
  }
  return last;
}

/** A line for each event; of progress, for each tenth of the way. */
class LineTeller {
  readonly #warn: Context['warn'];
  #told = -Infinity;

  constructor({ warn }: Context) {
    this.#warn = warn;
  }

  event(event: JobEvent): void {
    if (event.event === 'started') this.#told = -Infinity;
    const { fraction } = event.progress ?? {};
    if (fraction !== undefined) {
      if (fraction < this.#told + TOLD_STEP && fraction < 1) return;
      this.#told = fraction;
    }
    this.#warn(eventLine(event));
  }
}

/** A bar, with what happens now beside it; what is worth a line stays above. */
class BarTeller {
  readonly #warn: Context['warn'];
  #fraction = 0;
  #text = '';

  constructor({ warn, progress }: Context) {
    this.#warn = warn;
    progress.start({ total: 1, done: () => this.#fraction, text: () => this.#text });
  }

  event(event: JobEvent): void {
    switch (event.event) {
      case 'progress':
        this.#fraction = Math.min(1, Math.max(0, event.progress?.fraction ?? this.#fraction));
        this.#text = oneLine(`${event.progress?.note ?? 'running'}, ${event.worker ?? ''}`);
        break;
      case 'retrying':
        this.#warn(eventLine(event));
        this.#fraction = 0;
        this.#text = oneLine(detailOf(event));
        break;
      default:
        this.#text = oneLine(`${event.event} ${detailOf(event)}`);
    }
  }
}

function endText(event: JobEvent): string {
  const why = event.reason === undefined || event.reason === '' ? '' : `: ${event.reason}`;
  switch (event.event) {
    case 'cancelled':
      return `the job was cancelled${why}`;
    case 'expired':
      return `the job expired${why}`;
    default:
      return `the job failed${why}`;
  }
}

async function print(
  { content }: JobEvent,
  { raw = false }: WatchArguments,
  { output, paint }: Context,
): Promise<void> {
  await output.write(raw && !output.isTerminal ? rawBody(content) : readable(content, paint));
}
