// What a step asks of the worker that is to do it, from the words of the file to the
// terms of a request. What the wire takes, the SDK's own check says; who gets a
// request is decided by the broker.
import { MlmError, type LabelCondition, type Wants } from '../../client/index.js';
import { checkWants } from '../../client/labels.js';
import type { StepShape } from './shapes.js';

/** The terms, and what is wrong with them. */
interface ReadWants {
  readonly wants: Wants;
  /** The key it is about, and what. */
  readonly problem: { readonly key: string | undefined; readonly message: string } | undefined;
}

export function wantsOf({ needs, prefers, settle }: NonNullable<StepShape['worker']>): ReadWants {
  const wants: Wants = { needs, prefers, settleMs: settle };
  if (settle !== undefined && prefers === undefined) {
    return { wants, problem: { key: 'settle', message: 'means nothing without "prefers"' } };
  }
  const message = whyNot(wants);
  return { wants, problem: message === undefined ? undefined : { key: undefined, message } };
}

/** Whether a value can be what a label must be. */
export function isCondition(value: unknown): boolean {
  return whyNot({ needs: { label: value as LabelCondition } }) === undefined;
}

function whyNot(wants: Wants): string | undefined {
  try {
    checkWants(wants);
    return undefined;
  } catch (error) {
    if (error instanceof MlmError) return error.message;
    throw error;
  }
}
