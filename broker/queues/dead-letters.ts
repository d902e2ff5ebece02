// Dead letters: requests that failed too often, kept with the history of their
// attempts until somebody looks at them. One is written here in the same commit
// in which it leaves its service.
import type { Committer } from '../store/commits.js';
import { Deque } from '../deque.js';
import type { EngineContext } from '../engine-context.js';
import type { Message } from './message.js';
import type { Place } from '../store/storage.js';
import type { KeptMessage } from '../store/store.js';

/** What of the engines' context they need. */
export type DeadLettersContext = Pick<EngineContext, 'counters' | 'limits' | 'log' | 'storage'>;

/** The queue kind under which the store keeps them. */
const DEAD_KIND = 'dead';

/** A letter that is not durable yet. */
interface Added {
  readonly service: string;
  readonly letter: KeptMessage;
  readonly number: number;
}

export class DeadLetters implements Committer {
  readonly #context: DeadLettersContext;
  readonly #place: Place;
  readonly #letters = new Map<string, Map<number, KeptMessage>>();
  readonly #undurable = new Deque<Added>();
  #lastAdded = 0;
  #sealed = 0;

  constructor(context: DeadLettersContext) {
    this.#context = context;
    this.#place = context.storage.place('fsync');
  }

  /** Takes over what an earlier run of the broker kept. */
  recover(service: string, letters: readonly KeptMessage[]): void {
    this.#letters.set(service, new Map(letters.map((letter) => [letter.sequence, letter])));
  }

  /** Keeps a request that failed for good. At the bound, the oldest of its service makes room. */
  add(service: string, message: Message): void {
    const letters = this.#letters.get(service) ?? new Map<number, KeptMessage>();
    const { deadLettersMax } = this.#context.limits;
    const [oldest] = letters.keys();
    if (letters.size >= deadLettersMax && oldest !== undefined) {
      this.#context.log.error('a dead letter is dropped to make room for a newer one', { service });
      this.drop(service, oldest);
    }
    const letter: KeptMessage = {
      sequence: nextSequence(letters),
      sender: message.sender,
      subject: message.subject,
      tracker: message.tracker,
      acceptedWallMs: message.acceptedWallMs,
      expiresWallMs: 0,
      deadlineWallMs: 0,
      key: message.key,
      job: message.job,
      wants: message.wants,
      priority: message.priority,
      notBeforeWallMs: 0,
      attempts: message.attempts,
      failures: message.failures,
      content: message.content,
    };
    this.#letters.set(service, letters);
    letters.set(letter.sequence, letter);
    this.#context.counters.deadLetters++;
    this.#keep({ service, letter });
  }

  /** How many there are, by service. */
  *counts(): Generator<{ service: string; letters: number }> {
    for (const [service, letters] of this.#letters) yield { service, letters: letters.size };
  }

  list(service: string): KeptMessage[] {
    return [...(this.#letters.get(service)?.values() ?? [])];
  }

  /** Takes one out. @returns the letter, or undefined where there is none of that number */
  drop(service: string, sequence: number): KeptMessage | undefined {
    const letters = this.#letters.get(service);
    const letter = letters?.get(sequence);
    if (letters === undefined || letter === undefined) return undefined;
    letters.delete(sequence);
    if (letters.size === 0) this.#letters.delete(service);
    this.#place.store.release(storeName(service), sequence);
    this.#place.commits.touch(this);
    return letter;
  }

  seal(): number {
    return (this.#sealed = this.#lastAdded);
  }

  committed(): void {
    this.#settle(() => undefined);
  }

  /** A letter that could not be stored is stored with the next commit: its request is already given up. */
  failed(): void {
    this.#settle((added) => this.#keep(added));
  }

  #keep(added: Pick<Added, 'service' | 'letter'>): void {
    this.#undurable.push({ ...added, number: ++this.#lastAdded });
    this.#place.store.keep(storeName(added.service), added.letter);
    this.#place.commits.touch(this);
  }

  #settle(each: (added: Added) => void): void {
    const mark = this.#sealed;
    while ((this.#undurable.peek()?.number ?? Infinity) <= mark)
      each(this.#undurable.shift() as Added);
  }
}

function nextSequence(letters: ReadonlyMap<number, KeptMessage>): number {
  let last = 0;
  for (const sequence of letters.keys()) last = sequence;
  return last + 1;
}

function storeName(service: string): string {
  return `${DEAD_KIND}/${service}`;
}
