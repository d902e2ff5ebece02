// `mlm top`: what a broker and its workers are doing now, looked at again and
// again: a page on a terminal, one look after the other elsewhere. What is looked
// at, and how it is laid out, stands in top/.
import { setTimeout as sleep } from 'node:timers/promises';
import { type MlmClient } from '../index.js';
import { BROKER_OPTIONS, wholeNumber, type BrokerArguments } from './shared/arguments.js';
import type { Command, Context } from './shared/command.js';
import { endOf, tellSession } from './shared/follow.js';
import { isSilence } from './shared/introspection.js';
import { safeJson } from './shared/safe-text.js';
import { withClient } from './shared/session.js';
import { Screen } from './top/screen.js';
import { look, type Snapshot } from './top/snapshot.js';
import { viewLines } from './top/view.js';

interface TopArguments extends BrokerArguments {
  readonly n?: number;
  readonly every?: number;
  readonly json?: boolean;
}

const EVERY_S = 2;
const EVERY_S_MAX = 86_400;

export const topCommand: Command<TopArguments> = {
  name: 'top',
  takes: '',
  about: 'Show what the broker and its workers are doing',
  details:
    'Services with their workers and requests, each worker with its labels, and how many messages\n' +
    'come and go a second. A terminal shows them until Ctrl-C; elsewhere, and with -n, one look is\n' +
    'printed after the other. A worker is idle, busy, or paused: it takes nothing at the moment.\n' +
    'OLDEST: how long the request has waited that waits for a worker longest. DONE, REUSED (answered\n' +
    'with an earlier result), FAILED (attempts), DEAD (dead letters) count since the broker knows the\n' +
    'service; such columns come when there is something to count.',
  examples: [
    ['', 'a page that is kept up to date'],
    ['--every 10 > log', 'a look every ten seconds, into a file'],
    ['-n 2 --every 1 --json', 'two looks for a program; the second one knows rates'],
  ],
  positionals: {},
  options: {
    n: {
      ...wholeNumber('n', 'a whole number of looks', Number.MAX_SAFE_INTEGER),
      describe: 'stop after this many looks',
    },
    every: {
      ...wholeNumber('every', 'a whole number of seconds', EVERY_S_MAX),
      describe: `seconds from one look to the next; ${EVERY_S} unless said`,
    },
    json: { type: 'boolean', describe: 'print each look as a JSON object on one line' },
    ...BROKER_OPTIONS,
  },
  run: async (given, context) => {
    await withClient('top', given, context, { kind: 'following' }, async (client) => {
      const isPage = context.output.isTerminal && given.json !== true && given.n === undefined;
      await (isPage ? showPage(client, given, context) : print(client, given, context));
    });
  },
};

async function print(client: MlmClient, given: TopArguments, context: Context): Promise<void> {
  const { output, paint } = context;
  tellSession(client, context);
  let isFirst = true;
  for await (const snapshot of looks(client, given, context)) {
    const lines =
      given.json === true
        ? [safeJson(JSON.stringify(snapshot))]
        : [...(isFirst ? [] : ['']), ...viewLines(snapshot, client.endpoint, paint)];
    await output.line(lines.join('\n'));
    isFirst = false;
  }
}

async function showPage(client: MlmClient, given: TopArguments, context: Context): Promise<void> {
  const { output, paint } = context;
  const screen = new Screen(output);
  await screen.enter();
  client.on('disconnected', () => {
    void screen.draw([`lost the broker at ${client.endpoint}; waiting for it to come back`]);
  });
  try {
    for await (const snapshot of looks(client, given, context)) {
      await screen.draw(viewLines(snapshot, client.endpoint, paint));
    }
  } finally {
    await screen.leave();
  }
}

/** Looks at the broker until it is time to end. While the broker is away there is nothing to see. */
async function* looks(
  client: MlmClient,
  { n: most, every = EVERY_S }: TopArguments,
  context: Context,
): AsyncGenerator<Snapshot, undefined> {
  const stop = endOf(context);
  let last: Snapshot | undefined;
  for (let count = 0; !stop.aborted;) {
    const snapshot = await lookOnce(client, last, stop);
    if (snapshot !== undefined) {
      last = snapshot;
      yield snapshot;
      if (++count === most) return undefined;
    }
    await sleep(every * 1000, undefined, { signal: stop }).catch(() => undefined);
  }
  return undefined;
}

/**
 * @param last the look before; none at first
 * @returns undefined where there is no session, no answer this time, or the user ends it
 * @throws {CommandError} where the broker does not tell about itself; {MlmError}
 */
export async function lookOnce(
  client: MlmClient,
  last: Snapshot | undefined,
  stop: AbortSignal,
): Promise<Snapshot | undefined> {
  if (client.state !== 'open') return undefined;
  const lost = new AbortController();
  const onLost = (): void => lost.abort();
  client.on('disconnected', onLost);
  const signal = AbortSignal.any([stop, lost.signal]);
  try {
    return await look(client, last, signal);
  } catch (error) {
    if (signal.aborted) return undefined;
    // It has told of itself before: it has much to do, or is about to end.
    if (last !== undefined && isSilence(error)) return undefined;
    throw error;
  } finally {
    client.off('disconnected', onLost);
  }
}
