// Whether matching a stream's messages costs more with more subscriptions: one
// matching reader, beside it 10 or 10,000 subscriptions that match nothing.
import { onEach, type Context, type Group, type Sample } from '../comparison.js';
import type { Peer, RunningBroker } from '../peers/peer.js';
import { acksEndpoint, freshName, mustBeComplete, perSecond, play } from './parts.js';

const FEW = 10;
const MANY = 10_000;
const SUBJECTS = 100;
const WINDOW = 1000;

export function matching(peers: readonly Peer[]): Group {
  return {
    title: 'Matching: does it grow with subscriptions?',
    notes: [
      `One stream, ${SUBJECTS} subjects in turn, one reader that matches them all, and subscriptions` +
        ` with patterns of their own that match none, 1,000 to a session, in the reader's process.` +
        ` Window ${WINDOW}. Every subject is sent once before the clock starts; what that cost has a row of its own.`,
    ],
    comparisons: [
      {
        name: 'matching',
        rows: [
          { figure: 'few', title: `with ${FEW} other subscriptions`, unit: '/s' },
          { figure: 'many', title: `with ${MANY} other subscriptions`, unit: '/s' },
          {
            figure: 'kept',
            title: `  rate with ${MANY} ÷ rate with ${FEW}`,
            unit: '×',
            own: { least: 0.8 },
          },
          { figure: 'newUs', title: `a new subject, with ${MANY}`, unit: 'µs' },
        ],
        contenders: onEach(peers, async (broker, context): Promise<Sample> => {
          const few = await measureWith(FEW, broker, context);
          const many = await measureWith(MANY / context.shrink, broker, context);
          return {
            few: few.rate,
            many: many.rate,
            kept: many.rate / few.rate,
            newUs: many.newUs,
          };
        }),
        runs: 'alternate',
      },
    ],
  };
}

async function measureWith(
  idle: number,
  broker: RunningBroker,
  context: Context,
): Promise<{ rate: number; newUs: number }> {
  const shared = {
    endpoint: broker.endpoint,
    acks: acksEndpoint(context),
    target: freshName('matched'),
    window: WINDOW,
  };
  const { results } = await play(context, broker, [
    { role: 'read', options: { ...shared, address: freshName('reader'), idle } },
    {
      role: 'write',
      options: {
        ...shared,
        address: freshName('writer'),
        subjects: SUBJECTS,
        warmup: SUBJECTS,
        seconds: context.seconds / 2,
      },
    },
  ]);
  const [read, write] = [results[0]!, results[1]!];
  mustBeComplete(write.count, read);
  return {
    rate: perSecond(read.count - SUBJECTS, write.firstNs, read.lastNs),
    newUs: write.warmupNs! / SUBJECTS / 1000,
  };
}
