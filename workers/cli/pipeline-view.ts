// Shows a run while it goes on: a bar for each step on a terminal, a line for each
// thing that happens elsewhere. It writes to standard error, since standard output is
// for what the run gives, and decides nothing.
import { MultiBar, type SingleBar } from 'cli-progress';
import { oneLine } from '../../client/commands/shared/failure.js';
import { stepWords } from '../pipelines/draw.js';
import type { LoggedEvent } from '../pipelines/events.js';
import { readProgressNote } from '../pipelines/progress.js';
import type { RunView } from '../pipelines/runs.js';
import type { StepState } from '../pipelines/state.js';

/** What is told of a run while it goes on. */
export interface RunDisplay {
  /** Something happened. */
  event(view: RunView, logged: LoggedEvent): void;
  /** The orchestrator says how far the steps are. */
  progress(view: RunView, note: string): void;
  /** Says something beside. */
  line(text: string): void;
  stop(): void;
}

/** How much of the way a bar has. */
const BAR_TOTAL = 100;

/** @param stream standard error */
export function displayOn(stream: NodeJS.WriteStream): RunDisplay {
  return stream.isTTY ? new BarDisplay(stream) : new LineDisplay(stream);
}

class LineDisplay implements RunDisplay {
  readonly #stream: NodeJS.WriteStream;
  /** How much of each step was told, in tenths. */
  readonly #told = new Map<string, number>();

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream;
  }

  event(view: RunView, { event }: LoggedEvent): void {
    if (!('step' in event)) {
      if (event.event === 'cancelling') this.line(`cancelling: ${event.reason}`);
      return;
    }
    const step = view.state.steps.get(event.step);
    if (step === undefined) return;
    switch (event.event) {
      case 'opened':
        this.line(`${event.step}: begins${event.items === null ? '' : `, ${event.items} items`}`);
        return;
      case 'skipped':
        this.line(`${event.step}: skipped: ${event.reason}`);
        return;
      case 'failed':
        this.line(failureLine(event, step));
        return;
      case 'succeeded':
        this.#tell(event.step, step);
        return;
      case 'started':
      case 'stopped':
      case 'lost':
      // What comes of them is told.
    }
  }

  /** A line for each tenth of a step, not for each of ten thousand items. */
  #tell(name: string, step: StepState): void {
    const tenths = Math.floor((step.counts.succeeded / step.instances.length) * 10);
    if (this.#told.get(name) === tenths) return;
    this.#told.set(name, tenths);
    this.line(`${name}: ${stepWords(step)}`);
  }

  progress(): void {
    // Lines are for what is done.
  }

  line(text: string): void {
    this.#stream.write(`${oneLine(text)}\n`);
  }

  stop(): void {
    // Nothing is open.
  }
}

class BarDisplay implements RunDisplay {
  readonly #bars: MultiBar;
  readonly #byStep = new Map<string, SingleBar>();
  #fractions: ReadonlyMap<string, number> = new Map();
  #width = 0;

  constructor(stream: NodeJS.WriteStream) {
    this.#bars = new MultiBar({
      format: '{name} {bar} {words}',
      barCompleteChar: '█',
      barIncompleteChar: '░',
      barsize: 24,
      stream,
      linewrap: true,
      gracefulExit: false,
      forceRedraw: true,
    });
  }

  event(view: RunView, { event }: LoggedEvent): void {
    this.#show(view);
    if (event.event !== 'failed') return;
    const step = view.state.steps.get(event.step);
    if (step !== undefined) this.line(failureLine(event, step));
  }

  progress(view: RunView, note: string): void {
    this.#fractions = readProgressNote(note);
    this.#show(view);
  }

  line(text: string): void {
    this.#bars.log(`${oneLine(text)}\n`);
    this.#bars.update();
  }

  stop(): void {
    this.#bars.update();
    this.#bars.stop();
  }

  #show({ state }: RunView): void {
    this.#width = Math.max(this.#width, ...[...state.steps.keys()].map((name) => name.length));
    for (const [name, step] of state.steps) {
      const payload = { name: name.padEnd(this.#width), words: stepWords(step) };
      const done = Math.round(fractionOf(step, this.#fractions.get(name)) * BAR_TOTAL);
      const bar = this.#byStep.get(name);
      if (bar === undefined) {
        this.#byStep.set(name, this.#bars.create(BAR_TOTAL, done, payload));
      } else bar.update(done, payload);
    }
  }
}

function fractionOf(step: StepState, told = 0): number {
  if (step.phase === 'succeeded') return 1;
  const { counts, instances } = step;
  const known = counts.succeeded / Math.max(1, instances.length);
  return step.phase === 'running' ? Math.max(known, told) : known;
}

function failureLine(
  event: Extract<LoggedEvent['event'], { event: 'failed' }>,
  { isEach }: StepState,
): string {
  const { step, index, attempt, reason, input, final } = event;
  const item = isEach && index !== null ? `, item ${index}` : '';
  const again = final ? '' : ` (attempt ${attempt}; it is tried again)`;
  const given = input === '' ? '' : `; its input was ${input}`;
  return `${step}${item}: failed: ${reason}${given}${again}`;
}
