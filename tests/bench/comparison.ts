// The vocabulary of the benchmark: a comparison measures one thing on several
// contenders, ours first, and says which figures it gives and what they must
// reach. Scenario files build comparisons; run-comparison.ts measures them.
import type { Generator } from './load/generator.js';
import type { Peer, RunningBroker, StartOptions } from './peers/peer.js';

/** What one measurement gave: figures by name. */
export type Sample = Readonly<Record<string, number>>;

/** One figure of a comparison, as it is reported. */
export interface Row {
  /** The figure's name in the samples. */
  readonly figure: string;
  readonly title: string;
  readonly unit: string;
  /** The ratio ours ÷ peer that is asked for. */
  readonly ratio?: Bound;
  /** The value that is asked of ours alone. */
  readonly own?: Bound;
}

export interface Bound {
  readonly least?: number;
  readonly most?: number;
}

/** What every measurement may use. */
export interface Context {
  readonly generator: Generator;
  /** A temporary folder. */
  readonly folder: string;
  /** How long one run sends, s. */
  readonly seconds: number;
  /** Divides the counts of runs that are not bounded by time; 1, or more for a smoke run. */
  readonly shrink: number;
}

export interface Contender {
  readonly peer: Peer;
  readonly start?: StartOptions;
  /** Measures once. @throws Error where a message was lost or the broker failed */
  measure(broker: RunningBroker, context: Context): Promise<Sample>;
}

export interface Comparison {
  readonly name: string;
  readonly rows: readonly Row[];
  /** Ours first. */
  readonly contenders: readonly Contender[];
  /** `alternate`: the runs of all contenders in turn, after one that does not count. */
  readonly runs: 'alternate' | 'once';
}

/** How one table of the report is headed, and what it holds. */
export interface Group {
  readonly title: string;
  readonly notes: readonly string[];
  readonly comparisons: readonly Comparison[];
}

/** The same measurement on every peer. */
export function onEach(
  peers: readonly Peer[],
  measure: Contender['measure'],
  start: StartOptions = {},
): Contender[] {
  return peers.map((peer) => ({ peer, start, measure }));
}
