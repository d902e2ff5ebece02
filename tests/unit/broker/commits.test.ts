// Group commit by itself: what is durable counts as that, whatever those do who are
// told of it.
import { silentLogger } from '../../../broker/log.js';
import { Commits } from '../../../broker/store/commits.js';
import { GatedStore } from '../../support/gated-store.js';

it('a commit that is durable has not failed, though somebody cannot be told of it', async () => {
  const store = new GatedStore();
  const nothing = (): void => undefined;
  const errors: string[] = [];
  const log = { ...silentLogger, error: (message: string) => void errors.push(message) };
  const commits = new Commits(store, log, { gathering: nothing, retry: nothing, ended: nothing });
  const failed: string[] = [];
  commits.touch({
    seal: () => 1,
    committed: () => {
      throw new Error('a mistake');
    },
    failed: (_mark, why) => void failed.push(why),
  });
  const settled = commits.settled();
  store.succeed();
  await expect(settled).rejects.toThrow('a mistake');
  expect(failed).toEqual([]);
  expect(errors).toEqual([]);
});
