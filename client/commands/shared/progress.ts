// How far long work has come, shown as a bar on a terminal while it goes on,
// and gone afterwards. Where standard error is no terminal there is none. What
// else is written there is written through `aside`, so that nothing mixes.
import { SingleBar } from 'cli-progress';
import { grouped } from './units.js';

/** Work that is over sooner needs no bar. */
const SHOWN_AFTER_MS = 400;
const LOOK_EVERY_MS = 200;
/** The rate shown is that of about so long. */
const RATE_MS = 2000;

/** What the bar is about. */
export interface Work {
  /** What `done` comes to in the end; 0 for no bar. */
  readonly total: number;
  readonly done: () => number;
  /** What stands beside the bar. It must be safe to show. */
  readonly text: () => string;
}

export class Progress {
  readonly #stream: NodeJS.WriteStream;
  #work: Work | undefined;
  #bar: SingleBar | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream;
  }

  /** False where nothing is shown, since nobody looks. */
  get isSeen(): boolean {
    return this.#stream.isTTY;
  }

  /** Begins to show work, if it takes its time, until `stop`. */
  start(work: Work): void {
    this.stop();
    if (!this.isSeen || work.total <= 0) return;
    this.#work = work;
    this.#timer = setTimeout(() => {
      this.#show(work);
      this.#timer = setInterval(() => this.#update(work), LOOK_EVERY_MS);
    }, SHOWN_AFTER_MS);
  }

  /** The work is over: the bar goes. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#work = undefined;
    this.#hide();
  }

  /** Lets something else write where the bar is. */
  aside(write: () => void): void {
    const shown = this.#bar !== undefined;
    this.#hide();
    write();
    if (shown && this.#work !== undefined) this.#show(this.#work);
  }

  #show(work: Work): void {
    this.#bar = new SingleBar({
      format: '{bar} {percentage} %  {text}',
      barCompleteChar: '█',
      barIncompleteChar: '░',
      barsize: 24,
      stream: this.#stream,
      clearOnComplete: true,
      // Trims the line; without, the terminal would be left unable to wrap lines where it is killed.
      linewrap: true,
      gracefulExit: false,
    });
    this.#bar.start(work.total, work.done(), { text: work.text() });
  }

  #update(work: Work): void {
    this.#bar?.update(work.done(), { text: work.text() });
  }

  #hide(): void {
    this.#bar?.stop();
    this.#bar = undefined;
  }
}

/** How fast something is counted. */
export class Rate {
  readonly #count: () => number;
  #from: { readonly atMs: number; readonly count: number };
  #perSecond = 0;

  constructor(count: () => number) {
    this.#count = count;
    this.#from = { atMs: performance.now(), count: count() };
  }

  /** `12,345/s` */
  text(): string {
    const count = this.#count();
    const nowMs = performance.now();
    const elapsedMs = nowMs - this.#from.atMs;
    if (this.#perSecond === 0 || elapsedMs >= RATE_MS) {
      this.#perSecond = ((count - this.#from.count) / Math.max(1, elapsedMs)) * 1000;
    }
    if (elapsedMs >= RATE_MS) this.#from = { atMs: nowMs, count };
    return `${grouped(Math.round(this.#perSecond))}/s`;
  }
}
