// Messages that wait their turn, first come, first served. One that goes away in
// the middle (it expired) leaves a place that is skipped, and the line closes up
// when there are more such places than messages.
import { Deque } from './deque.js';
import type { Message } from './message.js';

const GONE_SLACK = 64;

export class WaitingLine {
  readonly #places = new Deque<Message>();
  #gone = 0;

  /** How many messages wait. */
  get length(): number {
    return this.#places.length - this.#gone;
  }

  /** The message whose turn it is, or undefined. */
  peek(): Message | undefined {
    let first = this.#places.peek();
    while (first?.gone === true) {
      this.#places.shift();
      this.#gone--;
      first = this.#places.peek();
    }
    return first;
  }

  /** Takes the message that `peek` showed. */
  shift(): Message | undefined {
    this.peek();
    return this.#places.shift();
  }

  push(message: Message): void {
    this.#places.push(message);
  }

  /** Puts a message back where its sequence says; that is at the front, or near it. */
  putBack(message: Message): void {
    const later: Message[] = [];
    for (
      let first = this.peek();
      first !== undefined && first.sequence < message.sequence;
      first = this.peek()
    ) {
      later.push(first);
      this.#places.shift();
    }
    this.#places.unshift(message);
    while (later.length > 0) this.#places.unshift(later.pop() as Message);
  }

  /** A message of this line has become `gone`. */
  noteGone(): void {
    this.#gone++;
    if (this.#gone <= this.length + GONE_SLACK) return;
    this.#places.filter((message) => !message.gone);
    this.#gone = 0;
  }

  /** Empties the line. @returns the messages that waited, in order */
  drain(): Message[] {
    const messages = [...this.#places].filter((message) => !message.gone);
    this.#places.clear();
    this.#gone = 0;
    return messages;
  }
}
