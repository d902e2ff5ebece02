// `mlm mail`: sends one message to a mailbox.
import { MlmError } from '../index.js';
import { BROKER_OPTIONS, milliseconds, type BrokerArguments } from './shared/arguments.js';
import { BODY, JSON_BODY, readBody, type BodyArguments } from './shared/body-input.js';
import type { Command } from './shared/command.js';
import { CommandError } from './shared/failure.js';
import { untilRead, withClient } from './shared/session.js';

interface MailArguments extends BrokerArguments, BodyArguments {
  readonly address: string;
  readonly subject: string;
  readonly confirm?: boolean;
  readonly timeout?: number;
}

export const mailCommand: Command<MailArguments> = {
  name: 'mail',
  takes: '<address> <subject> [body]',
  about: 'Send mail to a mailbox',
  details:
    'The mail waits where its receiver is not there. The command ends well once the broker has read\n' +
    'the mail; with --confirm, once the receiver has it.',
  examples: [
    ['alice hello "see you at ten"', 'mail that waits for alice'],
    ['alice hello "are you there?" --confirm --timeout 5000', 'fails unless she confirms in 5 s'],
    ['alice report - < report.pdf', 'a file, byte for byte'],
  ],
  positionals: { address: 'whose mailbox', subject: 'what it is about', body: BODY },
  options: {
    json: JSON_BODY,
    confirm: {
      type: 'boolean',
      describe: 'wait until the receiver has confirmed it (not with a C broker)',
    },
    timeout: {
      ...milliseconds('timeout'),
      describe: 'discard mail that was not delivered in this time, and wait no longer, ms',
    },
    ...BROKER_OPTIONS,
  },
  run: async (given, context) => {
    const { address, subject, confirm = false, timeout: timeoutMs } = given;
    const { signal } = context;
    const body = await readBody(given, signal);
    await withClient('mail', given, context, { kind: 'once' }, async (client) => {
      if (confirm) context.hint(`waiting until "${address}" confirms; Ctrl-C ends it`);
      await client
        .sendTo(address, subject, body, { confirm, timeoutMs, signal })
        .catch((error: unknown) => {
          throw explain(error, address);
        });
      if (!confirm) await untilRead(client, signal);
    });
  },
};

function explain(error: unknown, address: string): unknown {
  if (!(error instanceof MlmError)) return error;
  switch (error.code) {
    case 'EXPIRED':
      return new CommandError(`nobody took the mail to "${address}" in time: it is discarded`);
    case 'TIMEOUT':
      return new CommandError(`"${address}" did not confirm the mail in time`);
    default:
      return error;
  }
}
