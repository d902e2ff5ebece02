// A delivery that this client holds until it confirms it: mail, or a request.
// Confirming means something only in the session that brought it; when that is
// lost, the broker has taken it back already.
import type { NativeCommand } from '../../protocol/index.js';
import type { NativeSession } from './session.js';

export class HeldDelivery {
  readonly #session: NativeSession;
  readonly #sessionEpoch: number;
  readonly #delivery: number;
  readonly #epoch: number;
  #settled: boolean;

  constructor(session: NativeSession, { delivery, epoch }: { delivery: number; epoch: number }) {
    this.#session = session;
    this.#sessionEpoch = session.epoch;
    this.#delivery = delivery;
    this.#epoch = epoch;
    // The broker's own mail needs no confirm.
    this.#settled = delivery === 0;
  }

  /** True while it is ours to confirm. */
  get isHeld(): boolean {
    const session = this.#session;
    return !this.#settled && session.isOpen && session.epoch === this.#sessionEpoch;
  }

  /** Says what became of it; a second word, or one in another session, says nothing. */
  settle(statusCode: number, statusReason = ''): void {
    const command = this.settling(statusCode, statusReason);
    if (command !== undefined) this.#session.say(command);
  }

  /** As `settle`, for who sends the command; undefined where there is nothing to say. */
  settling(statusCode: number, statusReason = ''): NativeCommand<'CONFIRM DELIVERY'> | undefined {
    if (!this.isHeld) return undefined;
    this.#settled = true;
    const [delivery, epoch] = [this.#delivery, this.#epoch];
    return { name: 'CONFIRM DELIVERY', delivery, epoch, statusCode, statusReason };
  }
}
