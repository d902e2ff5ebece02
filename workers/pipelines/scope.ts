// What the expressions of a run see: its inputs, the outputs of the steps that are
// done, the item at hand; and what the fields of a step give with it. It evaluates,
// and decides nothing.
import type { Step } from './definition.js';
import { ITEMS_MAX } from './events.js';
import { ExpressionError, type Scope } from './expression.js';
import { stateOf } from './plan.js';
import type { RunState } from './state.js';
import { evaluateTemplate, kindOf } from './template.js';

/** What a step has to do: nothing, or so many items; null for one job without an item. */
export type Opening =
  | { readonly skipped: true; readonly items?: undefined }
  | { readonly skipped: false; readonly items: readonly unknown[] | null };

/** What one job of a step is given. */
export interface JobInput {
  readonly subject: string;
  readonly input: unknown;
}

const SUBJECT_BYTES_MAX = 255;

/** @param run its id */
export function scopeOf(run: string, state: RunState): Scope {
  const done = [...state.steps]
    .filter(([, { phase }]) => phase === 'succeeded')
    .map(([name]) => [name, { output: outputOfStep(state, name) }] as const);
  return {
    inputs: state.inputs,
    steps: Object.fromEntries(done),
    run: { id: run, pipeline: state.pipeline },
    nowMs: state.beganMs,
  };
}

/** The output of the only job, or those of all items, in their order. */
function outputOfStep(state: RunState, name: string): unknown {
  const { isEach, instances } = stateOf(state, name);
  const outputs = instances.map(({ output }) => output);
  return isEach ? outputs : outputs[0];
}

/** @throws {ExpressionError} where `when` or `forEach` do not give what they must */
export async function openStep({ when, forEach }: Step, scope: Scope): Promise<Opening> {
  if (when !== undefined) {
    const given = await evaluateTemplate(when, scope);
    // A comparison with what is not there gives nothing.
    if (given === false || given === undefined) return { skipped: true };
    if (given !== true) {
      throw new ExpressionError(`"when" gives ${kindOf(given)}, not true or false`, 0);
    }
  }
  if (forEach === undefined) return { skipped: false, items: null };
  const given = await evaluateTemplate(forEach, scope);
  // JSONata gives one found value as itself, and none as nothing.
  const items = given === undefined ? [] : Array.isArray(given) ? (given as unknown[]) : [given];
  if (items.length <= ITEMS_MAX) return { skipped: false, items };
  throw new ExpressionError(`"forEach" gives ${items.length} items; ${ITEMS_MAX} at most`, 0);
}

/**
 * What a job is given.
 *
 * @param items those of the step's `forEach`; null without one
 * @throws {ExpressionError}
 */
export async function inputOf(
  step: Step,
  scope: Scope,
  items: readonly unknown[] | null,
  index: number,
): Promise<JobInput> {
  const inside = items === null ? scope : { ...scope, item: items[index], index };
  const input = (await evaluateTemplate(step.input, inside)) ?? undefined;
  const subject = await evaluateTemplate(step.subject, inside);
  if (typeof subject !== 'string') {
    throw new ExpressionError(`"subject" gives ${kindOf(subject)}, not a text`, 0);
  }
  if (Buffer.byteLength(subject) <= SUBJECT_BYTES_MAX) return { subject, input };
  throw new ExpressionError(`"subject" gives more than ${SUBJECT_BYTES_MAX} octets`, 0);
}
