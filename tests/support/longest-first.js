// The order in which Jest runs the test files: those that take longest first, so
// that none of them runs alone in the end while a core has nothing to do.
import jestSequencer from '@jest/test-sequencer';

const Sequencer = jestSequencer.default ?? jestSequencer;

/** Parts of paths, the longest run first; everything else follows as Jest would have it. */
const LONG = ['e2e/crash', 'e2e/guide', 'e2e/commands.', 'broker-robustness', 'e2e/'];

const placeOf = ({ path }) => {
  const at = LONG.findIndex((part) => path.includes(part));
  return at === -1 ? LONG.length : at;
};

export default class LongestFirst extends Sequencer {
  sort(tests) {
    return super.sort(tests).sort((a, b) => placeOf(a) - placeOf(b));
  }
}
