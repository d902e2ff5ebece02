// Messages that wait their turn, first come, first served. Each knows the line it
// stands in. One that goes away in the middle (it expired, or went to another
// line) leaves a place that is skipped, and the line closes up when there are more
// such places than messages.
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
    while (first !== undefined && first.line !== this) {
      this.#places.shift();
      this.#gone--;
      first = this.#places.peek();
    }
    return first;
  }

  /** Takes the message that `peek` showed. */
  shift(): Message | undefined {
    const first = this.peek();
    if (first === undefined) return undefined;
    this.#places.shift();
    first.line = undefined;
    return first;
  }

  push(message: Message): void {
    message.line = this;
    this.#places.push(message);
  }

  /** Puts a message back where its order says; that is at the front, or near it. */
  putBack(message: Message): void {
    const later: Message[] = [];
    for (
      let first = this.peek();
      first !== undefined && first.order < message.order;
      first = this.peek()
    ) {
      later.push(first);
      this.#places.shift();
    }
    message.line = this;
    this.#places.unshift(message);
    while (later.length > 0) this.#places.unshift(later.pop() as Message);
  }

  /** Takes a message of this line out, wherever it stands. */
  leave(message: Message): void {
    message.line = undefined;
    this.#gone++;
    if (this.#gone <= this.length + GONE_SLACK) return;
    this.#places.filter(({ line }) => line === this);
    this.#gone = 0;
  }

  /** Empties the line. @returns the messages that waited, in order */
  drain(): Message[] {
    const messages = [...this.#places].filter(({ line }) => line === this);
    this.#places.clear();
    this.#gone = 0;
    for (const message of messages) message.line = undefined;
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

  /** Empties the lines. @returns the messages that waited, each priority in order */
  drain(): Message[] {
    return this.#lines.flatMap((line) => line?.drain() ?? []);
  }

  /** The first message of each priority. */
  *firsts(): Generator<Message, undefined> {
    for (const line of this.#lines) {
      const first = line?.peek();
      if (first !== undefined) yield first;
    }
    return undefined;
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
