// The whole terminal as a page that is drawn again and again, and given back as
// it was, however the command ends. What stands on the page is not its business.
import type { Output } from '../shared/output.js';

/** The other page of the terminal, without the wrapping of lines that are too long. */
const ENTER = '\u001b[?1049h\u001b[?7l';
const LEAVE = '\u001b[?7h\u001b[?1049l';
const HOME = '\u001b[H';
const CLEAR_LINE = '\u001b[K';
const CLEAR_BELOW = '\u001b[J';

export class Screen {
  readonly #output: Output;
  readonly #onExit = (): void => void process.stdout.write(LEAVE);

  constructor(output: Output) {
    this.#output = output;
  }

  async enter(): Promise<void> {
    // A second Ctrl-C ends the process at once.
    process.once('exit', this.#onExit);
    await this.#output.write(ENTER);
  }

  /** Draws the lines that there is room for. They must be safe to show. */
  async draw(lines: readonly string[]): Promise<void> {
    const { rows } = this.#output;
    const room = rows - 1;
    const shown =
      lines.length <= room
        ? lines
        : [...lines.slice(0, room - 1), `… ${lines.length - room + 1} lines more`];
    const page = shown.map((line) => `${line}${CLEAR_LINE}\n`).join('');
    await this.#output.write(`${HOME}${page}${CLEAR_BELOW}`);
  }

  async leave(): Promise<void> {
    process.off('exit', this.#onExit);
    await this.#output.write(LEAVE);
  }
}
