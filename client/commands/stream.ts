// `mlm stream`: looks after streams: what they hold, and less of it.
import type { MlmClient } from '../index.js';
import { actionOf, needed, wholeNumberOf } from './shared/actions.js';
import { BROKER_OPTIONS, type BrokerArguments } from './shared/arguments.js';
import type { Command, Context } from './shared/command.js';
import { ALL_OPTION, askTable, withoutOwn } from './shared/introspection.js';
import { withClient } from './shared/session.js';
import { JSON_OPTION, showFields, showTable } from './shared/show.js';

interface StreamArguments extends BrokerArguments {
  readonly action: string;
  readonly stream?: string;
  readonly bytes?: string;
  readonly all?: boolean;
  readonly json?: boolean;
}

type Action = (client: MlmClient, given: StreamArguments, context: Context) => Promise<void>;

const ACTIONS: Readonly<Record<string, Action>> = {
  ls: async (client, { json = false, all = false }, context) => {
    const rows = withoutOwn(await askTable(client, 'streams', context.signal), all);
    await showTable(rows, 'no streams', json, context);
  },
  info: async (client, { stream, json = false }, context) => {
    const { cursors, ...info } = await client.streamInfo(needed(stream, 'the stream'));
    await showFields({ ...info, cursors: cursors.length }, json, context);
  },
  trim: async (client, { stream, bytes, json = false }, context) => {
    const name = needed(stream, 'the stream');
    const { cursors, ...info } = await client.trimStream(name, wholeNumberOf(bytes, '--bytes'));
    await showFields({ ...info, cursors: cursors.length }, json, context);
  },
  delete: async (client, { stream }, { hint }) => {
    const name = needed(stream, 'the stream');
    await client.deleteStream(name);
    hint(`deleted the stream "${name}"`);
  },
};

export const streamCommand: Command<StreamArguments> = {
  name: 'stream',
  takes: '<action> [stream]',
  about: 'List, examine, trim and delete streams',
  examples: [
    ['ls', 'all streams'],
    ['info events', 'what a stream holds, and who uses it'],
    ['trim events --bytes 1000000', 'drop its oldest messages until so much is left'],
    ['delete events', 'drop it; refused while somebody reads or writes it'],
  ],
  positionals: { action: Object.keys(ACTIONS).join(', '), stream: 'the stream' },
  options: {
    bytes: { type: 'string', requiresArg: true, describe: 'octets to keep, for trim' },
    all: ALL_OPTION,
    json: JSON_OPTION,
    ...BROKER_OPTIONS,
  },
  run: async (given, context) => {
    const action = actionOf(ACTIONS, given.action);
    await withClient('stream', given, context, { kind: 'once' }, (client) =>
      action(client, given, context),
    );
  },
};
