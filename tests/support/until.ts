// Waiting in tests for what comes true some time: a condition, or assertions. What
// never comes is told by its name, or by the last failure; nothing waits for a time.
import { setTimeout as pause } from 'node:timers/promises';
import { PATIENCE_MS } from './processes.js';

const LOOK_MS = 10;

/** Waits until a condition holds. @throws {Error} where it does not in time */
export async function until(
  holds: () => boolean | Promise<boolean>,
  what = 'what the test waits for',
): Promise<void> {
  const late = new Error(`never came: ${what}`);
  const endMs = performance.now() + PATIENCE_MS;
  while (!(await holds())) {
    if (performance.now() > endMs) throw late;
    await pause(LOOK_MS);
  }
}

/** Makes the assertions again and again until they hold. @throws their last failure */
export async function untilPasses(assertions: () => void | Promise<void>): Promise<void> {
  const endMs = performance.now() + PATIENCE_MS;
  for (;;) {
    try {
      await assertions();
      return;
    } catch (failure) {
      if (performance.now() > endMs) throw failure;
    }
    await pause(LOOK_MS);
  }
}
