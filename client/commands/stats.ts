// `mlm stats`: what a broker counts, and how it is.
import { BROKER_OPTIONS, type BrokerArguments } from './shared/arguments.js';
import type { Command } from './shared/command.js';
import { askStats } from './shared/introspection.js';
import { safeJson } from './shared/safe-text.js';
import { withClient } from './shared/session.js';
import { fieldLines } from './shared/table.js';

interface StatsArguments extends BrokerArguments {
  readonly json?: boolean;
}

export const statsCommand: Command<StatsArguments> = {
  name: 'stats',
  takes: '',
  about: 'Show how the broker is, and what it has counted',
  examples: [
    ['', 'for people'],
    ['--json', 'a JSON object, with bare numbers: milliseconds and octets'],
  ],
  positionals: {},
  options: { json: { type: 'boolean', describe: 'print a JSON object' }, ...BROKER_OPTIONS },
  run: async (given, context) => {
    const { signal, output, paint } = context;
    await withClient('stats', given, context, { kind: 'once' }, async (client) => {
      const stats = await askStats(client, signal);
      const asJson = given.json === true;
      const text = asJson
        ? safeJson(JSON.stringify(stats, null, 2))
        : fieldLines(stats, paint).join('\n');
      await output.line(text);
    });
  },
};
