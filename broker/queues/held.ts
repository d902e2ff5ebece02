// A delivery that a native session holds until it confirms it: which message,
// and for how long the broker believes that somebody works on it.
import type { Session } from '../sessions/session.js';
import type { Expiring } from './deadlines.js';
import type { Message } from './message.js';

export class Held implements Expiring {
  readonly session: Session;
  readonly message: Message;
  /** The number by which the session knows it. */
  readonly delivery: number;
  readonly epoch: number;
  /** How long its worker may go without a word, ms; 0 for as long as its session lives. */
  leaseMs = 0;
  /** When that is over, while it is watched. */
  expiresAtMs = 0;
  heapIndex = -1;
  /** True once the worker has extended its lease. */
  extended = false;
  /** True where its worker is to have nothing beside it. */
  alone = false;
  /** True where the message is not the session's any more, though it has not said that it stopped. */
  revoked = false;

  constructor(session: Session, message: Message, delivery: number, epoch: number) {
    this.session = session;
    this.message = message;
    this.delivery = delivery;
    this.epoch = epoch;
  }
}
