// The questions that a native client asks by name (CALL). Which methods there are
// stands in calls/; here they are found, carried out and answered.
import { ProtocolError, STATUS } from '../../protocol/index.js';
import { shorten } from '../refusal.js';
import type { Session } from '../sessions/session.js';
import { asMap, CallError, type Arguments, type Methods } from './calls/arguments.js';
import { ServiceCalls } from './calls/services.js';
import { StreamCalls } from './calls/streams.js';
import type { Engines } from './handlers.js';

export class NativeCalls {
  readonly #engines: Engines;
  readonly #methods: Methods;

  constructor(engines: Engines) {
    this.#engines = engines;
    this.#methods = { ...new StreamCalls(engines).methods, ...new ServiceCalls(engines).methods };
  }

  /** Answers a call with RESULT: 200 and a value, or a status and the reason. */
  answer(session: Session, call: number, method: string, given: unknown): void {
    try {
      const handler = Object.hasOwn(this.#methods, method) ? this.#methods[method] : undefined;
      if (handler === undefined) {
        throw new CallError(`this broker knows no method ${method}`, STATUS.NOT_IMPLEMENTED);
      }
      const value = handler(session, asMap(given));
      this.#result(session, call, STATUS.SUCCESS, '', value);
    } catch (error) {
      if (error instanceof CallError) this.#result(session, call, error.statusCode, error.message);
      else if (error instanceof ProtocolError)
        this.#result(session, call, STATUS.FAILED, error.message);
      else throw error;
    }
    this.#afterwards(session, method, asMap(given));
  }

  #result(
    session: Session,
    call: number,
    statusCode: number,
    reason: string,
    value?: unknown,
  ): void {
    session.replyNative({ name: 'RESULT', call, statusCode, statusReason: shorten(reason), value });
  }

  /** What waits for an offer goes out once the offer was answered. */
  #afterwards(session: Session, method: string, given: Arguments): void {
    if (method !== 'offer' || typeof given['service'] !== 'string') return;
    this.#engines.services.serve(session, given['service']);
  }
}
