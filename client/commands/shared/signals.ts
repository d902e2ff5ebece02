// The signals that ask a process to end: told apart are the first one, and a second
// one of who has no patience left. What ending means is the caller's business. It
// imports nothing, so that workers and examples can use it, too.

/**
 * A Ctrl-C can reach a process twice: npm and npx hand it on to their child, which the terminal
 * has told, too. What comes within this time after the first signal is that one once more, ms.
 */
const SAME_MS = 500;

/**
 * What to do at each signal.
 *
 * @param first called at the first one
 * @param again called at each one that comes half a second after it or later
 */
export function atSignals<Name>(
  first: (name: Name) => void,
  again: () => void,
  nowMs: () => number = () => performance.now(),
): (name: Name) => void {
  let firstMs: number | undefined;
  return (name) => {
    if (firstMs === undefined) {
      firstMs = nowMs();
      first(name);
    } else if (nowMs() - firstMs >= SAME_MS) again();
  };
}
