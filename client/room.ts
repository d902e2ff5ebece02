// What each family of verbs (streams, mailbox, requests, services) works with,
// and the little that they share. It holds no state of its own.
import type { Clock } from './clock.js';
import type { Connection } from './connection.js';
import { aborted } from './errors.js';
import type { Events } from './events.js';
import type { Intake } from './intake.js';
import type { NativeSession } from './native/session.js';
import type { Options } from './options.js';
import type { DataCommand, Outbox, Sent } from './outbox.js';
import type { QueueBounds } from './queue.js';

export interface Room {
  readonly options: Options;
  readonly clock: Clock;
  readonly connection: Connection;
  readonly outbox: Outbox;
  readonly intake: Intake;
  readonly events: Events;
  readonly native: NativeSession;
}

/** The bounds of a reader's queue. */
export function boundsOf({ options }: Room, messagesMax?: number): QueueBounds {
  return {
    messagesMax: messagesMax ?? options.readMessagesMax,
    bytesMax: options.bufferBytesMax,
  };
}

/**
 * Sends data under a signal: until it has left, the signal takes it back.
 *
 * @returns as `Connection.send`; rejects with ABORTED
 */
export function sendUnder(
  { connection, outbox }: Room,
  signal: AbortSignal | undefined,
  command: DataCommand,
  stream?: string,
): Promise<Sent> {
  const sent = connection.send(command, stream);
  if (signal === undefined) return sent;
  return new Promise((resolve, reject) => {
    const onAbort = (): void => {
      outbox.withdraw(command);
      reject(aborted('sending', signal));
    };
    signal.addEventListener('abort', onAbort);
    sent.finally(() => signal.removeEventListener('abort', onAbort)).then(resolve, reject);
  });
}
