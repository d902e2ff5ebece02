// What is to be done next for a run: it follows from the definition and the state,
// without a look at anything else, so that whoever holds the run comes to the same.
// It does nothing itself.
import type { Pipeline, Step } from './definition.js';
import type { RunState, StepState } from './state.js';

/** One thing to be done. Each changes the state once it is done. */
export type Action =
  /** Find out what a step has to do: whether at all, and for which items. */
  | { readonly do: 'open'; readonly step: string }
  | { readonly do: 'skip'; readonly step: string; readonly reason: string }
  /** Begin a job. */
  | {
      readonly do: 'start';
      readonly step: string;
      readonly index: number;
      readonly attempt: number;
      /** How long no worker is to get it, ms. */
      readonly delayMs: number;
    }
  /** Cancel a job. */
  | { readonly do: 'stop'; readonly step: string; readonly index: number; readonly attempt: number }
  /** Nothing is left: the run ends. */
  | { readonly do: 'finish'; readonly state: 'succeeded' | 'failed' | 'cancelled' };

/** Everything that is to be done now; empty while jobs are awaited, and once all is over. */
export function plan(pipeline: Pipeline, state: RunState): Action[] {
  if (state.isOver || state.phase === 'waiting') return [];
  if (state.phase === 'cancelling') return planCancel(state);
  if (state.failure !== undefined) {
    // What runs may finish: when the run is resumed, it need not be done again.
    return isIdle(state) ? [{ do: 'finish', state: 'failed' }] : [];
  }
  const actions = [...pipeline.steps.values()].flatMap((step) => planStep(step, state));
  if (actions.length > 0 || !isIdle(state)) return actions;
  return [{ do: 'finish', state: 'succeeded' }];
}

function planStep(step: Step, state: RunState): Action[] {
  const own = stateOf(state, step.name);
  if (own.phase === 'running') return planInstances(step, own);
  if (own.phase !== 'waiting') return [];
  const others = [...step.needs, ...step.after].map((name) => stateOf(state, name).phase);
  if (others.some((phase) => phase !== 'succeeded' && phase !== 'skipped')) return [];
  const skipped = step.needs.find((name) => stateOf(state, name).phase === 'skipped');
  if (skipped === undefined) return [{ do: 'open', step: step.name }];
  return [{ do: 'skip', step: step.name, reason: `it needs "${skipped}", which was skipped` }];
}

/** The first instances that are ready, as many as may run beside those that do. */
function planInstances({ name, parallel, retry }: Step, own: StepState): Action[] {
  const actions: Action[] = [];
  let free = Math.min(parallel - own.counts.running, own.counts.ready);
  for (let index = own.firstReady; free > 0; index++) {
    const instance = own.instances[index];
    if (instance === undefined) break;
    if (instance.phase !== 'ready') continue;
    const { attempt, failures } = instance;
    const delayMs = failures > 0 ? retry.delayMs : 0;
    actions.push({ do: 'start', step: name, index, attempt, delayMs });
    free--;
  }
  return actions;
}

function planCancel(state: RunState): Action[] {
  const running = state.running();
  if (running.length === 0) return [{ do: 'finish', state: 'cancelled' }];
  return running.map((attempt) => ({ do: 'stop', ...attempt }));
}

function isIdle(state: RunState): boolean {
  return [...state.steps.values()].every(({ counts }) => counts.running === 0);
}

/** The state of a step of the pipeline, which has one by construction. */
export function stateOf(state: RunState, name: string): StepState {
  const step = state.steps.get(name);
  if (step === undefined) throw new Error(`the run has no state of the step "${name}"`);
  return step;
}
