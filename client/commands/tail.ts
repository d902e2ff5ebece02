// `mlm tail`, and `mlm-tail`: follows a stream and prints what is sent to it.
import { compilePattern, ProtocolError } from '../../protocol/index.js';
import { BROKER_OPTIONS, type BrokerArguments } from './shared/arguments.js';
import type { Command } from './shared/command.js';
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

interface TailArguments extends BrokerArguments, FollowArguments {
  readonly stream: string;
  readonly pattern?: string;
}

export const tailCommand: Command<TailArguments> = {
  name: 'tail',
  takes: '<stream> [pattern]',
  about: 'Follow a stream, message by message',
  details:
    'It prints what is sent from now on, a line for each message: when the broker got it, its sender,\n' +
    'its subject, and its body as text, JSON, decoded MessagePack, or bytes in hex. It goes on when\n' +
    'the broker restarts, until Ctrl-C.',
  examples: [
    ['greetings', 'everything sent to the stream greetings'],
    ["weather '^temp\\.'", 'only subjects that match: a regular expression, searched'],
    ['weather -n 10 --json', 'ten messages, each a JSON object on its line'],
    ['pictures -n 1 --raw > picture.png', 'the body of the next message, byte for byte'],
  ],
  positionals: {
    stream: 'the stream',
    pattern: 'subjects to show: a regular expression, searched, not anchored; all unless said',
  },
  options: { ...FOLLOW_OPTIONS, ...BROKER_OPTIONS },
  run: async (given, context) => {
    const { stream, pattern = '' } = given;
    formOf(given);
    checkPattern(pattern);
    await withClient('tail', given, context, { kind: 'following' }, async (client) => {
      tellSession(client, context);
      const reader = client.stream(stream).read({ pattern, signal: endOf(context) });
      const subjects = pattern === '' ? '' : `, subjects that match "${pattern}"`;
      reader.ready.then(
        () =>
          context.hint(
            `following the stream "${stream}" at ${client.endpoint}${subjects}; Ctrl-C ends it`,
          ),
        () => undefined, // The loop over the messages throws it.
      );
      await printAll({ messages: reader, where: { stream } }, given, context);
    });
  },
};

function checkPattern(pattern: string): void {
  try {
    compilePattern(pattern);
  } catch (cause) {
    if (!(cause instanceof ProtocolError)) throw cause;
    const why = cause.message.replace('error parsing regexp: ', '').replace(/ \(pattern\)$/, '');
    throw usageError(`${why}; a pattern is a regular expression, as '^temp\\.'`);
  }
}
