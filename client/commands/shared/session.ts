// A session for one command: opens it, gives it to the command, and ends it
// whatever happens, so that what was sent has left. What the command does with
// it is not its business.
import { randomBytes } from 'node:crypto';
import { connect, MlmError, type ConnectOptions, type MlmClient } from '../../index.js';
import { targetOf, type BrokerArguments, type Target } from './arguments.js';
import type { Context } from './command.js';
import { CommandError, EXIT } from './failure.js';

/** How long the broker may take to swallow what was sent: large bodies on slow lines take their time. */
const SENT_TIMEOUT_MS = 60_000;

/** A command that asks once ends with its session; one that follows comes back. */
export type SessionKind = 'once' | 'following';

export interface SessionOptions {
  /** The address to open. Default: one that tells the command, and is nobody else's. */
  readonly address?: string;
  readonly kind: SessionKind;
}

/**
 * Runs `work` with a client of the broker that the arguments say.
 *
 * @param name the command, for its address: operators see it in `mlm ls clients`
 * @throws {CommandError} where no broker answers; what `work` throws
 */
export async function withClient<T>(
  name: string,
  given: BrokerArguments,
  { signal, warn }: Context,
  { address = `mlm-${name}-${randomBytes(4).toString('hex')}`, kind }: SessionOptions,
  work: (client: MlmClient) => Promise<T>,
): Promise<T> {
  const target = targetOf(given);
  const client = await open(target, { address, signal, ...KINDS[kind] });
  client.on('error', (error) => warn(error.message));
  try {
    return await work(client);
  } finally {
    await client.close();
  }
}

const KINDS: Readonly<Record<SessionKind, ConnectOptions>> = {
  once: { reconnect: false, brokerTimeoutMs: SENT_TIMEOUT_MS },
  following: {},
};

/**
 * Waits until the broker has what was sent before. In a native session a send
 * resolves when the broker has accepted the message, so there is nothing to wait
 * for. MLM/1 does not confirm sends, but answers a PING after what came before it.
 *
 * @throws {MlmError} where the session was lost, or what was sent was refused
 */
export async function untilRead(client: MlmClient, signal: AbortSignal): Promise<void> {
  if (client.protocol === 'native') return;
  await client.ping({ timeoutMs: SENT_TIMEOUT_MS, signal });
}

async function open(target: Target, options: ConnectOptions): Promise<MlmClient> {
  const { endpoint, connectTimeoutMs } = target;
  try {
    return await connect(endpoint, { ...options, connectTimeoutMs });
  } catch (error) {
    if (!(error instanceof MlmError) || error.code !== 'CONNECT_TIMEOUT') throw error;
    throw new CommandError(noBroker(target), EXIT.failed, error);
  }
}

function noBroker({ endpoint, saidBy }: Target): string {
  const advice = 'start one with "mlm broker", or name the one that runs with -e ENDPOINT';
  switch (saidBy) {
    case 'option':
      return `no broker answers at ${endpoint}; check the endpoint and that the broker runs`;
    case 'environment':
      return `no broker answers at ${endpoint} (from MLM_ENDPOINT); ${advice}`;
    case 'default':
      return `no broker answers at ${endpoint}; ${advice} or MLM_ENDPOINT`;
  }
}
