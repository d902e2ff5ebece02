// Names of runs and of their jobs. A job's id follows from what it does for its
// run, so that whoever submits it again names the same job.

import type { Attempt } from './state.js';

/** One attempt of one job of a run. */
export interface JobOfRun extends Attempt {
  readonly run: string;
}

const RUN = /^[a-z0-9](?:[a-z0-9-]{0,58}[a-z0-9])?$/;
const JOB = /^([a-z0-9-]+)\.([A-Za-z0-9_]+)\.(\d{1,6})\.(\d{1,6})$/;
const SLUG_CHARACTERS = 30;

/** True for what can be the id of a run: small letters, digits and `-`, 60 at most. */
export function isRunId(text: string): boolean {
  return RUN.test(text);
}

/** An id for a run. @param unique what tells it from the others, as hexadecimal digits */
export function runIdOf(pipeline: string, unique: string): string {
  const slug = pipeline
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .slice(0, SLUG_CHARACTERS);
  return [...slug.split('-'), unique].filter((part) => part !== '').join('-');
}

/** `studio-4f0c21aa.read.0.1` */
export function jobIdOf({ run, step, index, attempt }: JobOfRun): string {
  return `${run}.${step}.${index}.${attempt}`;
}

/** @returns undefined where it is no job of a run */
export function jobOfId(id: string): JobOfRun | undefined {
  const [, run, step, index, attempt] = JOB.exec(id) ?? [];
  if (run === undefined || step === undefined) return undefined;
  return { run, step, index: Number(index), attempt: Number(attempt) };
}
