// `mlm request`: asks a service and prints the reply.
import { MlmError } from '../index.js';
import { BROKER_OPTIONS, milliseconds, type BrokerArguments } from './shared/arguments.js';
import { BODY, JSON_BODY, readBody, type BodyArguments } from './shared/body-input.js';
import { rawBody } from './shared/body-text.js';
import type { Command } from './shared/command.js';
import { CommandError } from './shared/failure.js';
import { readable } from './shared/message-view.js';
import { withClient } from './shared/session.js';

interface RequestArguments extends BrokerArguments, BodyArguments {
  readonly service: string;
  readonly subject: string;
  readonly timeout?: number;
  readonly raw?: boolean;
}

const TIMEOUT_MS = 30_000;

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
    raw: {
      type: 'boolean',
      describe: 'print the reply byte for byte; a text without an end of line gets one',
    },
    ...BROKER_OPTIONS,
  },
  run: async (given, context) => {
    const { service, subject, timeout: timeoutMs = TIMEOUT_MS, raw = false } = given;
    const { signal, output, paint } = context;
    const body = await readBody(given, signal);
    await withClient('request', given, context, { kind: 'once' }, async (client) => {
      const { content } = await client
        .request(service, subject, body, { timeoutMs, signal })
        .catch((error: unknown) => {
          throw explain(error, service, timeoutMs);
        });
      await output.write(raw && !output.isTerminal ? rawBody(content) : readable(content, paint));
    });
  },
};

function explain(error: unknown, service: string, timeoutMs: number): unknown {
  if (!(error instanceof MlmError) || error.code !== 'EXPIRED') return error;
  const message = `no worker of the service "${service}" took the request within ${timeoutMs} ms`;
  return new CommandError(message, undefined, error);
}
