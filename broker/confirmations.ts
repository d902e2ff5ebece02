// Tells the sender of a tracked message what became of it: delivered (200, when
// its receiver confirms), expired (408) or refused (300). A message without a
// tracker has nobody to tell.
import type { Counters } from './counters.js';
import type { Session } from './session.js';
import type { Sessions } from './sessions.js';

export class Confirmations {
  readonly #sessions: () => Sessions;
  readonly #counters: Counters;

  constructor(sessions: () => Sessions, counters: Counters) {
    this.#sessions = sessions;
    this.#counters = counters;
  }

  /** Sends CONFIRM to the session that sent a message, or to the one that has its address now. */
  tell(origin: Session, tracker: string, statusCode: number, statusReason: string): void {
    if (tracker === '') return;
    const session = origin.ended ? this.#sessions().atAddress(origin.address) : origin;
    if (session === undefined) return;
    this.#counters.confirms++;
    if (!session.reply({ name: 'CONFIRM', tracker, statusCode, statusReason })) {
      this.#counters.repliesDropped++;
    }
  }

  /** A receiver confirms: its CONFIRM goes on to the sender of the message. */
  pass(receiver: Session, tracker: string, statusCode: number, statusReason: string): void {
    const origin = receiver.trackers.take(tracker);
    if (origin === undefined) this.#counters.unknownTrackers++;
    else this.tell(origin, tracker, statusCode, statusReason);
  }
}
