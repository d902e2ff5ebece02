// Notices that the process has no file descriptor left: each client takes one,
// and where there is none ZeroMQ leaves those who connect waiting without a word.
// It asks the system by opening a file; it frees nothing.
import { open } from 'node:fs/promises';
import { devNull } from 'node:os';
import type { Clock, Timer } from './clock.js';
import type { Logger } from './log.js';

const LOOK_EVERY_MS = 1000;
const NONE_LEFT =
  'no file descriptor is left: who connects now waits until others leave; raise the limit (ulimit -n)';

export class OpenFiles {
  readonly #clock: Clock;
  readonly #log: Logger;
  #timer: Timer | undefined;
  #exhausted = false;
  #stopped = false;

  constructor(clock: Clock, log: Logger) {
    this.#clock = clock;
    this.#log = log;
    this.#lookLater();
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  #lookLater(): void {
    if (this.#stopped) return;
    this.#timer = this.#clock.after(LOOK_EVERY_MS, () => {
      void this.#look().then(() => this.#lookLater());
    });
  }

  async #look(): Promise<void> {
    const exhausted = await isExhausted();
    if (exhausted === this.#exhausted) return;
    this.#exhausted = exhausted;
    if (exhausted) this.#log.warn(NONE_LEFT);
    else this.#log.info('there are file descriptors again');
  }
}

async function isExhausted(): Promise<boolean> {
  try {
    const file = await open(devNull);
    await file.close();
    return false;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code === 'EMFILE' || code === 'ENFILE';
  }
}
