// What the scenarios share: playing load roles on one broker, checking that
// nothing is missing, and the figures that follow from the roles' clocks.
import { join } from 'node:path';
import type { Context } from '../comparison.js';
import type { Part } from '../load/generator.js';
import type { RoleResult } from '../load/options.js';
import { cpuMsOf } from '../peers/process.js';
import type { RunningBroker } from '../peers/peer.js';

let measurements = 0;

/** A name that no other measurement of this run uses, for addresses and targets. */
export function freshName(what: string): string {
  return `${what}-${++measurements}`;
}

export function acksEndpoint(context: Context): string {
  return `ipc://${join(context.folder, freshName('acks'))}`;
}

export interface Played {
  readonly results: RoleResult[];
  /** CPU time the broker used meanwhile, set-up included. */
  readonly brokerCpuMs: number;
}

/** @throws Error where a role failed */
export async function play(
  context: Context,
  broker: RunningBroker,
  parts: readonly Part[],
): Promise<Played> {
  const before = cpuMsOf(broker.pid);
  const results = await context.generator.play(parts);
  return { results, brokerCpuMs: cpuMsOf(broker.pid) - before };
}

/** @throws Error saying how much is missing, unless all arrived, each once and in order */
export function mustBeComplete(expected: number, result: RoleResult): void {
  if (result.count !== expected) {
    throw new Error(`LOST: ${result.count} of ${expected} messages arrived`);
  }
  if (result.disordered > 0) {
    throw new Error(`DISORDER: ${result.disordered} of ${expected} messages out of order`);
  }
}

/** Things a second between two clocks, which all processes share. */
export function perSecond(count: number, firstNs: number, lastNs: number): number {
  return (count * 1e9) / (lastNs - firstNs);
}

/** CPU time per thing in µs. */
export function cpuUs(cpuMs: number, count: number): number {
  return (cpuMs * 1000) / count;
}
