// How a message looks in the output of a command: as a line for people, as a
// line of JSON, or as its bare body. What to print where is the printer's
// business, not its caller's; it does not write.
import { contentBytes } from '../../../protocol/index.js';
import type { Message } from '../../index.js';
import { addBody, bodyFields, rawBody } from './body-text.js';
import { Line, type LineOptions } from './line.js';
import { safeJson } from './safe-text.js';
import type { Paint } from './styles.js';
import { clockTime, size } from './units.js';

/** How messages are shown. */
export type Form = 'line' | 'json' | 'raw';

/** What is shown: any received message. Native sessions tell more of it. */
export type Shown = Message & {
  readonly sequence?: number | undefined;
  readonly timeMs?: number | undefined;
};

/** Where they are shown. */
export interface Screen {
  readonly paint: Paint;
  /** Someone looks at it: lines are aligned and cut where too long, bytes are put in words. */
  readonly isTerminal: boolean;
}

/** Characters of one message that a terminal gets. */
const TERMINAL_CHARACTERS_MAX = 1000;
/** Columns of a terminal are as wide as their widest entry so far, up to this. */
const COLUMN_MAX = 32;

export class MessageView {
  readonly #form: Form;
  readonly #screen: Screen;
  /** The same for every message: which stream, which mailbox. JSON shows it. */
  readonly #where: Readonly<Record<string, string>>;
  #senderWidth = 0;
  #subjectWidth = 0;

  constructor(form: Form, screen: Screen, where: Readonly<Record<string, string>>) {
    this.#form = form;
    this.#screen = screen;
    this.#where = where;
  }

  /** The message as it is to be written, end of line included. @param now for a message that does not tell its time */
  show(message: Shown, now = new Date()): string | Buffer {
    const time = timeOf(message) ?? now;
    switch (this.#form) {
      case 'line':
        return `${this.#line(message, time)}\n`;
      case 'json':
        return `${this.#json(message, time)}\n`;
      case 'raw':
        return this.#screen.isTerminal
          ? readable(message.content, this.#screen.paint)
          : rawBody(message.content);
    }
  }

  #line({ sender, subject, content }: Shown, time: Date): string {
    const line = new Line(this.#screen.paint, this.#bounds());
    this.#senderWidth = this.#width(this.#senderWidth, sender);
    this.#subjectWidth = this.#width(this.#subjectWidth, subject);
    line.add('time', clockTime(time)).add('plain', '  ');
    line.column('sender', sender === '' ? '-' : sender, this.#senderWidth).add('plain', '  ');
    line.column('subject', subject === '' ? '-' : subject, this.#subjectWidth).add('plain', '  ');
    addBody(line, content);
    if (!line.isCut) return line.toString();
    return `${line.toString()}${this.#screen.paint('note', ` (${size(contentBytes(content))})`)}`;
  }

  #json({ sequence, sender, subject, content }: Shown, time: Date): string {
    const origin = { sequence, sender, subject };
    const head = JSON.stringify({ time: time.toISOString(), ...this.#where, ...origin });
    return safeJson(`${head.slice(0, -1)},${bodyFields(content)}}`);
  }

  #bounds(): LineOptions {
    return this.#screen.isTerminal ? { charactersMax: TERMINAL_CHARACTERS_MAX } : {};
  }

  #width(widest: number, text: string): number {
    if (!this.#screen.isTerminal) return 0;
    return Math.max(widest, Math.min(COLUMN_MAX, text.length));
  }
}

/** A body for people, by itself: texts keep their lines. End of line included. */
export function readable(content: readonly Buffer[], paint: Paint): string {
  const line = new Line(paint, { keep: '\n\t' });
  addBody(line, content);
  const text = line.toString();
  return text.endsWith('\n') ? text : `${text}\n`;
}

/** When the broker got it, where the message tells. */
function timeOf({ timeMs }: Shown): Date | undefined {
  const time = new Date(timeMs ?? NaN);
  return Number.isNaN(time.getTime()) ? undefined : time;
}
