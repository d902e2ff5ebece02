// What the commands that follow have in common: print each message as it
// comes, at the speed of who reads the output, until enough have come, the user
// ends it or nobody reads any more; and say what becomes of the session.
import type { Options } from 'yargs';
import type { Message, MlmClient } from '../../index.js';
import { COUNT_OPTION } from './arguments.js';
import type { Context } from './command.js';
import { usageError } from './failure.js';
import { MessageView, type Form } from './message-view.js';

export interface FollowArguments {
  readonly n?: number;
  readonly json?: boolean;
  readonly raw?: boolean;
}

export const FOLLOW_OPTIONS: Readonly<Record<string, Options>> = {
  n: COUNT_OPTION,
  json: { type: 'boolean', describe: 'print each message as a JSON object on one line' },
  raw: {
    type: 'boolean',
    describe: 'print bodies only, byte for byte; a text without an end of line gets one',
  },
};

/** @throws {CommandError} */
export function formOf({ json = false, raw = false }: FollowArguments): Form {
  if (json && raw) throw usageError('--json and --raw exclude each other');
  if (json) return 'json';
  return raw ? 'raw' : 'line';
}

/** What is followed. */
export interface Followed<M extends Message> {
  readonly messages: AsyncIterable<M>;
  /** Which stream or mailbox, for JSON. */
  readonly where: Readonly<Record<string, string>>;
  /** Called when a message has been printed. */
  readonly printed?: (message: M) => Promise<void>;
}

/** Prints messages until it is time to end. @returns how many */
export async function printAll<M extends Message>(
  { messages, where, printed }: Followed<M>,
  given: FollowArguments,
  { output, paint }: Context,
): Promise<number> {
  const screen = { paint, isTerminal: output.isTerminal };
  const view = new MessageView(formOf(given), screen, where);
  let count = 0;
  for await (const message of messages) {
    await output.write(view.show(message));
    if (output.closed.aborted) break;
    await printed?.(message);
    if (++count === given.n) break;
  }
  return count;
}

/** When to end: the user wants it, or nobody reads any more. */
export function endOf({ signal, output }: Context): AbortSignal {
  return AbortSignal.any([signal, output.closed]);
}

/** Says when the session is lost and when it is back, and which messages do not come. */
export function tellSession(client: MlmClient, { warn }: Context): void {
  client.on('disconnected', (error) => {
    warn(`lost the broker at ${client.endpoint} (${error.message}); waiting for it to come back`);
  });
  client.on('connected', () => {
    const meanwhile =
      client.protocol === 'native'
        ? 'going on after the last message'
        : 'what was sent to streams meanwhile was missed';
    warn(`connected again; ${meanwhile}`);
  });
  client.on('gap', ({ first, last, reason }) => {
    warn(`messages ${first} to ${last} do not come: ${reason}`);
  });
  client.on('dropped', () =>
    warn('messages come faster than this output takes them: some are missing'),
  );
}
