// What a worker says of itself while it runs: its labels, which may change, and
// who is to be told of it. It checks and keeps them; the broker is told by those
// who offer the worker.
import type { Labels } from '../client/index.js';
import { checkLabels } from '../client/labels.js';

/** Labels that are other ones from now on; undefined takes one away, those not named stay. */
export type LabelChanges = Readonly<Record<string, Labels[string] | undefined>>;

export class Announced {
  #labels: Labels;
  readonly #watchers = new Set<() => void>();

  /** @throws {MlmError} INVALID_ARGUMENT naming the label */
  constructor(labels: Labels) {
    this.#labels = checkLabels(labels);
  }

  get labels(): Labels {
    return this.#labels;
  }

  /** @throws {MlmError} INVALID_ARGUMENT naming the label */
  change(changes: LabelChanges): void {
    const entries = Object.entries({ ...this.#labels, ...changes });
    const labels = Object.fromEntries(entries.filter(([, value]) => value !== undefined));
    this.#labels = checkLabels(labels as Labels);
    for (const watcher of this.#watchers) watcher();
  }

  /** Calls a function after each change. @returns ends that */
  watch(watcher: () => void): () => void {
    this.#watchers.add(watcher);
    return () => void this.#watchers.delete(watcher);
  }
}
