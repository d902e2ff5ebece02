// `mlm tail`, and `mlm-tail`: follows a stream and prints what is sent to it,
// from any place of its log, up to any place, and into a file where wished.
import { type From, type MlmClient, type StreamMessage, type StreamReader } from '../index.js';
import { BROKER_OPTIONS, oneText, type BrokerArguments } from './shared/arguments.js';
import type { Command, Context } from './shared/command.js';
import { CommandError, interruption, usageError } from './shared/failure.js';
import {
  endOf,
  FOLLOW_OPTIONS,
  formOf,
  printAll,
  tellSession,
  type FollowArguments,
} from './shared/follow.js';
import { checkPattern } from './shared/pattern.js';
import { fromOf, untilOf, type Until } from './shared/place.js';
import { Rate } from './shared/progress.js';
import type { Recorder } from './shared/recorder.js';
import { withClient } from './shared/session.js';
import { StreamEnd } from './shared/stream-end.js';
import { StreamLists } from './shared/stream-lists.js';
import { count, grouped } from './shared/units.js';

interface TailArguments extends BrokerArguments, FollowArguments {
  readonly stream: string;
  readonly pattern?: string;
  readonly from?: string;
  readonly until?: string;
  readonly cursor?: string;
  readonly record?: string;
  readonly force?: boolean;
}

/** What the arguments ask for, checked. */
interface Tail {
  readonly stream: string;
  readonly pattern: string;
  readonly from: From | undefined;
  readonly until: Until | undefined;
  readonly cursor: string | undefined;
}

export const tailCommand: Command<TailArguments> = {
  name: 'tail',
  takes: '<stream> [pattern]',
  about: 'Follow a stream, message by message',
  details:
    'It prints what is sent from now on, a line for each message: when the broker got it, its sender,\n' +
    'its subject, and its body as text, JSON, decoded MessagePack, or bytes in hex. It goes on when\n' +
    'the broker restarts, until Ctrl-C.\n\n' +
    'A place in the stream is the sequence of a message, a time (2026-01-31, 2026-01-31T10:52,\n' +
    '2026-01-31T10:52:07Z) or a while ago (30s, 10m, 2h, 3d).',
  examples: [
    ['greetings', 'everything sent to the stream greetings'],
    ["weather '^temp\\.'", 'only subjects that match: a regular expression, searched'],
    ['weather -n 10 --json', 'ten messages, each a JSON object on its line'],
    ['pictures -n 1 --raw > picture.png', 'the body of the next message, byte for byte'],
    ['weather --from 10m', 'what came in the last ten minutes, and what comes'],
    ['weather --from earliest --until now', 'what the stream holds'],
    ['weather --from compact --until now', 'how things are: the last message of each subject'],
    [
      'orders --cursor billing --from earliest --until now',
      'what is new since this was called last',
    ],
    ['weather --record weather.rec', 'into a file, too, which "mlm replay" sends again'],
  ],
  positionals: {
    stream: 'the stream',
    pattern: 'subjects to show: a regular expression, searched, not anchored; all unless said',
  },
  options: {
    from: {
      ...oneText('from'),
      describe:
        'where to begin: earliest, new, last:N (messages), compact (the last message of each subject), or a place; new unless said',
    },
    until: {
      ...oneText('until'),
      describe: 'end by itself: now (with what the stream holds), or at a place',
    },
    cursor: {
      ...oneText('cursor'),
      describe: 'go on after what was printed under this name before; --from is for the first time',
    },
    record: {
      ...oneText('record'),
      describe: 'write every message into this file, too',
    },
    force: { type: 'boolean', describe: 'overwrite the file of --record' },
    ...FOLLOW_OPTIONS,
    ...BROKER_OPTIONS,
  },
  run: async (given, context) => {
    const tail = tailOf(given);
    formOf(given);
    await withClient('tail', given, context, { kind: 'following' }, async (client) => {
      checkSession(client, given);
      tellSession(client, context, () =>
        client.protocol === 'native'
          ? 'going on after the last message'
          : 'what was sent to streams meanwhile was missed',
      );
      const { stream, until } = tail;
      const end = until === undefined ? undefined : await StreamEnd.find(client, stream, until);
      const recorder = await recorderOf(tail, given);
      try {
        await follow(client, tail, { end, recorder }, given, context);
      } finally {
        end?.close();
        context.progress.stop();
        await recorder?.end();
      }
      if (recorder !== undefined) {
        context.hint(`recorded ${count(recorder.messages, 'message')} in ${given.record ?? ''}`);
      }
    });
  },
};

