// Sends mail and requests in native sessions, and waits for the broker's word
// that it has accepted them. It knows nothing of what is in them.
import { contentBytes, STATUS, type NativeCommand } from '../../protocol/index.js';
import { aborted, MlmError } from '../errors.js';
import type { Room } from '../room.js';
import type { Sending } from './outbox.js';

type MessageCommand = NativeCommand<'MAILBOX SEND' | 'SERVICE SEND'>;

/**
 * Sends a message behind everything that was sent before.
 *
 * @param failed told where the broker refuses it, or nothing can be sent any more
 * @throws {MlmError} BUFFER_FULL, CLOSED, DISCONNECTED, REFUSED
 */
export function send(
  { connection, native }: Room,
  command: MessageCommand,
  accepted: () => void,
  failed: (error: MlmError) => void,
): Sending {
  if (connection.over !== undefined) throw connection.over;
  native.outbox.checkRoom();
  const bytes = contentBytes(command.content);
  checkBody(bytes, native.messageBytesMax);
  const waiter = { index: 0, accepted, failed };
  const sending = native.outbox.add(command, bytes, waiter);
  native.wake();
  return sending;
}

/**
 * The broker would refuse a body that is too large, with all that travels with it, and
 * cuts off who sends one that is far too large.
 *
 * @throws {MlmError} REFUSED
 */
export function checkBody(bytes: number, bytesMax: number): void {
  if (bytes <= bytesMax) return;
  throw new MlmError(
    'REFUSED',
    `${bytes} octets are more than a message may have: this broker takes ${bytesMax} ` +
      '(its option message-bytes-max)',
    { status: STATUS.FAILED },
  );
}

/** As `send`, under a signal: until the message has left, the signal takes it back. */
export function sendUnder(
  room: Room,
  signal: AbortSignal | undefined,
  command: MessageCommand,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => {
      room.native.outbox.withdraw(sending);
      if (signal !== undefined) reject(aborted('sending', signal));
    };
    const settled = (): void => signal?.removeEventListener('abort', onAbort);
    const sending = send(
      room,
      command,
      () => {
        settled();
        resolve();
      },
      (error) => {
        settled();
        reject(error);
      },
    );
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}
