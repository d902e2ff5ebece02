// The ids that senders gave to what they sent, each with the sequence that the
// first one of that id got: so that what is sent again is known again. A window
// belongs to one stream or service and is kept with it, in the same commits. It
// remembers a bounded number of ids; what it decides about a repeat is not its
// business.
import { IDS_REMEMBERED } from '../../protocol/index.js';
import { Deque } from '../deque.js';
import type { Committer } from './commits.js';
import type { Place } from './storage.js';
import { PLAIN_KEPT, type KeptMessage } from './store.js';

/** One id that is remembered. */
export interface Remembered {
  readonly sender: string;
  readonly id: string;
  readonly sequence: number;
  /** True where the commit that was to make it durable failed: what it stood for is lost. */
  readonly lost: boolean;
}

interface Entry extends Remembered {
  lost: boolean;
  /** Counts what this window was told to remember. */
  readonly number: number;
}

/** The ids of one sender, and the order in which they came. */
interface Sender {
  readonly address: string;
  readonly ids: Map<string, Entry>;
  readonly order: Deque<Entry>;
}

/** What one id takes in memory beside its characters, about; octets. */
const ENTRY_BYTES = 120;
/** What one sender takes beside its ids. */
const SENDER_BYTES = 512;
const BYTES_MAX = 128 * 1024 * 1024;

export interface IdWindowOptions {
  /** The name under which the store keeps it, `KIND/NAME`; its own, not that of the stream. */
  readonly queue: string;
  /** Where that is kept which has the ids. */
  readonly place: Place;
  readonly bound: IdBound;
  /** Ids of one sender, at most; the oldest go first. */
  readonly idsPerSender?: number;
}

export class IdWindow implements Committer {
  /** Octets that it takes in memory, about. */
  bytes = 0;
  readonly #queue: string;
  readonly #place: Place;
  readonly #bound: IdBound;
  readonly #idsPerSender: number;
  /** The sender that was seen last comes last. */
  readonly #senders = new Map<string, Sender>();
  readonly #undurable = new Deque<Entry>();
  #lastNumber = 0;

  constructor({ queue, place, bound, idsPerSender = IDS_REMEMBERED }: IdWindowOptions) {
    this.#queue = queue;
    this.#place = place;
    this.#bound = bound;
    this.#idsPerSender = idsPerSender;
  }

  /** The sequence of the first message with an id; undefined where it is not remembered. */
  known(sender: string, id: string): number | undefined {
    return this.find(sender, id)?.sequence;
  }

  /** As `known`; what it returns tells also later whether the first message was lost. */
  find(sender: string, id: string): Remembered | undefined {
    const ids = this.#senders.get(sender);
    const entry = ids?.ids.get(id);
    if (ids !== undefined && entry !== undefined) this.#seen(ids);
    return entry;
  }

  /**
   * Remembers the id of a message that is accepted now, and durable with it.
   *
   * @param sequence of the message; rises from call to call
   */
  remember(sender: string, id: string, sequence: number): Remembered {
    const entry = this.#add(sender, id, sequence);
    this.#place.store.keep(this.#queue, keptId(entry));
    this.#undurable.push(entry);
    this.#place.commits.touch(this);
    this.#bound.changed(this);
    return entry;
  }

  /** Takes over what an earlier run of the broker kept. */
  recover(messages: readonly KeptMessage[]): void {
    for (const { sender, tracker, sequence } of messages) this.#add(sender, tracker, sequence);
    this.#bound.changed(this);
  }

  /** Forgets every id: what they stood for is gone. */
  forget(): void {
    this.giveUp(0);
  }

  /** Gives up ids of the senders that were seen longest ago, until it takes at most so many octets. */
  giveUp(bytesMax: number): void {
    for (const ids of this.#senders.values()) {
      while (this.bytes > bytesMax && ids.ids.size > 0) this.#dropOldest(ids);
      this.#forgetEmpty(ids);
      if (this.bytes <= bytesMax) break;
    }
    this.#bound.changed(this);
  }

