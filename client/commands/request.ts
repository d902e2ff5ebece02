// `mlm request`: asks a service and prints the reply.
import { compilePattern } from '../../protocol/index.js';
import { MlmError, type MlmClient } from '../index.js';
import { BROKER_OPTIONS, milliseconds, type BrokerArguments } from './shared/arguments.js';
import { BODY, JSON_BODY, readBody, type BodyArguments } from './shared/body-input.js';
import { rawBody } from './shared/body-text.js';
import type { Command, Context } from './shared/command.js';
import { CommandError } from './shared/failure.js';
import { askTable } from './shared/introspection.js';
import { readable } from './shared/message-view.js';
import { withClient } from './shared/session.js';
import { duration } from './shared/units.js';

interface RequestArguments extends BrokerArguments, BodyArguments {
  readonly service: string;
  readonly subject: string;
  readonly timeout?: number;
  readonly raw?: boolean;
  readonly fresh?: boolean;
}

const TIMEOUT_MS = 30_000;
/** After this time without a reply the user is told where nobody can give one. */
const PATIENCE_MS = 1000;

export const requestCommand: Command<RequestArguments> = {
  name: 'request',
  takes: '<service> <subject> [body]',
  about: 'Ask a service and print the reply',
  details:
    'It prints the answer of the worker who takes the request, as text, JSON, decoded MessagePack, or\n' +
    'bytes in hex; where there is none, it says why and ends with status 1.',
  examples: [
    ['echo say hello', 'asks the service echo'],
    [
      'vision label --timeout 60000 --raw - < cat.png > labels',
      'bytes in, bytes out, within a minute',
    ],
    ["'$broker' stats", 'what the broker says about itself'],
  ],
  positionals: { service: 'the service', subject: 'what is asked', body: BODY },
  options: {
    json: JSON_BODY,
    timeout: {
      ...milliseconds('timeout'),
      describe: `how long to wait for the reply, ms; ${TIMEOUT_MS} unless said`,
    },
    fresh: { type: 'boolean', describe: 'have it done anew, though the result may be known' },
    raw: {
      type: 'boolean',
      describe: 'print the reply byte for byte; a text without an end of line gets one',
    },
    ...BROKER_OPTIONS,
  },
  run: async (given, context) => {
    const { service, subject, timeout: timeoutMs = TIMEOUT_MS, raw = false, fresh } = given;
    const { signal, output, paint } = context;
    const body = await readBody(given, signal);
    await withClient('request', given, context, { kind: 'once' }, async (client) => {
      const asked = client.request(service, subject, body, { timeoutMs, signal, fresh });
      const answered = new AbortController();
      const waiting = { ...context, signal: answered.signal };
      const patience = setTimeout(
        () => void tellWaiting(client, given, timeoutMs, waiting),
        PATIENCE_MS,
      );
      const { content } = await asked
        .catch((error: unknown) => {
          throw explain(error, service, timeoutMs);
        })
        .finally(() => {
          clearTimeout(patience);
          answered.abort();
        });
      await output.write(raw && !output.isTerminal ? rawBody(content) : readable(content, paint));
    });
  },
};

/**
 * Says so where no worker takes such a request now. A C broker cannot be asked.
 *
 * @param context its signal fires when the answer is there
 */
async function tellWaiting(
  client: MlmClient,
  { service, subject }: RequestArguments,
  timeoutMs: number,
  { signal, warn }: Context,
): Promise<void> {
  if (client.protocol !== 'native' || service.startsWith('$')) return;
  const services = await askTable(client, 'services', signal).catch(() => undefined);
  if (services === undefined || signal.aborted) return;
  const { workers = 0, patterns = [] } = services.find((row) => row['service'] === service) ?? {};
  const waits = `the request waits for one, ${duration(timeoutMs)} at most`;
  if (workers === 0) warn(`no worker offers the service "${service}" yet; ${waits}`);
  else if (!anyMatches(patterns, subject)) {
    warn(`no worker of the service "${service}" takes the subject "${subject}" yet; ${waits}`);
  }
}

/** @param patterns as the broker tells them; what is none counts as a match, to be on the safe side */
function anyMatches(patterns: unknown, subject: string): boolean {
  if (!Array.isArray(patterns)) return true;
  return patterns.some((pattern) => {
    try {
      return compilePattern(String(pattern)).matches(subject);
    } catch {
      return true;
    }
  });
}

function explain(error: unknown, service: string, timeoutMs: number): unknown {
  if (!(error instanceof MlmError) || error.code !== 'EXPIRED') return error;
  const message = `no worker of the service "${service}" took the request within ${timeoutMs} ms`;
  return new CommandError(message, undefined, error);
}
