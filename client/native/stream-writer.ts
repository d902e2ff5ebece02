// What gathers for one stream until it is sent, and the handle under which the
// session that is open now knows the stream. It sends nothing itself.
import { SectionWriter } from '../../protocol/index.js';
import type { Waiter } from './outbox.js';

/** What gathered, as it is sent. */
export interface Handed {
  readonly sections: Buffer;
  readonly count: number;
  /** Octets that were counted for it. */
  readonly bytes: number;
  readonly waiters: readonly Waiter[];
}

export class StreamWriter {
  readonly stream: string;
  readonly sections: SectionWriter;
  /** True while messages gather in it. Owned by the outbox. */
  gathering = false;
  /** The handle in this session; 0 where the broker has not given one yet. */
  handle = 0;
  /** True where the broker was asked for a handle in this session. */
  asked = false;
  /** Octets that gather, as the outbox counts them. */
  bytes = 0;
  /** Its sendings that are not settled. Owned by the outbox. */
  unsettled = 0;
  /** True once it was forgotten: another one gathers for the stream from now on. */
  retired = false;
  #waiters: Waiter[] = [];

  /** @param sender the client's own address */
  constructor(stream: string, sender: string) {
    this.stream = stream;
    this.sections = new SectionWriter(sender);
  }

  /** Somebody waits for the acceptance of the message that was put in last. */
  await(accepted: (sequence: number) => void, failed: Waiter['failed']): void {
    this.#waiters.push({ index: this.sections.count - 1, accepted, failed });
  }

  /** Hands over what has gathered. */
  take(): Handed {
    const { count } = this.sections;
    const sections = this.sections.take() as Buffer;
    const { bytes } = this;
    const waiters = this.#waiters;
    if (waiters.length > 0) this.#waiters = [];
    this.bytes = 0;
    this.gathering = false;
    return { sections, count, bytes, waiters };
  }

  /** True where something would be lost if it were forgotten. */
  get inUse(): boolean {
    return this.gathering || this.unsettled > 0 || this.handle !== 0 || this.asked;
  }

  retire(): void {
    this.retired = true;
    this.sections.release();
  }

  /** A new session knows nothing of the handle. */
  forgetHandle(): void {
    this.handle = 0;
    this.asked = false;
  }
}
