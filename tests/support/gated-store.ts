// A store double whose commits end when the test says so, well or not. Beneath it
// is the memory store; it counts itself as persistent, so that the broker treats
// it as it treats a disk.
import { MemoryStore } from '../../broker/store/memory.js';

export class GatedStore extends MemoryStore {
  override readonly persistent = true;
  /** Commits that have begun and not ended. */
  readonly underWay: { succeed: () => void; fail: (why: string) => void }[] = [];
  commits = 0;

  override commit(): Promise<void> {
    this.commits++;
    return new Promise((resolve, reject) => {
      this.underWay.push({ succeed: resolve, fail: (why) => reject(new Error(why)) });
    });
  }

  /** Ends the commit that is under way. */
  succeed(): void {
    this.underWay.shift()?.succeed();
  }

  fail(why: string): void {
    this.underWay.shift()?.fail(why);
  }

  /** Ends commits as they come, from now on. */
  open(): void {
    for (const { succeed } of this.underWay.splice(0)) succeed();
    this.commit = () => Promise.resolve();
  }
}
