// `mlm send`: sends one message to a stream.
import { BROKER_OPTIONS, type BrokerArguments } from './shared/arguments.js';
import { BODY, JSON_BODY, readBody, type BodyArguments } from './shared/body-input.js';
import type { Command } from './shared/command.js';
import { untilRead, withClient } from './shared/session.js';

interface SendArguments extends BrokerArguments, BodyArguments {
  readonly stream: string;
  readonly subject: string;
}

export const sendCommand: Command<SendArguments> = {
  name: 'send',
  takes: '<stream> <subject> [body]',
  about: 'Send a message to a stream',
  details: 'The command ends well once the broker has read the message.',
  examples: [
    ['greetings hello.world "it works"', 'a text'],
    ['weather temp.moscow --json \'{"celsius": 4}\'', 'a value, as MessagePack'],
    ['pictures cat.png - < cat.png', 'a file, byte for byte'],
    ['numbers minus -- -5', 'a body that begins with a dash'],
  ],
  positionals: {
    stream: 'the stream',
    subject: 'what readers choose messages by, as temp.moscow',
    body: BODY,
  },
  options: { json: JSON_BODY, ...BROKER_OPTIONS },
  run: async (given, context) => {
    const { stream, subject } = given;
    const { signal } = context;
    const body = await readBody(given, signal);
    await withClient('send', given, context, { kind: 'once' }, async (client) => {
      await client.stream(stream).send(subject, body, { signal });
      await untilRead(client, signal);
    });
  },
};
