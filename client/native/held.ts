// A delivery that this client holds until it confirms it: mail, or a request.
// Confirming means something only in the session that brought it; when that is
// lost, the broker has taken it back already.
import type { NativeSession } from './session.js';

export class HeldDelivery {
  readonly delivery: number;
  readonly epoch: number;
  readonly #session: NativeSession;
  readonly #sessionEpoch: number;
  #settled: boolean;

  constructor(session: NativeSession, { delivery, epoch }: { delivery: number; epoch: number }) {
    this.#session = session;
    this.#sessionEpoch = session.epoch;
    this.delivery = delivery;
    this.epoch = epoch;
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
    const { delivery, epoch } = this;
    if (!this.#take()) return;
    this.#session.say({ name: 'CONFIRM DELIVERY', delivery, epoch, statusCode, statusReason });
  }

  /** Says that a request is done, with its reply, behind everything that was sent before. */
  reply(content: readonly Buffer[]): void {
    const { delivery, epoch } = this;
    if (this.#take()) this.#session.sayLast({ name: 'REPLY', delivery, epoch, content });
  }

  /** Says that it is still worked on. */
  extend(): void {
    const { delivery, epoch } = this;
    if (this.isHeld) this.#session.say({ name: 'EXTEND', delivery, epoch });
  }

  /** Says how far the work is (kind 1), or a part of its result (kind 2). */
  progress(kind: number, content: readonly Buffer[]): void {
    const { delivery, epoch } = this;
    if (this.isHeld) this.#session.say({ name: 'PROGRESS', delivery, epoch, kind, content });
  }

  #take(): boolean {
    if (!this.isHeld) return false;
    this.#settled = true;
    return true;
  }
}
