// What can be told to `connect`, its defaults, and the checks on every number,
// name and signal that a user hands in. It acts on nothing.
import { randomBytes } from 'node:crypto';
import {
  compilePattern,
  ProtocolError,
  STRING_BYTES_MAX,
  textBytes,
  type Pattern,
} from '../protocol/index.js';
import { aborted, MlmError } from './errors.js';

export interface ConnectOptions {
  /**
   * The name of this client's mailbox. Without it a unique one is made, so that
   * replies can come back; the empty string stays anonymous: it can send, read
   * and offer, but get no mail and make no requests.
   */
  readonly address?: string | undefined;
  /** How long to wait for the broker at first, and in each attempt to come back, ms. Default 5000. */
  readonly connectTimeoutMs?: number | undefined;
  /** How often to ping the broker, ms. Default 1000. */
  readonly heartbeatMs?: number | undefined;
  /** A broker silent for this long is given up, ms. Default 10000. */
  readonly brokerTimeoutMs?: number | undefined;
  /** How long `close` may take, ms. Default 2000. */
  readonly closeTimeoutMs?: number | undefined;
  /**
   * Messages that may wait to be sent (in native sessions: to be accepted), and wait for each
   * reader. Default 100000, and 1000 for each reader on MLM/1.
   */
  readonly bufferMessagesMax?: number | undefined;
  /** Octets of bodies that may wait to be sent, and wait for each reader. Default 64 MiB. */
  readonly bufferBytesMax?: number | undefined;
  /** Aborts the connecting. Once connected it does nothing: use `close`. */
  readonly signal?: AbortSignal | undefined;
  /** Whether to open a lost session again. Default true. */
  readonly reconnect?: boolean | undefined;
  /**
   * `auto` (the default) asks for a native session, and speaks MLM/1 where the broker knows no
   * other; `v1` always speaks MLM/1.
   */
  readonly protocol?: 'auto' | 'v1' | undefined;
}

/** The options with their defaults in place. */
export interface Options {
  readonly address: string;
  readonly connectTimeoutMs: number;
  readonly heartbeatMs: number;
  readonly brokerTimeoutMs: number;
  readonly closeTimeoutMs: number;
  readonly sendMessagesMax: number;
  readonly readMessagesMax: number;
  /** The default credit of a native reader, where the user gave one. */
  readonly windowMessages: number | undefined;
  readonly bufferBytesMax: number;
  readonly reconnect: boolean;
  readonly protocol: 'auto' | 'v1';
}

const SEND_MESSAGES_MAX = 100_000;
const READ_MESSAGES_MAX = 1000;
const BUFFER_BYTES_MAX = 64 * 1024 * 1024;

/** The longest time that a timer, and a timeout on the wire, can hold. */
export const TIMEOUT_MS_MAX = 2 ** 31 - 1;

/** @throws {MlmError} INVALID_ARGUMENT naming the option */
export function resolveOptions(options: ConnectOptions): Options {
  const { address = `client-${randomBytes(8).toString('hex')}` } = options;
  return {
    address: checkText('address', address, { empty: true }),
    connectTimeoutMs: checkMs('connectTimeoutMs', options.connectTimeoutMs ?? 5000),
    heartbeatMs: checkMs('heartbeatMs', options.heartbeatMs ?? 1000),
    brokerTimeoutMs: checkMs('brokerTimeoutMs', options.brokerTimeoutMs ?? 10_000),
    closeTimeoutMs: checkMs('closeTimeoutMs', options.closeTimeoutMs ?? 2000),
    sendMessagesMax: checkCount(
      'bufferMessagesMax',
      options.bufferMessagesMax ?? SEND_MESSAGES_MAX,
    ),
    readMessagesMax: checkCount(
      'bufferMessagesMax',
      options.bufferMessagesMax ?? READ_MESSAGES_MAX,
    ),
    windowMessages: options.bufferMessagesMax,
    bufferBytesMax: checkCount('bufferBytesMax', options.bufferBytesMax ?? BUFFER_BYTES_MAX),
    reconnect: options.reconnect ?? true,
    protocol: checkProtocol(options.protocol ?? 'auto'),
  };
}

function checkProtocol(value: string): 'auto' | 'v1' {
  if (value === 'auto' || value === 'v1') return value;
  throw new MlmError('INVALID_ARGUMENT', `protocol is "${value}"; it must be "auto" or "v1"`);
}

/** A whole number of milliseconds, 1 or more. @throws {MlmError} INVALID_ARGUMENT */
export function checkMs(name: string, value: number): number {
  if (Number.isInteger(value) && value >= 1 && value <= TIMEOUT_MS_MAX) return value;
  const range = `a whole number of milliseconds from 1 to ${TIMEOUT_MS_MAX}`;
  throw new MlmError('INVALID_ARGUMENT', `${name} is ${String(value)}; it must be ${range}`);
}

/** A whole number, 1 or more. @throws {MlmError} INVALID_ARGUMENT */
export function checkCount(name: string, value: number): number {
  if (Number.isSafeInteger(value) && value >= 1) return value;
  throw new MlmError(
    'INVALID_ARGUMENT',
    `${name} is ${String(value)}; it must be a whole number of 1 or more`,
  );
}

/** A name or a subject that fits the wire. @throws {MlmError} INVALID_ARGUMENT */
export function checkText(name: string, value: string, { empty = false } = {}): string {
  if (typeof value !== 'string') {
    throw new MlmError('INVALID_ARGUMENT', `${name} must be a string`);
  }
  if (value === '' && !empty) {
    throw new MlmError('INVALID_ARGUMENT', `${name} must not be empty`);
  }
  // No string of so few characters can take more octets than the wire has.
  if (value.length * 3 > STRING_BYTES_MAX && textBytes(value) > STRING_BYTES_MAX) {
    const bytes = `${textBytes(value)} octets of UTF-8`;
    throw new MlmError(
      'INVALID_ARGUMENT',
      `${name} takes ${bytes}; the protocol carries ${STRING_BYTES_MAX}`,
    );
  }
  return value;
}

/** @throws {MlmError} INVALID_ARGUMENT where it is not a valid pattern, or too long for the wire */
export function checkPattern(source: string): Pattern {
  checkText('pattern', source, { empty: true });
  try {
    return compilePattern(source);
  } catch (cause) {
    if (!(cause instanceof ProtocolError)) throw cause;
    throw new MlmError('INVALID_ARGUMENT', cause.message, { cause });
  }
}

/** @throws {MlmError} ABORTED where the signal has fired already */
export function checkSignal(what: string, signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw aborted(what, signal);
}
