// The families of verbs behind a client's methods, as what does them: the rooms
// of MLM/1 (v1-rooms.ts) or those of native sessions (native/rooms.ts). Which
// ones a client has, its first session decides. Only shapes here.
import type { MlmError } from './errors.js';
import type { JobHandle, SubmitOptions } from './jobs.js';
import type { MailboxOptions, MailboxReader, SendToOptions } from './mailbox.js';
import type { Reply } from './message.js';
import type { Handler, Offer } from './offer.js';
import type { RequestOptions } from './requests.js';
import type { OfferOptions } from './services.js';
import type { Stream } from './stream.js';

export interface MailVerbs {
  send(address: string, subject: string, body: unknown, options?: SendToOptions): Promise<void>;
  read(options: MailboxOptions): MailboxReader;
}

export interface RequestVerbs {
  request(
    service: string,
    subject: string,
    body: unknown,
    options?: RequestOptions,
  ): Promise<Reply>;
}

export interface JobVerbs {
  submit(
    service: string,
    subject: string,
    body: unknown,
    options?: SubmitOptions,
  ): Promise<JobHandle>;
  /** @throws {MlmError} INVALID_ARGUMENT, UNSUPPORTED */
  job(service: string, id: string): JobHandle;
}

export interface ServiceVerbs {
  offer(service: string, options: OfferOptions, handler: Handler): Promise<Offer>;
  /** The client closes: nothing more is begun. */
  stopAll(): void;
}

export interface Rooms {
  readonly mailbox: MailVerbs;
  readonly requests: RequestVerbs;
  readonly services: ServiceVerbs;
  readonly jobs: JobVerbs;
  stream(name: string): Stream;
  /** Asks the broker by a method of native sessions. @throws {MlmError} UNSUPPORTED, REFUSED */
  call(method: string, given: Record<string, unknown>): Promise<unknown>;
  /** Resolves when everything sent so far is accepted (native) or has left (MLM/1). */
  flush(): Promise<void>;
  /** The client is over. @param error what ended it; undefined where the user closed it */
  end(error: MlmError | undefined): void;
}
