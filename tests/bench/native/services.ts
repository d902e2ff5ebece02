// Native comparisons of services: requests answered by four workers, beside
// requests over NATS and jobs of BullMQ.
import type { Comparison, Contender } from '../comparison.js';
import { begin, endAll, playNative } from './play.js';
import { nats } from '../peers/nats.js';
import { malamuteTs } from '../peers/ours.js';
import type { Peer } from '../peers/peer.js';
import { redis } from '../peers/redis.js';
import { cpuMsOf } from '../peers/process.js';
import { cpuUs, freshName, perSecond } from '../scenarios/parts.js';

export const REQUESTS_IN_FLIGHT = 64;
export const WORKERS = 4;
const SECONDS = 1.5;

/** @param main our broker's main.js of another build */
export function serviceComparisons(main: string | undefined): Comparison[] {
  const ours = malamuteTs(main, { storage: 'disk' });
  return [requests(ours, nats('NATS'), 'nats', 2), requests(ours, redis('BullMQ'), 'redis', 5)];
}

function requests(ours: Peer, peer: Peer, family: string, least: number): Comparison {
  return {
    name: `native-request-${family}`,
    rows: [
      { figure: 'rate', title: 'request → worker → reply, durable', unit: '/s', ratio: { least } },
      { figure: 'p50Us', title: '  p50', unit: 'µs' },
      { figure: 'brokerUs', title: '  server CPU for each', unit: 'µs' },
    ],
    contenders: [
      { peer: ours, measure: request('ours') },
      { peer, measure: request(family) },
    ],
    runs: 'alternate',
  };
}

function request(family: string): Contender['measure'] {
  return async ({ endpoint, pid }, { shrink }) => {
    const target = freshName('service');
    const seconds = shrink > 1 ? 0.2 : SECONDS;
    const shared = { endpoint, target };
    const capacity = REQUESTS_IN_FLIGHT / WORKERS;
    const part = { role: `${family}:work`, options: { ...shared, window: capacity } };
    const workers = await Promise.all(Array.from({ length: WORKERS }, () => begin(part)));
    try {
      for (const worker of workers) worker.go();
      const before = cpuMsOf(pid);
      const window = REQUESTS_IN_FLIGHT;
      const [made] = await playNative([
        { role: `${family}:request`, options: { ...shared, window, seconds } },
      ]);
      const brokerMs = cpuMsOf(pid) - before;
      for (const worker of workers) worker.go();
      const handled = await Promise.all(workers.map((worker) => worker.done()));
      const { count, sent, disordered, firstNs, lastNs, p50Us } = made!;
      const total = handled.reduce((sum, { count }) => sum + count, 0);
      if (total !== sent) throw new Error(`${sent} requests, but ${total} were handled`);
      if (disordered > 0) throw new Error(`${disordered} of ${count} replies were others'`);
      return {
        rate: perSecond(count, firstNs, lastNs),
        p50Us: p50Us!,
        brokerUs: cpuUs(brokerMs, sent),
      };
    } finally {
      await endAll(workers);
    }
  };
}
