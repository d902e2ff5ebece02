// How far a run is, in one line that people and programs read: an orchestrator says
// it of its request, and whoever follows the run shows it. It looks at states only.
import { jobIdOf } from './job-id.js';
import type { RunState, StepState } from './state.js';

/** How far jobs are that are under way: fractions from 0 to 1, by the ids of the jobs. */
export type Fractions = ReadonlyMap<string, number>;

/** What is said of a run. */
export interface RunProgress {
  /** From 0 to 1; every step counts the same. */
  readonly fraction: number;
  /** The steps under way: `cut 1/3 (42 %), speak 0/1 (0 %)`. */
  readonly note: string;
}

const NOTE_CHARACTERS_MAX = 1000;

/** @param run its id */
export function progressOf(run: string, { steps }: RunState, fractions: Fractions): RunProgress {
  let done = 0;
  const under: string[] = [];
  for (const [name, step] of steps) {
    if (step.phase === 'succeeded' || step.phase === 'skipped') done++;
    if (step.phase !== 'running') continue;
    const fraction = fractionOf(run, name, step, fractions);
    done += fraction;
    const { counts, instances } = step;
    under.push(`${name} ${counts.succeeded}/${instances.length} (${Math.floor(fraction * 100)} %)`);
  }
  const fraction = done / Math.max(1, steps.size);
  return { fraction, note: under.join(', ').slice(0, NOTE_CHARACTERS_MAX) };
}

function fractionOf(
  run: string,
  step: string,
  { instances, counts }: StepState,
  fractions: Fractions,
): number {
  let done = counts.succeeded;
  if (counts.running > 0) {
    for (const [index, { phase, attempt }] of instances.entries()) {
      if (phase !== 'running') continue;
      done += fractions.get(jobIdOf({ run, step, index, attempt })) ?? 0;
    }
  }
  return done / Math.max(1, instances.length);
}

/** The steps of a note, and how far each is, from 0 to 1. */
export function readProgressNote(note: string): Map<string, number> {
  const found = note.matchAll(/(\w+) \d+\/\d+ \((\d{1,3}) %\)/g);
  return new Map([...found].map(([, step = '', percent]) => [step, Number(percent) / 100]));
}
