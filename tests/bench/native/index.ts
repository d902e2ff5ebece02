// The native comparisons of the benchmark, put together: what `npm run bench --
// --only native` measures.
import type { Comparison, Group } from '../comparison.js';
import { malamuteC } from '../peers/malamute-c.js';
import { malamuteTs } from '../peers/ours.js';
import { speed } from '../scenarios/speed.js';
import { FAN_OUT_NOTE, fanOutComparison } from './fan-out.js';
import { REQUESTS_IN_FLIGHT, serviceComparisons, WORKERS } from './services.js';
import { streamComparisons } from './streams.js';

/**
 * @param main our broker's main.js of another build
 * @param cPrefix where C Malamute was installed
 */
export function native(main: string | undefined, cPrefix: string | undefined): Group {
  return {
    title: 'Native sessions: this SDK beside the Node clients of other brokers, 100-octet bodies',
    notes: [
      'Every side is a Node process of its own. Our broker keeps everything on disk and confirms after the flush (fsync);' +
        ' NATS core keeps nothing; JetStream keeps files and flushes them every two minutes, Redis every second: their defaults.',
      `Requests: ${REQUESTS_IN_FLIGHT} in flight, ${WORKERS} workers, each takes ${REQUESTS_IN_FLIGHT / WORKERS} at a time.` +
        ' A rate counts from the first message after a warm-up to the last one received.',
      FAN_OUT_NOTE,
    ],
    comparisons: [
      ...streamComparisons(main),
      ...serviceComparisons(main),
      fanOutComparison(main),
      ...keptComparisons(main, cPrefix),
    ],
  };
}

/** MLM/1 clients while our broker keeps everything on disk. */
function keptComparisons(main: string | undefined, cPrefix: string | undefined): Comparison[] {
  const peers = [
    malamuteTs(main, { storage: 'disk' }),
    malamuteTs(main, { name: 'in memory' }),
    malamuteC(cPrefix),
  ];
  return speed(peers)
    .comparisons.filter(({ name }) => name === 'stream-1-1' || name === 'mailbox')
    .map((comparison) => ({
      ...comparison,
      name: `native-v1-${comparison.name}`,
      rows: comparison.rows.map(({ figure, title, unit }) => ({
        figure,
        title: title.startsWith(' ') ? title : `MLM/1, on disk: ${title}`,
        unit,
      })),
    }));
}
