// Asks a broker about itself: the reserved service `$broker`, which this
// project's broker has and the C original has not. How answers are shown is not
// its business.
import type { Options } from 'yargs';
import { MlmError, type MlmClient, type Reply } from '../../index.js';
import { CommandError } from './failure.js';

const SERVICE = '$broker';
const TIMEOUT_MS = 3000;

/** A row of a table, or the counters of `stats`. */
export type Fields = Readonly<Record<string, unknown>>;

/** The tables that a broker has. */
export const TABLES = ['clients', 'streams', 'services', 'workers', 'mailboxes'] as const;
export type TableName = (typeof TABLES)[number];

/** Asks for a table. @throws {CommandError} where the broker has none; {MlmError} */
export async function askTable(
  client: MlmClient,
  table: TableName,
  signal: AbortSignal,
): Promise<Fields[]> {
  const answer = await ask(client, table, signal);
  if (!Array.isArray(answer) || !answer.every(isFields)) throw strange(client);
  return answer;
}

/** The option to see all of a table. */
export const ALL_OPTION: Options = {
  type: 'boolean',
  alias: 'a',
  describe: "show the broker's own streams, too ($jobs, $presence)",
};

/** Without the streams of the broker itself, unless `all`. */
export function withoutOwn(rows: readonly Fields[], all: boolean): readonly Fields[] {
  return all ? rows : rows.filter(({ stream }) => !String(stream).startsWith('$'));
}

/** Asks for the counters. @throws {CommandError} where the broker has none; {MlmError} */
export async function askStats(client: MlmClient, signal: AbortSignal): Promise<Fields> {
  const answer = await ask(client, 'stats', signal);
  if (!isFields(answer)) throw strange(client);
  return answer;
}

async function ask(client: MlmClient, subject: string, signal: AbortSignal): Promise<unknown> {
  let reply: Reply;
  try {
    reply = await client.request(SERVICE, subject, undefined, { timeoutMs: TIMEOUT_MS, signal });
  } catch (error) {
    if (!isTimeout(error)) throw error;
    const what = `the broker at ${client.endpoint} does not tell about itself`;
    throw new CommandError(
      `${what}: it has no service "${SERVICE}", as the C broker`,
      undefined,
      error,
    );
  }
  const answer = reply.value();
  if (isFields(answer) && typeof answer['error'] === 'string') {
    throw new CommandError(`the broker at ${client.endpoint} answers: ${answer['error']}`);
  }
  return answer;
}

/** Whether a broker that was asked did not answer in time. */
export function isSilence(error: unknown): boolean {
  return error instanceof CommandError && isTimeout(error.cause);
}

function isTimeout(error: unknown): boolean {
  return error instanceof MlmError && (error.code === 'TIMEOUT' || error.code === 'EXPIRED');
}

function strange({ endpoint }: MlmClient): CommandError {
  return new CommandError(
    `the broker at ${endpoint} answers what this command does not understand`,
  );
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
