// `mlm cursor`: looks after cursors: how far readers have come in a stream.
import type { MlmClient } from '../index.js';
import { actionOf, needed, wholeNumberOf } from './shared/actions.js';
import { BROKER_OPTIONS, type BrokerArguments } from './shared/arguments.js';
import type { Command, Context } from './shared/command.js';
import { CommandError, usageError } from './shared/failure.js';
import { fromOf } from './shared/place.js';
import { withClient } from './shared/session.js';
import { JSON_OPTION, showTable } from './shared/show.js';
import { firstAt } from './shared/stream-end.js';
import { grouped } from './shared/units.js';

const PLACES = 'earliest, new, last:N, a sequence, a time as 2026-01-31T10:52, a while ago as 10m';

interface CursorArguments extends BrokerArguments {
  readonly action: string;
  readonly stream: string;
  readonly cursor?: string;
  readonly place?: string;
  readonly json?: boolean;
}

type Action = (client: MlmClient, given: CursorArguments, context: Context) => Promise<void>;

const ACTIONS: Readonly<Record<string, Action>> = {
  ls: async (client, { stream, json = false }, context) => {
    const rows = (await client.cursors(stream)).map(({ name, sequence }) => ({
      cursor: name,
      sequence,
    }));
    await showTable(rows, `no cursors on the stream "${stream}"`, json, context);
  },
  set: async (client, { stream, cursor, place }, { hint }) => {
    const name = needed(cursor, 'the cursor');
    const at = await seenAt(client, stream, needed(place, 'the place'));
    await client.setCursor(stream, name, at);
    hint(`readers with the cursor "${name}" go on after ${grouped(at)}`);
  },
  delete: async (client, { stream, cursor }, { hint }) => {
    const name = needed(cursor, 'the cursor');
    await client.deleteCursor(stream, name);
    hint(`deleted the cursor "${name}"`);
  },
};

/**
 * The last sequence that counts as seen where a cursor is put to a place.
 *
 * @throws {CommandError} where that is none; {MlmError} REFUSED where there is no such stream
 */
async function seenAt(client: MlmClient, stream: string, place: string): Promise<number> {
  // Not a message to begin with, but the last one that was dealt with: as ls shows it.
  const from = /^\d+$/.test(place) ? wholeNumberOf(place, 'the place') : placeOf(place);
  const { firstSequence, lastSequence } = await client.streamInfo(stream);
  if (typeof from === 'number') {
    if (from <= lastSequence) return from;
    throw new CommandError(`the stream "${stream}" goes to ${lastSequence} only`);
  }
  if (from === 'new') return lastSequence;
  if (from === 'earliest') return firstSequence - 1;
  if ('last' in from) return Math.max(firstSequence - 1, lastSequence - from.last);
  return (await firstAt(client, stream, from.timeMs)) - 1;
}

type CursorPlace = 'new' | 'earliest' | { readonly last: number } | { readonly timeMs: number };

function placeOf(text: string): CursorPlace {
  const from = fromOf(text, Date.now(), 'the place', PLACES);
  if (from === 'new' || from === 'earliest') return from;
  if (typeof from === 'object' && !('sequence' in from)) return from;
  throw usageError(`the place takes ${PLACES}; not "${text}"`);
}

export const cursorCommand: Command<CursorArguments> = {
  name: 'cursor',
  takes: '<action> <stream> [cursor] [place]',
  about: 'List, move and delete the cursors of a stream',
  examples: [
    ['ls events', 'how far the readers of events have come'],
    ['set events billing earliest', 'readers with the cursor billing begin anew'],
    ['set events billing 120', 'they go on after message 120'],
    ['set events billing 2h', 'they go on with what came in the last two hours'],
    ['delete events billing', 'forget it'],
  ],
  positionals: {
    action: Object.keys(ACTIONS).join(', '),
    stream: 'the stream',
    cursor: 'the name of the cursor',
    place:
      'where reading goes on: earliest, new, last:N (messages), a time as 2026-01-31T10:52, a while ago as 10m; or after a message: its sequence',
  },
  options: { json: JSON_OPTION, ...BROKER_OPTIONS },
  run: async (given, context) => {
    const action = actionOf(ACTIONS, given.action);
    await withClient('cursor', given, context, { kind: 'once' }, (client) =>
      action(client, given, context),
    );
  },
};
