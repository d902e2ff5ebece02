// `mlm ping`: opens a session, pings the broker in it, and says how long that
// took. Its status tells containers and launchers whether the broker is well.
import { BROKER_OPTIONS, type BrokerArguments } from './shared/arguments.js';
import type { Command } from './shared/command.js';
import { withClient } from './shared/session.js';

const PING_TIMEOUT_MS = 3000;

export const pingCommand: Command<BrokerArguments> = {
  name: 'ping',
  takes: '',
  about: 'Check that the broker is well',
  details:
    'It opens a session, pings, and prints how long that took. Status 0 where the broker answers in\n' +
    'time, else 1: for health checks.',
  examples: [
    ['', 'the broker of this machine'],
    ['-e tcp://broker:9999 --connect-timeout 1000', 'another one, given a second'],
  ],
  positionals: {},
  options: BROKER_OPTIONS,
  run: async (given, context) => {
    const { signal, output } = context;
    const startMs = performance.now();
    await withClient('ping', given, context, { kind: 'once' }, async (client) => {
      const openMs = performance.now();
      await client.ping({ timeoutMs: given.connectTimeout ?? PING_TIMEOUT_MS, signal });
      const pongMs = performance.now();
      const session = (openMs - startMs).toFixed(1);
      const ping = (pongMs - openMs).toFixed(1);
      await output.line(
        `${client.endpoint} answers: session open in ${session} ms, ping in ${ping} ms`,
      );
    });
  },
};
