// The public entry of `malamute-ts`: connect, and what a client gives and takes.
import { MlmClient } from './client.js';
import type { ConnectOptions } from './options.js';

export type {
  CursorInfo,
  DeadLetter,
  DeadLetterCount,
  FailedAttempt,
  StreamInfo,
} from './admin.js';
export type { ClientState, MlmClient, PingOptions, SessionProtocol } from './client.js';
export { encodeBody } from './body.js';
export type { CacheOptions } from './cache.js';
export { MlmError, type MlmErrorCode } from './errors.js';
export type { ClientEvents, Confirmation, Dropped, Refused } from './events.js';
export type { MailboxOptions, MailboxReader, SendToOptions } from './mailbox.js';
export type { Mail, Message, Reply, StreamMessage } from './message.js';
export type { Progress, ServiceRequest } from './service-request.js';
export { JobEvent, JOBS_STREAM } from './jobs.js';
export type {
  EventsOptions,
  JobEventName,
  JobHandle,
  ResultOptions,
  SubmitOptions,
} from './jobs.js';
export type { LabelCondition, Labels, LabelValue, Wants } from './labels.js';
export type { Handler, Offer, OfferChanges } from './offer.js';
export type { ConnectOptions } from './options.js';
export type { RequestOptions, RequestTerms } from './requests.js';
export type { OfferOptions } from './services.js';
export type { Sent } from './outbox.js';
export type { From, Gap, ReadOptions, SendOptions, Stream, StreamReader } from './stream.js';
export { RequestFailure, type FailureClass } from './worker-error.js';

/**
 * Connects to a Malamute broker, this project's or the C original.
 *
 * ```ts
 * const client = await connect('tcp://127.0.0.1:9999');
 * await client.stream('weather').send('temp.moscow', { celsius: 4 });
 * await client.close();
 * ```
 *
 * @param endpoint `tcp://HOST:PORT` or `ipc://PATH`
 * @returns resolves when the session is open
 * @throws {MlmError} CONNECT_TIMEOUT where no broker answers in `connectTimeoutMs`;
 *   REFUSED, UNSUPPORTED where it says no; ABORTED; INVALID_ARGUMENT
 */
export function connect(endpoint: string, options: ConnectOptions = {}): Promise<MlmClient> {
  return MlmClient.connect(endpoint, options);
}
