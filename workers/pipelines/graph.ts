// What waits for what: cycles among steps, and an order in which each step comes
// after those that it waits for. It knows of steps only their names and arrows.

/** A step, as far as it waits for others. */
export interface Waits {
  readonly needs: readonly string[];
  readonly after: readonly string[];
}

/** The steps that one waits for, whether they exist or not. */
export function awaited({ needs, after }: Waits): string[] {
  return [...new Set([...needs, ...after])];
}

/** Each cycle once: every step in it waits for the next, the last for the first. */
export function findCycles(steps: ReadonlyMap<string, Waits>): string[][] {
  const cycles: string[][] = [];
  const done = new Set<string>();
  const way: string[] = [];
  const visit = (name: string): void => {
    const step = steps.get(name);
    if (step === undefined || done.has(name)) return;
    const at = way.indexOf(name);
    if (at >= 0) {
      cycles.push(way.slice(at));
      return;
    }
    way.push(name);
    // A step that names itself is told of elsewhere.
    for (const next of awaited(step)) if (next !== name) visit(next);
    way.pop();
    done.add(name);
  };
  for (const name of steps.keys()) visit(name);
  return cycles;
}

/** The same steps, each after those that it waits for, else in their own order. No cycles. */
export function inDependencyOrder<Step extends Waits>(
  steps: ReadonlyMap<string, Step>,
): Map<string, Step> {
  const ordered = new Map<string, Step>();
  const visit = (name: string): void => {
    const step = steps.get(name);
    if (step === undefined || ordered.has(name)) return;
    for (const next of awaited(step)) visit(next);
    ordered.set(name, step);
  };
  for (const name of steps.keys()) visit(name);
  return ordered;
}
