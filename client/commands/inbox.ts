// `mlm inbox`: opens an address and prints the mail that comes to it.
import type { Mail, MlmClient } from '../index.js';
import { BROKER_OPTIONS, type BrokerArguments } from './shared/arguments.js';
import type { Command, Context } from './shared/command.js';
import { usageError } from './shared/failure.js';
import {
  endOf,
  FOLLOW_OPTIONS,
  formOf,
  printAll,
  tellSession,
  type FollowArguments,
} from './shared/follow.js';
import { withClient } from './shared/session.js';
import { count } from './shared/units.js';

/** How long to wait for mail that is on its way when the command ends. */
const REST_TIMEOUT_MS = 1000;

interface InboxArguments extends BrokerArguments, FollowArguments {
  readonly address: string;
  readonly confirm: boolean;
}

export const inboxCommand: Command<InboxArguments> = {
  name: 'inbox',
  takes: '<address>',
  about: 'Open a mailbox and print its mail',
  details:
    'It prints the mail that waits, and what comes until Ctrl-C, as "mlm tail" prints messages. It\n' +
    'takes the mail out of the mailbox, and the address from a client that has it. MLM/1 hands out\n' +
    'all mail at once: with -n, what else has come out is lost, and counted. Mail that asks for a\n' +
    'confirmation gets it once it is printed.',
  examples: [
    ['alice', 'the mail of alice, line by line'],
    ['alice -n 1 --raw', 'the body of the first mail, byte for byte'],
    ['alice --no-confirm', 'for a C broker, which ends the session of who confirms'],
  ],
  positionals: { address: 'the mailbox' },
  options: {
    ...FOLLOW_OPTIONS,
    confirm: {
      type: 'boolean',
      default: true,
      describe: 'tell the senders of tracked mail that it was received',
    },
    ...BROKER_OPTIONS,
  },
  run: async (given, context) => {
    const { address } = given;
    formOf(given);
    if (address === '') throw usageError('an address must not be empty');
    await withClient('inbox', given, context, { kind: 'following', address }, async (client) => {
      tellSession(client, context, 'mail that came meanwhile was kept');
      context.hint(`reading the mailbox "${address}" at ${client.endpoint}; Ctrl-C ends it`);
      const messages = client.mailbox({ signal: endOf(context) });
      const printed = given.confirm ? (mail: Mail) => confirm(mail, context) : undefined;
      const where = { mailbox: address };
      await printAll({ messages, where, ...(printed && { printed }) }, given, context);
      await tellRest(client, context);
    });
  },
};

function confirm(mail: Mail, { warn }: Context): void {
  mail.confirm().catch((error: unknown) => {
    warn(`mail "${mail.subject}" was not confirmed: ${(error as Error).message}`);
  });
}

/** Mail that the broker has handed out and that nobody will see is not passed over in silence. */
async function tellRest(client: MlmClient, { warn }: Context): Promise<void> {
  const rest = client.mailbox();
  const end = client
    .ping({ timeoutMs: REST_TIMEOUT_MS })
    .catch(() => undefined)
    .finally(() => rest.return?.());
  let lost = 0;
  while ((await rest.next()).done !== true) lost++;
  await end;
  if (lost > 0) warn(`${count(lost, 'more message')} had come out of the mailbox and went unread`);
}
