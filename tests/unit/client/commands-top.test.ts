// `mlm top` and a broker that is too slow to answer: told apart from one that does
// not tell about itself, and from one that comes back.
import { EventEmitter } from 'node:events';
import type { Context } from '../../../client/commands/shared/command.js';
import { tellSession } from '../../../client/commands/shared/follow.js';
import { lookOnce } from '../../../client/commands/top.js';
import { MlmError, type MlmClient } from '../../../client/index.js';

/** A client as far as looks need one. */
class Session extends EventEmitter {
  readonly state = 'open';
  readonly endpoint = 'tcp://127.0.0.1:1';
  isSlow = false;
  failure = new MlmError('TIMEOUT', 'no reply in time');

  request(_: string, subject: string): Promise<{ value: () => unknown }> {
    if (this.isSlow) return Promise.reject(this.failure);
    return Promise.resolve({ value: () => (subject === 'stats' ? { pid: 1 } : []) });
  }
}

const never = new AbortController().signal;

it('an answer that is late is no look this time', async () => {
  const session = new Session();
  const client = session as unknown as MlmClient;
  const first = await lookOnce(client, undefined, never);
  expect(first).toMatchObject({ stats: { pid: 1 } });
  session.isSlow = true;
  expect(await lookOnce(client, first, never)).toBeUndefined();
  session.isSlow = false;
  expect(await lookOnce(client, first, never)).toMatchObject({ stats: { pid: 1 } });
});

it('without an answer to the first look there is none to come', async () => {
  const session = new Session();
  session.isSlow = true;
  const looking = lookOnce(session as unknown as MlmClient, undefined, never);
  await expect(looking).rejects.toThrow('does not tell about itself');
});

it('another failure is one, whenever it comes', async () => {
  const session = new Session();
  const client = session as unknown as MlmClient;
  const first = await lookOnce(client, undefined, never);
  session.isSlow = true;
  session.failure = new MlmError('REFUSED', 'not for you');
  await expect(lookOnce(client, first, never)).rejects.toThrow('not for you');
});

it('what comes back goes on after the last message only where there is one', () => {
  const session = new Session();
  const said: string[] = [];
  const context = { warn: (line: string) => said.push(line) } as unknown as Context;
  tellSession(session as unknown as MlmClient, context);
  tellSession(session as unknown as MlmClient, context, () => 'going on');
  session.emit('connected');
  expect(said).toEqual(['connected again', 'connected again; going on']);
});
