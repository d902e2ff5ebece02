// What a request asks of the worker that gets it, in the words of the labels that
// workers announce: what it needs, and what it prefers for a while. Reads and
// checks it; who gets what is decided in service.ts.
import type { Worker } from './lanes.js';

/** What a worker says of itself, by label. */
export type Labels = Readonly<Record<string, unknown>>;

/** A condition on workers. Two with the same id are the same. */
export interface Needs {
  readonly id: string;
  fits(worker: Worker): boolean;
}

/** What a request asks for. */
export interface Wants {
  readonly needs: Needs | undefined;
  /** `needs` and what is preferred. */
  readonly preferred: Needs | undefined;
  /** How long to wait for a preferred worker that is free, ms. */
  readonly settleMs: number;
}

/** What a request may want, by name; `fresh` is read in sharing.ts. */
const NAMES = 'needs, prefers, settleMs and fresh';

const LABELS_MAX = 64;
const LABEL_LENGTH_MAX = 100;
const SETTLE_MS_MAX = 2 ** 31 - 1;

/** What most requests want: any worker, at once. */
export const NO_WANTS: Wants = { needs: undefined, preferred: undefined, settleMs: 0 };
/** Only native sessions can be asked to say what became of a job. */
const JOB_NEEDS: Needs = { id: 'native', fits: ({ session }) => session.isNative };

/**
 * Reads what a request wants.
 *
 * @param given `{needs?, prefers?, settleMs?, fresh?}`; needs and prefers map a label to a value that the
 *   worker's must equal or contain, to a list of which one must, or to `{min?, max?}` for numbers
 * @param job true for a job, which only native workers can do
 * @returns what it wants, or why that cannot be
 */
export function readWants(given: unknown, job: boolean): Wants | string {
  if (given === undefined) return job ? { ...NO_WANTS, needs: JOB_NEEDS } : NO_WANTS;
  if (!isMap(given)) return `what a request wants is a map of ${NAMES}`;
  const { needs = {}, prefers = {}, settleMs = 0, fresh = false, ...rest } = given;
  const [unknown] = Object.keys(rest);
  if (unknown !== undefined) return `a request cannot want "${unknown}": there is ${NAMES}`;
  const wrong =
    whyNoLabels('needs', needs, isCondition) ?? whyNoLabels('prefers', prefers, isCondition);
  if (wrong !== undefined) return wrong;
  if (!Number.isInteger(settleMs) || Number(settleMs) < 0 || Number(settleMs) > SETTLE_MS_MAX) {
    return `settleMs is a whole number from 0 to ${SETTLE_MS_MAX}`;
  }
  if (typeof fresh !== 'boolean') return 'fresh is true or false';
  const needed = needs as Labels;
  const preferred = prefers as Labels;
  return {
    needs: needsOf(needed, job),
    preferred:
      Object.keys(preferred).length === 0 ? undefined : needsOf({ ...needed, ...preferred }, job),
    settleMs: Number(settleMs),
  };
}

/**
 * Why something is not a set of labels; undefined where it is one.
 *
 * @param fits whether a value may stand beside a label
 */
export function whyNoLabels(
  what: string,
  labels: unknown,
  fits: (value: unknown) => boolean = isLabel,
): string | undefined {
  if (!isMap(labels)) return `${what} is a map of labels`;
  const entries = Object.entries(labels);
  if (entries.length > LABELS_MAX) return `${what} has more than ${LABELS_MAX} labels`;
  for (const [name, value] of entries) {
    if (name.length > LABEL_LENGTH_MAX) {
      return `${what}: a label has ${LABEL_LENGTH_MAX} letters at most`;
    }
    if (!fits(value)) return `${what}: "${name}" has a value that a label cannot have`;
  }
  return undefined;
}

function isLabel(value: unknown): boolean {
  return Array.isArray(value) ? value.every(isOne) : isOne(value);
}

function isOne(value: unknown): boolean {
  return ['string', 'number', 'boolean'].includes(typeof value);
}

/** What `labelFits` understands. */
function isCondition(value: unknown): boolean {
  if (!isMap(value)) return isLabel(value);
  const { min = 0, max = 0, ...rest } = value;
  return Object.keys(rest).length === 0 && typeof min === 'number' && typeof max === 'number';
}

function needsOf(labels: Labels, job: boolean): Needs | undefined {
  const wanted = Object.entries(labels).toSorted(([a], [b]) => (a < b ? -1 : 1));
  if (wanted.length === 0) return job ? JOB_NEEDS : undefined;
  return {
    id: `${job ? JOB_NEEDS.id : ''} ${JSON.stringify(wanted)}`,
    fits: (worker) =>
      (!job || JOB_NEEDS.fits(worker)) &&
      wanted.every(([label, value]) => labelFits(worker.labels[label], value)),
  };
}

function labelFits(has: unknown, wanted: unknown): boolean {
  if (Array.isArray(wanted)) return wanted.some((one) => labelFits(has, one));
  if (Array.isArray(has)) return has.includes(wanted);
  if (!isMap(wanted)) return has === wanted;
  const { min = -Infinity, max = Infinity } = wanted;
  return typeof has === 'number' && has >= Number(min) && has <= Number(max);
}

function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
