// Median, smallest and largest of a few runs, and ratios pair by pair. Numbers
// in, numbers out.

export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** @param values at least one */
export function spread(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const median =
    sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
  return { median, min: sorted[0]!, max: sorted.at(-1)! };
}

/** The spread of left ÷ right, run by run: what ran next to each other is compared. */
export function ratios(left: readonly number[], right: readonly number[]): Spread {
  return spread(left.map((value, at) => value / right[at]!));
}