  seal(): number {
    return this.#lastNumber;
  }

  committed(mark: number): void {
    this.#settle(mark);
  }

  failed(mark: number): void {
    const senders = new Set<Sender>();
    for (const entry of this.#settle(mark)) {
      entry.lost = true;
      const ids = this.#senders.get(entry.sender);
      if (ids?.ids.get(entry.id) !== entry) continue;
      this.#remove(ids, entry);
      senders.add(ids);
    }
    for (const ids of senders) {
      ids.order.filter(({ lost }) => !lost);
      this.#forgetEmpty(ids);
    }
    this.#bound.changed(this);
  }

  #add(sender: string, id: string, sequence: number): Entry {
    const ids = this.#senders.get(sender) ?? this.#newSender(sender);
    this.#seen(ids);
    if (ids.ids.has(id)) throw new Error(`the id ${id} of ${sender} is remembered already`);
    const entry = { sender, id, sequence, lost: false, number: ++this.#lastNumber };
    ids.ids.set(id, entry);
    ids.order.push(entry);
    this.bytes += entryBytes(entry);
    while (ids.ids.size > this.#idsPerSender) this.#dropOldest(ids);
    return entry;
  }

  /** Moves a sender behind all others. */
  #seen(ids: Sender): void {
    this.#senders.delete(ids.address);
    this.#senders.set(ids.address, ids);
  }

  #newSender(address: string): Sender {
    const ids = { address, ids: new Map<string, Entry>(), order: new Deque<Entry>() };
    this.bytes += senderBytes(ids);
    return ids;
  }

  #forgetEmpty(ids: Sender): void {
    if (ids.ids.size > 0) return;
    this.#senders.delete(ids.address);
    this.bytes -= senderBytes(ids);
  }

  #dropOldest(ids: Sender): void {
    const entry = ids.order.shift() as Entry;
    this.#remove(ids, entry);
    this.#place.store.release(this.#queue, entry.sequence);
    if (this.#place.store.persistent) this.#place.commits.touch(this);
  }

  #remove(ids: Sender, entry: Entry): void {
    ids.ids.delete(entry.id);
    this.bytes -= entryBytes(entry);
  }

  #settle(mark: number): Entry[] {
    const settled: Entry[] = [];
    for (let next = this.#undurable.peek(); next !== undefined && next.number <= mark;) {
      settled.push(next);
      this.#undurable.shift();
      next = this.#undurable.peek();
    }
    return settled;
  }
}

/**
 * What all windows of a kind may take together. Where that is too much, the
 * largest one gives up some of its ids: a sender that floods one of them does
 * not make the others forget.
 */
export class IdBound {
  readonly #bytesMax: number;
  /** Windows that remember something, with the octets that each was last seen to take. */
  readonly #windows = new Map<IdWindow, number>();
  #bytes = 0;

  constructor(bytesMax = BYTES_MAX) {
    this.#bytesMax = bytesMax;
  }

  /** A window takes more, or less, than before. */
  changed(window: IdWindow): void {
    this.#bytes += window.bytes - (this.#windows.get(window) ?? 0);
    if (window.bytes === 0) this.#windows.delete(window);
    else this.#windows.set(window, window.bytes);
    if (this.#bytes > this.#bytesMax) this.#cutLargest();
  }

  #cutLargest(): void {
    let largest: IdWindow | undefined;
    for (const window of this.#windows.keys()) {
      if (window.bytes > (largest?.bytes ?? 0)) largest = window;
    }
    // An eighth at a time: the search for the largest is not made for each id.
    largest?.giveUp(largest.bytes - Math.ceil(largest.bytes / 8));
  }
}

function entryBytes({ id }: Entry): number {
  return ENTRY_BYTES + 2 * id.length;
}

function senderBytes({ address }: Sender): number {
  return SENDER_BYTES + 2 * address.length;
}

/** An id as the store keeps it: a message of a queue, without content. */
function keptId({ sender, id, sequence }: Entry): KeptMessage {
  return { ...PLAIN_KEPT, sequence, sender, tracker: id };
}
