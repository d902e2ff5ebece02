// Tells the sender of a tracked message what became of it: delivered (200, when
// its receiver confirms), expired (408), refused or given up (300). A message
// without a tracker has nobody to tell.
import { encodeHeader, errorReply, STATUS, workerCodeOf } from '../../protocol/index.js';
import type { Counters } from '../counters.js';
import { fitting } from '../refusal.js';
import { v1Outgoing } from './outbox.js';
import type { Session } from './session.js';
import type { Sessions } from './sessions.js';

/** Who sent a message: the session, and the address under which it may have another one by now. */
export interface Origin {
  readonly sender: string;
  readonly origin: Session | undefined;
}

/** A request that failed for good. */
export interface FailedRequest extends Origin {
  readonly subject: string;
  readonly tracker: string;
}

export class Confirmations {
  readonly #sessions: () => Sessions;
  readonly #counters: Counters;

  constructor(sessions: () => Sessions, counters: Counters) {
    this.#sessions = sessions;
    this.#counters = counters;
  }

  /** Sends CONFIRM to the session that sent a message, or to the one that has its address now. */
  tell(origin: Origin, tracker: string, statusCode: number, statusReason: string): void {
    this.#send(this.#sessionOf(origin), tracker, statusCode, statusReason);
  }

  /**
   * Tells what a native receiver made of a message, but only a native sender: the
   * C client halts at a CONFIRM, and nobody but the broker decided on this one.
   */
  tellNative(origin: Origin, tracker: string, statusCode: number, statusReason: string): void {
    const session = this.#sessionOf(origin);
    if (session?.isNative === true) this.#send(session, tracker, statusCode, statusReason);
  }

  /**
   * Tells that a request failed for good: by CONFIRM 300, or by an error reply where
   * the requester speaks MLM/1 and waits for mail. It is not kept: who is not there
   * to hear of it, or leaves its mail unread, is not told.
   *
   * @param worker address of the worker that failed last
   */
  tellFailed(request: FailedRequest, worker: string, reason: string): void {
    const session = this.#sessionOf(request);
    const { subject, tracker } = request;
    if (session === undefined || tracker === '') return;
    if (session.isNative) {
      this.#send(session, tracker, STATUS.FAILED, reason);
      return;
    }
    if (!session.hasRoomFor('mailbox')) {
      this.#counters.repliesDropped++;
      return;
    }
    const { address } = session;
    const name = 'MAILBOX DELIVER';
    const head = encodeHeader({ name, sender: worker, address, subject, tracker });
    const content = errorReply(workerCodeOf(reason) ?? 'failed', reason);
    session.deliver('mailbox', v1Outgoing(head, content));
  }

  /** A worker says how far it is with a request: its requester hears of it, where it is there to hear. */
  progress(origin: Origin, tracker: string, kind: number, content: readonly Buffer[]): void {
    const session = this.#sessionOf(origin);
    if (tracker === '' || session?.isNative !== true) return;
    const told = session.replyNative({ name: 'PROGRESSED', tracker, kind, content });
    if (!told) this.#counters.repliesDropped++;
  }

  /** A receiver confirms: its CONFIRM goes on to the sender of the message. */
  pass(receiver: Session, tracker: string, statusCode: number, statusReason: string): void {
    const sender = receiver.trackers.take(tracker);
    if (sender === undefined) this.#counters.unknownTrackers++;
    else this.tell(sender, tracker, statusCode, statusReason);
  }

  #sessionOf({ sender, origin }: Origin): Session | undefined {
    return origin?.ended === false ? origin : this.#sessions().atAddress(sender);
  }

  #send(session: Session | undefined, tracker: string, statusCode: number, reason: string): void {
    if (tracker === '' || session === undefined) return;
    this.#counters.confirms++;
    if (!session.confirm(tracker, statusCode, fitting(reason))) this.#counters.repliesDropped++;
  }
}
