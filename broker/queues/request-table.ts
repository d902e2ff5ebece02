// The requests that a service keeps, by the names under which their senders know
// them, and how many of them want the same: both are bounded. What becomes of a
// request is not its business.
import type { Message } from './message.js';

/** Different wants among the requests that a service keeps. */
export const WANTS_MAX = 1000;

/** Which request is meant: by whom it was sent, with which tracker; a job by its id alone. */
export interface RequestName {
  readonly sender: string;
  readonly tracker: string;
}

export class RequestTable {
  /** Requests that have a tracker, by it. */
  readonly #named = new Map<string, Message>();
  /** How many requests want the same, by what that is. */
  readonly #wanting = new Map<string, number>();

  /** The request of a name; a job is known by its id, whoever asks. */
  find({ sender, tracker }: RequestName): Message | undefined {
    return this.job(tracker) ?? this.#named.get(nameOf({ sender, tracker, job: false }));
  }

  /** The job with an id. */
  job(id: string): Message | undefined {
    return this.#named.get(nameOf({ sender: '', tracker: id, job: true }));
  }

  /** Whether there may be one more request that wants this. */
  hasRoomFor(wants: unknown): boolean {
    return this.#wanting.size < WANTS_MAX || this.#wanting.has(wantsId(wants));
  }

  add(message: Message): void {
    const { tracker, wants } = message;
    if (tracker !== '') this.#named.set(nameOf(message), message);
    if (wants === undefined) return;
    const id = wantsId(wants);
    this.#wanting.set(id, (this.#wanting.get(id) ?? 0) + 1);
  }

  remove(message: Message): void {
    const { tracker, wants } = message;
    const name = tracker === '' ? '' : nameOf(message);
    if (tracker !== '' && this.#named.get(name) === message) this.#named.delete(name);
    if (wants === undefined) return;
    const id = wantsId(wants);
    const count = this.#wanting.get(id) ?? 0;
    if (count > 1) this.#wanting.set(id, count - 1);
    else this.#wanting.delete(id);
  }
}

function nameOf({ sender, tracker, job }: Pick<Message, 'sender' | 'tracker' | 'job'>): string {
  return job ? `\0\0${tracker}` : `${sender}\0${tracker}`;
}

function wantsId(wants: unknown): string {
  return JSON.stringify(wants);
}
