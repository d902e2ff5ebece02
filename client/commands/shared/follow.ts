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
  /** Lists of messages, none of them empty. */
  readonly lists: AsyncIterable<readonly M[]>;
  /** Which stream or mailbox, for JSON. */
  readonly where: Readonly<Record<string, string>>;
  /** Called before messages are printed. */
  readonly coming?: ((messages: readonly M[]) => Promise<void>) | undefined;
  /** Called when a message, and all before it, have been printed. */
  readonly printed?: (message: M) => Promise<void> | void;
}

/** Octets, about, that are gathered before they are written. */
const CHUNK_BYTES = 64 * 1024;

/** Prints messages until it is time to end. @returns how many */
export async function printAll<M extends Message>(
  { lists, where, coming, printed }: Followed<M>,
  given: FollowArguments,
  context: Context,
): Promise<number> {
  const { output, paint } = context;
  const view = new MessageView(formOf(given), { paint, isTerminal: output.isTerminal }, where);
  const end = endOf(context);
  const { n: most = Infinity } = given;
  let count = 0;
  for await (const list of lists) {
    const messages = list.slice(0, most - count);
    await coming?.(messages);
    for (const { chunk, last, size } of chunksOf(messages, view)) {
      await output.write(chunk);
      if (output.closed.aborted) return count;
      await printed?.(last);
      count += size;
      if (end.aborted) return count;
    }
    if (count >= most) break;
  }
  return count;
}

interface Chunk<M> {
  readonly chunk: Buffer;
  /** The last message in it, and how many there are. */
  readonly last: M;
  readonly size: number;
}

function* chunksOf<M extends Message>(
  messages: readonly M[],
  view: MessageView,
): Generator<Chunk<M>> {
  let parts: Buffer[] = [];
  let bytes = 0;
  for (const [at, last] of messages.entries()) {
    const shown = view.show(last);
    const part = typeof shown === 'string' ? Buffer.from(shown) : shown;
    parts.push(part);
    bytes += part.length;
    if (bytes < CHUNK_BYTES && at < messages.length - 1) continue;
    const [only] = parts;
    const chunk = parts.length === 1 ? (only as Buffer) : Buffer.concat(parts, bytes);
    yield { chunk, last, size: parts.length };
    parts = [];
    bytes = 0;
  }
}

/** Messages one by one, as lists. */
export async function* oneByOne<M>(messages: AsyncIterable<M>): AsyncGenerator<[M], undefined> {
  for await (const message of messages) yield [message];
  return undefined;
}

/** When to end: the user wants it, or nobody reads any more. */
export function endOf({ signal, output }: Context): AbortSignal {
  return AbortSignal.any([signal, output.closed]);
}

/**
 * Says when the session is lost and when it is back, and which messages do not come.
 *
 * @param meanwhile says, when it is back, what that means for what was followed
 */
export function tellSession(client: MlmClient, { warn }: Context, meanwhile?: () => string): void {
  client.on('disconnected', (error) => {
    warn(`lost the broker at ${client.endpoint} (${error.message}); waiting for it to come back`);
  });
  client.on('connected', () => {
    warn(['connected again', ...(meanwhile === undefined ? [] : [meanwhile()])].join('; '));
  });
  client.on('gap', ({ first, last, reason }) => {
    warn(`messages ${first} to ${last} do not come: ${reason}`);
  });
  client.on('dropped', () =>
    warn('messages come faster than this output takes them: some are missing'),
  );
}
