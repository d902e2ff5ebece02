// `mlm ls`: lists who is connected to a broker, and what it holds.
import { BROKER_OPTIONS, type BrokerArguments } from './shared/arguments.js';
import type { Command, Context } from './shared/command.js';
import { usageError } from './shared/failure.js';
import {
  ALL_OPTION,
  askTable,
  TABLES,
  withoutOwn,
  type Fields,
  type TableName,
} from './shared/introspection.js';
import { safeJson } from './shared/safe-text.js';
import { withClient } from './shared/session.js';
import { tableLines } from './shared/table.js';

interface ListArguments extends BrokerArguments {
  readonly what?: string;
  readonly all?: boolean;
  readonly json?: boolean;
}

export const listCommand: Command<ListArguments> = {
  name: 'ls',
  takes: '[what]',
  about: 'List clients, streams, services, workers and mailboxes',
  examples: [
    ['', 'everything'],
    ['clients', 'who is connected'],
    ['streams --json', 'a JSON list, for a program'],
  ],
  positionals: { what: `${TABLES.join(', ')}; all of them unless said` },
  options: {
    all: ALL_OPTION,
    json: {
      type: 'boolean',
      describe: 'print JSON: a list, or an object of lists where everything is asked for',
    },
    ...BROKER_OPTIONS,
  },
  run: async (given, context) => {
    const tables = tablesOf(given.what);
    const { signal, output } = context;
    await withClient('ls', given, context, { kind: 'once' }, async (client) => {
      const found = new Map<TableName, readonly Fields[]>();
      for (const table of tables) {
        const rows = await askTable(client, table, signal);
        const all = table !== 'streams' || given.all === true;
        found.set(table, withoutOwn(rows, all));
      }
      const text = given.json === true ? asJson(found) : asTables(found, context);
      await output.line(text);
    });
  },
};

function tablesOf(what: string | undefined): readonly TableName[] {
  if (what === undefined) return TABLES;
  const table = TABLES.find((name) => name === what);
  if (table === undefined)
    throw usageError(`there is no list "${what}"; there are ${TABLES.join(', ')}`);
  return [table];
}

function asJson(found: ReadonlyMap<TableName, readonly Fields[]>): string {
  const [only] = found.values();
  return safeJson(JSON.stringify(found.size === 1 ? only : Object.fromEntries(found), null, 2));
}

function asTables(found: ReadonlyMap<TableName, readonly Fields[]>, { paint }: Context): string {
  const parts = [...found].map(([table, rows]) => {
    const lines = rows.length === 0 ? [`no ${table}`] : tableLines(rows, paint);
    return found.size === 1 ? lines : [paint('title', table), ...lines, ''];
  });
  return parts.flat().join('\n').trimEnd();
}
