// Draws a pipeline, or a run of one, as a diagram: a box for each step, with its
// service and its state in words and by colour; an arrow for each wait. It gives
// SVG, and writes no files.
import type { Graph } from '@viz-js/viz';
import type { Pipeline, Step } from './definition.js';
import { stateOf } from './plan.js';
import type { RunPhase, RunState, StepPhase, StepState } from './state.js';

/** A run, for who wants to see its state in the diagram. */
export interface DrawnRun {
  readonly run: string;
  readonly state: RunState;
}

/** The look of a box: its colours differ in lightness, too. */
interface Look {
  readonly fill: string;
  readonly line: string;
  readonly style?: string;
}

const LOOKS: Readonly<Record<StepPhase, Look>> = {
  waiting: { fill: '#f4f4f4', line: '#8a8a8a' },
  running: { fill: '#cfe2ff', line: '#2b6cb0' },
  succeeded: { fill: '#cdebd3', line: '#2f7d43' },
  skipped: { fill: '#ffffff', line: '#8a8a8a', style: 'dashed' },
  failed: { fill: '#f6c9c9', line: '#b3261e' },
  stopped: { fill: '#ffeab3', line: '#a07400' },
};
const FONT = 'Helvetica';

/** The diagram as an SVG document. */
export async function drawPipeline(pipeline: Pipeline, run?: DrawnRun): Promise<string> {
  const { instance } = await import('@viz-js/viz');
  return (await instance()).renderString(graphOf(pipeline, run), { format: 'svg' });
}

function graphOf(pipeline: Pipeline, run: DrawnRun | undefined): Graph {
  const steps = [...pipeline.steps.values()];
  return {
    directed: true,
    graphAttributes: {
      label: plainText(titleOf(pipeline, run)),
      labelloc: 't',
      pad: 0.15,
      fontname: FONT,
      rankdir: 'TB',
      nodesep: 0.35,
      ranksep: 0.45,
    },
    nodeAttributes: { shape: 'box', fontname: FONT, fontsize: 12, margin: '0.2,0.12' },
    edgeAttributes: { color: '#555555', arrowsize: 0.8, fontname: FONT, fontsize: 10 },
    nodes: steps.map((step) => boxOf(step, run)),
    edges: steps.flatMap(({ name, needs, after }) => [
      ...needs.map((tail) => ({ tail, head: name })),
      ...after
        .filter((tail) => !needs.includes(tail))
        .map((tail) => ({ tail, head: name, attributes: { style: 'dashed', label: ' after' } })),
    ]),
  };
}

function boxOf(step: Step, run: DrawnRun | undefined) {
  const own = run === undefined ? undefined : stateOf(run.state, step.name);
  const { fill, line, style } = LOOKS[own?.phase ?? 'waiting'];
  const each = step.forEach === undefined ? [] : ['for each item'];
  const words = own === undefined ? each : [stepWords(own, run?.state.isOver)];
  return {
    name: step.name,
    attributes: {
      label: plainText([step.name, `service ${step.service}`, ...words].join('\n')),
      style: ['filled', 'rounded', ...(style === undefined ? [] : [style])].join(','),
      fillcolor: fill,
      color: line,
      // A second line around a box: there are many of it.
      peripheries: step.forEach === undefined ? 1 : 2,
    },
  };
}

function titleOf({ name, version }: Pipeline, run: DrawnRun | undefined): string {
  const title = version === undefined ? name : `${name} ${version}`;
  return run === undefined ? title : `${title}\n${run.run}: ${RUN_WORDS[run.state.phase]}`;
}

/** What a phase of a run is called, for people. */
export const RUN_WORDS: Readonly<Record<RunPhase, string>> = {
  waiting: 'waiting for an orchestrator',
  running: 'running',
  cancelling: 'being cancelled',
  succeeded: 'succeeded',
  failed: 'failed',
  cancelled: 'cancelled',
};

/**
 * The state of a step, for people: `running, 3 of 5 done`.
 *
 * @param isOver whether the run is: what waits then will not begin
 */
export function stepWords({ phase, isEach, counts, instances }: StepState, isOver = false): string {
  if (phase === 'waiting' && isOver) return 'not begun';
  if (!isEach || instances.length === 0) return phase;
  return `${phase}, ${counts.succeeded} of ${instances.length} done`;
}

/** To Graphviz a backslash begins something else. */
function plainText(text: string): string {
  return text.replaceAll('\\', '\\\\');
}
