// Mailboxes: one queue per address, first in, first out, kept while its owner is
// away. The owner is the session that has the address; when that changes, what
// the old one had not taken goes to the new one.
import type { EngineContext } from '../engine-context.js';
import { KeptQueue, type Kept, type Sending } from './kept-queue.js';
import type { Message } from './message.js';
import type { Session } from '../sessions/session.js';
import type { Place } from '../store/storage.js';
import type { KeptMessage } from '../store/store.js';
import { WaitingLine } from './waiting-line.js';

export class Mailbox extends KeptQueue {
  owner: Session | undefined;
  readonly #line = new WaitingLine();
  readonly #onIdle: (mailbox: Mailbox) => void;

  constructor(
    name: string,
    context: EngineContext,
    onIdle: (mailbox: Mailbox) => void,
    place?: Place,
  ) {
    super('mailbox', name, context.limits.mailbox, context, place);
    this.#onIdle = onIdle;
  }

  /** True where nothing would be lost if the mailbox did not exist. */
  get idle(): boolean {
    return this.owner === undefined && this.messages === 0;
  }

  /** Delivers what is durable, as far as the owner takes it. */
  override deliver(): void {
    const { owner } = this;
    if (owner === undefined) return;
    let message = this.#line.peek();
    while (message !== undefined && message.sequence <= this.durableSequence) {
      if (!owner.takesMore('mailbox')) return;
      this.#line.shift();
      this.context.expiry.unwatch(message);
      owner.deliverMessage('mailbox', this.name, message);
      message = this.#line.peek();
    }
  }

  protected override enqueue(message: Message): void {
    this.#line.push(message);
  }

  protected override putBack(message: Message): void {
    if (message.attempts > 0) this.rewrite(message);
    this.#line.putBack(message);
    this.watchWaiting(message);
    this.deliver();
  }

  protected override release(message: Message): void {
    super.release(message);
    if (this.idle) this.#onIdle(this);
  }
}

export class Mailboxes {
  readonly #context: EngineContext;
  readonly #ownerOf: (address: string) => Session | undefined;
  readonly #mailboxes = new Map<string, Mailbox>();

  /** @param ownerOf the session that has an address now */
  constructor(context: EngineContext, ownerOf: (address: string) => Session | undefined) {
    this.#context = context;
    this.#ownerOf = ownerOf;
  }

  get size(): number {
    return this.#mailboxes.size;
  }

  [Symbol.iterator](): IterableIterator<Mailbox> {
    return this.#mailboxes.values();
  }

  /** Takes over the mail that an earlier run of the broker kept. */
  recover(place: Place, address: string, messages: Iterable<KeptMessage>): void {
    const mailbox = this.#mailboxes.get(address) ?? this.#add(address, place);
    mailbox.recover(messages);
  }

  /**
   * Sends mail.
   *
   * @param origin the session that sends it; undefined where the broker does, in the name of `sender`
   * @returns what keeps it, or why nothing does
   */
  send(
    origin: Session | undefined,
    address: string,
    sending: Sending,
    sender = origin?.address,
  ): Kept | string {
    const mailbox = this.#mailboxes.get(address) ?? this.#create(address);
    if (typeof mailbox === 'string') {
      this.#context.counters.refused++;
      return mailbox;
    }
    const result = mailbox.send(origin, sending, sender);
    if (typeof result === 'string') this.#dropIdle(mailbox);
    else this.#context.counters.mailboxMessages++;
    return result;
  }

  /** A session opened with this address: its mail goes there from now on. */
  attach(session: Session): void {
    const mailbox = this.#mailboxes.get(session.address);
    if (mailbox === undefined) return;
    mailbox.owner = session;
    mailbox.deliver();
  }

  /** The session ends; its mail waits for the next one. */
  detach(session: Session): void {
    const mailbox = this.#mailboxes.get(session.address);
    if (mailbox?.owner !== session) return;
    mailbox.owner = undefined;
    this.#dropIdle(mailbox);
  }

  /** The session has room again. */
  resume(session: Session): void {
    const mailbox = this.#mailboxes.get(session.address);
    if (mailbox?.owner === session) mailbox.deliver();
  }

  /** @returns the new mailbox, or the reason why there is none */
  #create(address: string): Mailbox | string {
    if (address === '') return 'mail needs the address of a mailbox';
    const { mailboxesMax } = this.#context.limits;
    if (this.#mailboxes.size >= mailboxesMax) return `there are ${mailboxesMax} mailboxes already`;
    return this.#add(address);
  }

  #add(address: string, place?: Place): Mailbox {
    const forget = (idle: Mailbox): void => void this.#mailboxes.delete(idle.name);
    const mailbox = new Mailbox(address, this.#context, forget, place);
    mailbox.owner = this.#ownerOf(address);
    this.#mailboxes.set(address, mailbox);
    return mailbox;
  }

  #dropIdle(mailbox: Mailbox): void {
    if (mailbox.idle) this.#mailboxes.delete(mailbox.name);
  }
}
