// `mlm inbox`: opens an address and prints the mail that comes to it.
import type { Mail, MlmClient } from '../index.js';
import { BROKER_OPTIONS, type BrokerArguments } from './shared/arguments.js';
import type { Command, Context } from './shared/command.js';
import { usageError } from './shared/failure.js';
import {
  endOf,
  FOLLOW_OPTIONS,
  formOf,
  oneByOne,
  printAll,
  tellSession,
  type FollowArguments,
} from './shared/follow.js';
import { withClient } from './shared/session.js';
import { count } from './shared/units.js';

/** How long to wait for mail that is on its way when the command ends. */
const REST_TIMEOUT_MS = 5000;

interface InboxArguments extends BrokerArguments, FollowArguments {
  readonly address: string;
}

export const inboxCommand: Command<InboxArguments> = {
  name: 'inbox',
  takes: '<address>',
  about: 'Open a mailbox and print its mail',
  details:
    'It prints the mail that waits, and what comes until Ctrl-C, as "mlm tail" prints messages. Mail\n' +
    'that was printed leaves the mailbox, and its sender is told where that was asked for. The address\n' +
    'is taken from a client that has it. A C broker hands out all mail at once: with -n, what else has\n' +
    'come out of the mailbox is lost, and counted.',
  examples: [
    ['alice', 'the mail of alice, line by line'],
    ['alice -n 1 --raw', 'the body of the first mail, byte for byte'],
  ],
  positionals: { address: 'the mailbox' },
  options: { ...FOLLOW_OPTIONS, ...BROKER_OPTIONS },
  run: async (given, context) => {
    const { address } = given;
    formOf(given);
    if (address === '') throw usageError('an address must not be empty');
    await withClient('inbox', given, context, { kind: 'following', address }, async (client) => {
      tellSession(client, context);
      context.hint(`reading the mailbox "${address}" at ${client.endpoint}; Ctrl-C ends it`);
      const lists = oneByOne(client.mailbox({ signal: endOf(context) }));
      const where = { mailbox: address };
      if (client.protocol === 'native') {
        const printed = (mail: Mail): Promise<void> => mail.confirm();
        await printAll({ lists, where, printed }, given, context);
      } else {
        // The C broker ends a session that confirms.
        await printAll({ lists, where }, given, context);
        await tellRest(client, context);
      }
    });
  },
};

/** On MLM/1, mail that has come and that nobody will see is not passed over in silence. */
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
