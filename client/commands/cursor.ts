// `mlm cursor`: looks after cursors: how far readers have come in a stream.
import type { MlmClient } from '../index.js';
import { actionOf, needed, wholeNumberOf } from './shared/actions.js';
import { BROKER_OPTIONS, type BrokerArguments } from './shared/arguments.js';
import type { Command, Context } from './shared/command.js';
import { withClient } from './shared/session.js';
import { JSON_OPTION, showTable } from './shared/show.js';

interface CursorArguments extends BrokerArguments {
  readonly action: string;
  readonly stream: string;
  readonly cursor?: string;
  readonly sequence?: string;
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
  set: async (client, { stream, cursor, sequence }, { hint }) => {
    const name = needed(cursor, 'the cursor');
    const at = wholeNumberOf(sequence, 'the sequence');
    await client.setCursor(stream, name, at);
    hint(`readers with the cursor "${name}" go on after ${at}`);
  },
  delete: async (client, { stream, cursor }, { hint }) => {
    const name = needed(cursor, 'the cursor');
    await client.deleteCursor(stream, name);
    hint(`deleted the cursor "${name}"`);
  },
};

export const cursorCommand: Command<CursorArguments> = {
  name: 'cursor',
  takes: '<action> <stream> [cursor] [sequence]',
  about: 'List, move and delete the cursors of a stream',
  examples: [
    ['ls events', 'how far the readers of events have come'],
    ['set events billing 0', 'readers with the cursor billing begin anew'],
    ['delete events billing', 'forget it'],
  ],
  positionals: {
    action: Object.keys(ACTIONS).join(', '),
    stream: 'the stream',
    cursor: 'the name of the cursor',
    sequence: 'the message after which reading goes on',
  },
  options: { json: JSON_OPTION, ...BROKER_OPTIONS },
  run: async (given, context) => {
    const action = actionOf(ACTIONS, given.action);
    await withClient('cursor', given, context, { kind: 'once' }, (client) =>
      action(client, given, context),
    );
  },
};
