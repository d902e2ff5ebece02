// Measures one comparison: starts the contenders that are here, lets their runs
// alternate, stops them. A contender that fails keeps its reason instead of
// figures; the others go on. Prints nothing.
import type { Comparison, Contender, Context, Sample } from './comparison.js';
import type { RunningBroker } from './peers/peer.js';

export interface Outcome {
  readonly contender: Contender;
  readonly samples: Sample[];
  /** Why it was not measured, being not here. */
  readonly skipped?: string;
  /** Why its measurement is worth nothing. */
  failed?: string;
}

/** @returns one outcome per contender, in their order */
export async function runComparison(
  comparison: Comparison,
  context: Context,
  runs: number,
): Promise<Outcome[]> {
  const outcomes = comparison.contenders.map((contender): Outcome => {
    const skipped = contender.peer.missing();
    return { contender, samples: [], ...(skipped === undefined ? {} : { skipped }) };
  });
  const brokers = new Map<Outcome, RunningBroker>();
  try {
    const rounds = comparison.runs === 'once' ? 1 : runs + 1;
    for (let round = 0; round < rounds; round++) {
      for (const outcome of outcomes) {
        if (outcome.skipped !== undefined || outcome.failed !== undefined) continue;
        const counts = comparison.runs === 'once' || round > 0;
        await measureOnce(outcome, brokers, context, counts);
      }
    }
  } finally {
    for (const broker of brokers.values()) await broker.stop();
  }
  return outcomes;
}

/** One run of one contender; its broker is started by the first. */
async function measureOnce(
  outcome: Outcome,
  brokers: Map<Outcome, RunningBroker>,
  context: Context,
  counts: boolean,
): Promise<void> {
  const { contender } = outcome;
  try {
    const broker =
      brokers.get(outcome) ?? (await contender.peer.start(context.folder, contender.start ?? {}));
    brokers.set(outcome, broker);
    const sample = await contender.measure(broker, context);
    if (counts) outcome.samples.push(sample);
  } catch (error) {
    const words = brokers.get(outcome)?.lastWords();
    const why = error instanceof Error ? error.message : String(error);
    outcome.failed = words === undefined ? why : `THE BROKER ENDED: ${words} (${why})`;
  }
}
