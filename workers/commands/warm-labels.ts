// What the commands of a service that stay have at hand now, as labels of its
// worker: a model that is loaded, so that requests can prefer who has it. It knows
// no processes; what they say, it puts together and announces.
import type { Labels } from '../../client/index.js';
import type { LabelChanges } from '../announced.js';
import type { WorkerLog } from '../log.js';
import type { Worker } from '../worker.js';
import { messageOf } from './failure.js';

export class WarmLabels {
  readonly #announce: Worker['announce'];
  /** What the worker says of itself in any case. */
  readonly #own: Labels;
  readonly #log: WorkerLog;
  #warm: Labels = {};

  constructor({ labels, announce }: Pick<Worker, 'labels' | 'announce'>, log: WorkerLog) {
    this.#own = labels;
    this.#announce = announce;
    this.#log = log;
  }

  /**
   * Never throws: what cannot be announced, as too many labels, is in the log, and nothing has changed.
   *
   * @param labels what each of the commands has at hand
   */
  update(labels: readonly Labels[]): void {
    const warm = together(labels);
    if (JSON.stringify(warm) === JSON.stringify(this.#warm)) return;
    const changes: Record<string, LabelChanges[string]> = {};
    for (const name of Object.keys({ ...this.#warm, ...warm })) {
      changes[name] = warm[name] ?? this.#own[name];
    }
    try {
      this.#announce(changes);
      this.#warm = warm;
    } catch (error) {
      this.#log.warn('what the commands have at hand cannot be labels', {
        reason: messageOf(error),
      });
    }
  }
}

/** Lists are joined; of other values of one name, the last counts. */
function together(all: readonly Labels[]): Labels {
  const joined: Record<string, Labels[string]> = {};
  for (const labels of all) {
    for (const [name, value] of Object.entries(labels)) {
      const before = joined[name];
      const both = typeof before === 'object' && typeof value === 'object';
      joined[name] = both ? [...new Set([...before, ...value])] : value;
    }
  }
  return joined;
}
