// What `mlm tail` says where it is called wrongly, or its broker speaks MLM/1.
import { Writable } from 'node:stream';
import type { Context } from '../../../client/commands/shared/command.js';
import { Output } from '../../../client/commands/shared/output.js';
import { Progress } from '../../../client/commands/shared/progress.js';
import { unpainted } from '../../../client/commands/shared/styles.js';
import { tailCommand } from '../../../client/commands/tail.js';
import { startV1Peer, type V1Peer } from '../../e2e/commands-support.js';
import { PATIENCE_MS } from '../../support/processes.js';

const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() }) as never;
const context: Context = {
  signal: new AbortController().signal,
  output: new Output(nowhere),
  paint: unpainted,
  warn: () => undefined,
  hint: () => undefined,
  progress: new Progress(nowhere),
};

function complaint(given: Record<string, unknown>): Promise<unknown> {
  return tailCommand.run({ stream: 's', ...given }, context).catch((error: unknown) => error);
}

it.each([
  [{ from: 'yesterday' }, /^--from takes earliest, new, compact, last:N, .*; not "yesterday"$/],
  [{ from: '2999-01-01' }, /^--from is in the future$/],
  [{ until: 'never' }, /^--until takes now, .*; not "never"$/],
  [{ from: '5', until: '4' }, /^--until is before --from$/],
  [{ from: '1h', until: '2h' }, /^--until is before --from$/],
  [{ force: true }, /^--force is for the file of --record$/],
])('called with %j it says what is wrong', async (given, what) => {
  expect(await complaint(given)).toMatchObject({
    status: 2,
    message: expect.stringMatching(what) as string,
  });
});

describe('on MLM/1', () => {
  let peer: V1Peer;
  beforeEach(async () => {
    peer = await startV1Peer();
  });
  afterEach(() => peer.close());

  it.each(['from', 'until', 'cursor', 'record'])('there is no --%s', async (option) => {
    const { endpoint } = peer;
    const given = { endpoint, connectTimeout: PATIENCE_MS, [option]: '1' };
    expect(await complaint(given)).toMatchObject({
      status: 1,
      message: `--${option} needs a native session, and the broker at ${endpoint} speaks MLM/1 only`,
    });
  });
});