/** @throws {CommandError} */
function tailOf({ stream, pattern = '', from, until, cursor, ...given }: TailArguments): Tail {
  checkPattern(pattern);
  if (given.force === true && given.record === undefined) {
    throw usageError('--force is for the file of --record');
  }
  const nowMs = Date.now();
  const tail: Tail = {
    stream,
    pattern,
    from: from === undefined ? undefined : fromOf(from, nowMs),
    until: until === undefined ? undefined : untilOf(until, nowMs),
    cursor,
  };
  if (typeof tail.from === 'object' && 'timeMs' in tail.from && tail.from.timeMs > nowMs) {
    throw usageError('--from is in the future');
  }
  checkOrder(tail);
  return tail;
}

/** What ends before it begins is a mistake. */
function checkOrder({ from, until }: Tail): void {
  if (typeof from !== 'object' || typeof until !== 'object') return;
  const bySequence = 'sequence' in from && 'sequence' in until && from.sequence > until.sequence;
  const byTime = 'timeMs' in from && 'timeMs' in until && from.timeMs > until.timeMs;
  if (bySequence || byTime) throw usageError('--until is before --from');
}

/** @throws {CommandError} where the session cannot do what is asked for */
function checkSession(client: MlmClient, given: TailArguments): void {
  if (client.protocol === 'native') return;
  const asked = (['from', 'until', 'cursor', 'record'] as const).find(
    (name) => given[name] !== undefined,
  );
  if (asked === undefined) return;
  throw new CommandError(
    `--${asked} needs a native session, and the broker at ${client.endpoint} speaks MLM/1 only`,
  );
}

async function recorderOf(
  { stream }: Tail,
  { record, force = false }: TailArguments,
): Promise<Recorder | undefined> {
  if (record === undefined) return undefined;
  // What checks the format is large; most calls record nothing.
  const { Recorder } = await import('./shared/recorder.js');
  return Recorder.create(record, force, { stream, recorded: new Date().toISOString() });
}

interface Ends {
  readonly end: StreamEnd | undefined;
  readonly recorder: Recorder | undefined;
}

async function follow(
  client: MlmClient,
  tail: Tail,
  { end, recorder }: Ends,
  given: TailArguments,
  context: Context,
): Promise<void> {
  const { stream, pattern, from, cursor } = tail;
  const toTheEnd = end === undefined ? { pattern } : { own: true };
  const reader = client
    .stream(stream)
    .read({ ...toTheEnd, from, cursor, confirm: 'manual', onGap: () => lists.look() });
  const lists = new StreamLists({
    reader,
    end,
    pattern,
    hasCursor: cursor !== undefined,
    stop: endOf(context),
  });
  reader.ready.then(
    () => {
      context.hint(`${described(tail, client)}; Ctrl-C ends it`);
      if (!context.output.isTerminal) showProgress(reader, end, context);
    },
    () => undefined, // The loop over the messages throws it.
  );
  const printed = (message: StreamMessage): void => lists.confirm(message);
  const coming = recorder && ((messages: readonly StreamMessage[]) => recorder.add(messages));
  const amount = await printAll({ lists, where: { stream }, coming, printed }, given, context);
  const isEarly = end !== undefined && amount !== given.n && !end.isReached(reader.position);
  if (isEarly && context.signal.aborted) throw interruption();
}

function described({ stream, pattern, until }: Tail, { endpoint }: MlmClient): string {
  const doing = until === undefined ? 'following' : 'reading';
  const subjects = pattern === '' ? '' : `, subjects that match "${pattern}"`;
  return `${doing} the stream "${stream}" at ${endpoint}${subjects}`;
}

/** Not for messages on the same terminal: they show well enough how far it has come. */
function showProgress(reader: StreamReader, end: StreamEnd | undefined, context: Context): void {
  const { position: first = 0 } = reader;
  if (end?.sequence === undefined) return;
  const total = end.sequence - first + 1;
  const done = (): number => Math.min(total, (reader.position ?? first) - first);
  const rate = new Rate(done);
  const text = (): string => `${grouped(done())} of ${count(total, 'message')}, ${rate.text()}`;
  context.progress.start({ total, done, text });
}
