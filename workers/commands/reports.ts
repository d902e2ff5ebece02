// What a command says about its work while it works: JSON lines such as
// {"progress": 0.4, "note": "…"} and {"event": …}, or percentages as progress bars
// print them. It finds them among what is printed; who is told is not known here.
import { isUtf8 } from 'node:buffer';

/** What one line says. */
export type Report =
  | {
      readonly kind: 'progress';
      readonly fraction: number | undefined;
      readonly note: string | undefined;
    }
  | { readonly kind: 'event'; readonly event: unknown };

const NOTE_CHARACTERS_MAX = 1000;

/**
 * Reads a line as a report: an object with `progress`, a number from 0 to 1 or null, and
 * perhaps a `note`; or with `event`, any value.
 *
 * @returns undefined where the line is something else
 */
export function reportOf(line: Buffer): Report | undefined {
  if (!mayReport(line)) return undefined;
  const value = parse(line);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  if ('event' in value) return { kind: 'event', event: value.event };
  if (!('progress' in value)) return undefined;
  const fraction = fractionOf(value.progress);
  if (fraction === undefined && value.progress !== null) return undefined;
  const note = 'note' in value ? value.note : undefined;
  return {
    kind: 'progress',
    fraction,
    note: typeof note === 'string' ? note.slice(0, NOTE_CHARACTERS_MAX) : undefined,
  };
}

/** A fraction from 0 to 1; undefined where a value is none. */
export function fractionOf(value: unknown): number | undefined {
  return typeof value === 'number' && value >= 0 && value <= 1 ? value : undefined;
}

/** Most lines are no reports, and need not be parsed to see it. */
function mayReport(line: Buffer): boolean {
  const text = line.subarray(0, 256).toString('latin1');
  return /^\s*\{/.test(text) && isUtf8(line) && /"(?:progress|event)"/.test(line.toString());
}

function parse(line: Buffer): unknown {
  try {
    return JSON.parse(line.toString('utf8'));
  } catch {
    return undefined;
  }
}

/** How much of an output is looked at for a percentage: progress bars are redrawn in place. */
const BAR_CHARACTERS_MAX = 1000;

/** The last percentage in a piece of output, as a fraction; undefined where there is none. */
export function percentageIn(output: Buffer): number | undefined {
  const text = output.subarray(-BAR_CHARACTERS_MAX).toString('latin1');
  const last = [...text.matchAll(/(?<![\d.])(\d{1,3}(?:\.\d{1,3})?) ?%/g)].at(-1);
  return last === undefined ? undefined : fractionOf(Number(last[1]) / 100);
}

/** How often progress is told at most, ms. */
const PROGRESS_EVERY_MS = 100;

/** Tells of progress, but not more often than anybody can look: of what comes faster, the last. */
export class ProgressTeller {
  readonly #tell: (fraction: number | undefined, note: string | undefined) => void;
  #waiting: readonly [fraction: number | undefined, note: string | undefined] | undefined;
  #pause: NodeJS.Timeout | undefined;

  constructor(tell: (fraction: number | undefined, note: string | undefined) => void) {
    this.#tell = tell;
  }

  report(fraction: number | undefined, note: string | undefined): void {
    if (this.#pause === undefined) this.#now(fraction, note);
    else this.#waiting = [fraction, note];
  }

  /** Tells what waits; nothing more comes. */
  end(): void {
    clearTimeout(this.#pause);
    this.#pause = undefined;
    if (this.#waiting !== undefined) this.#tell(...this.#waiting);
    this.#waiting = undefined;
  }

  #now(fraction: number | undefined, note: string | undefined): void {
    this.#tell(fraction, note);
    this.#pause = setTimeout(() => {
      this.#pause = undefined;
      const waiting = this.#waiting;
      this.#waiting = undefined;
      if (waiting !== undefined) this.#now(...waiting);
    }, PROGRESS_EVERY_MS);
  }
}
