// Requests with a key: those of one key are served one at a time, in order. Only
// the first of a key stands in a lane; when it is done with, the next one goes to
// the end of the lane, so that no key keeps the others waiting. Which worker had a
// key last is remembered for a while: it is the first choice for the next one.
import type { Worker } from './lanes.js';
import type { Message } from './message.js';
import { WaitingLine } from './waiting-line.js';

/** Keys whose worker is remembered. */
const WORKERS_REMEMBERED_MAX = 10_000;

interface KeyQueue {
  /** The one whose turn it is, until it is done with. */
  current: Message;
  readonly waiting: WaitingLine;
}

export class Keys {
  readonly #queues = new Map<string, KeyQueue>();
  readonly #workers = new Map<string, Worker>();

  /** A request could be served. @returns false where it waits for others of its key */
  enter(message: Message): boolean {
    const { key } = message;
    if (key === '') return true;
    const queue = this.#queues.get(key);
    if (queue === undefined) {
      this.#queues.set(key, { current: message, waiting: new WaitingLine() });
      return true;
    }
    if (queue.current === message) return true;
    queue.waiting.push(message);
    return false;
  }

  /** A request is done with. @returns the next one of its key, whose turn it is now */
  leave(message: Message): Message | undefined {
    const queue = message.key === '' ? undefined : this.#queues.get(message.key);
    if (queue?.current !== message) return undefined;
    const next = queue.waiting.shift();
    if (next === undefined) this.#queues.delete(message.key);
    else queue.current = next;
    return next;
  }

  /** The worker that had the key last, where it is still there. */
  workerOf({ key }: Message): Worker | undefined {
    return key === '' ? undefined : this.#workers.get(key);
  }

  /** A worker gets a request. */
  given({ key }: Message, worker: Worker): void {
    if (key === '') return;
    this.#forget(key);
    this.#workers.set(key, worker);
    worker.keys.add(key);
    if (this.#workers.size <= WORKERS_REMEMBERED_MAX) return;
    const [oldest] = this.#workers.keys();
    if (oldest !== undefined) this.#forget(oldest);
  }

  /** A worker does nothing more. */
  withdraw(worker: Worker): void {
    for (const key of worker.keys) this.#workers.delete(key);
    worker.keys.clear();
  }

  #forget(key: string): void {
    this.#workers.get(key)?.keys.delete(key);
    this.#workers.delete(key);
  }
}
