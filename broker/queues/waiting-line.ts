// Messages that wait their turn, first come, first served. One that goes away in
// the middle (it expired) leaves a place that is skipped, and the line closes up
// when there are more such places than messages.
import { Deque } from '../deque.js';
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

const PRIORITIES = 10;

/** Waiting lines for the priorities 0 to 9, the most urgent first. */
export class PriorityLine {
  readonly #lines: (WaitingLine | undefined)[] = [];

  get length(): number {
    let length = 0;
    for (const line of this.#lines) length += line?.length ?? 0;
    return length;
  }

  peek(): Message | undefined {
    return this.#urgent()?.peek();
  }

  shift(): Message | undefined {
    return this.#urgent()?.shift();
  }

  push(message: Message): void {
    this.#lineOf(message).push(message);
  }

  putBack(message: Message): void {
    this.#lineOf(message).putBack(message);
  }

  noteGone(message: Message): void {
    this.#lineOf(message).noteGone();
  }

  /** Empties the lines. @returns the messages that waited, each priority in order */
  drain(): Message[] {
    return this.#lines.flatMap((line) => line?.drain() ?? []);
  }

  #urgent(): WaitingLine | undefined {
    for (let priority = this.#lines.length - 1; priority >= 0; priority--) {
      const line = this.#lines[priority];
      if (line !== undefined && line.length > 0) return line;
    }
    return undefined;
  }

  #lineOf({ priority }: Message): WaitingLine {
    const index = Math.min(priority, PRIORITIES - 1);
    while (this.#lines.length <= index) this.#lines.push(undefined);
    return (this.#lines[index] ??= new WaitingLine());
  }
}
