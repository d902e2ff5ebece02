// Ctrl-C at `mlm job`: it ends the waiting, also for a broker that says nothing, and
// what was read of a list until then is not printed as if it were all. The command
// runs in this process, so that the signal comes at the right moment; the broker is
// one of its own, that stands still where it is to be silent.
import { PassThrough } from 'node:stream';
import type { WriteStream } from 'node:tty';
import { jobCommand } from '../../client/commands/job.js';
import { Output } from '../../client/commands/shared/output.js';
import { Progress } from '../../client/commands/shared/progress.js';
import { useCommands, type Broker } from './commands-support.js';

const commands = useCommands();

/**
 * Runs `mlm job`, which is ended while it waits for the broker.
 *
 * @param before what is done when its session is open, and nothing was asked yet
 * @returns what it printed, and how it ended
 */
async function interrupted(broker: Broker, action: string, before: () => void) {
  const stopping = new AbortController();
  const stdout = new PassThrough();
  const output = new Output(stdout as unknown as WriteStream);
  const progress = new Progress(new PassThrough() as unknown as WriteStream);
  const ignore = (): void => undefined;
  const paint = (_: string, text: string): string => text;
  const context = { output, progress, paint, warn: ignore, hint: ignore };
  const given = {
    action,
    endpoint: broker.endpoint,
    // Asked for by the action, which begins with the session.
    get service(): string {
      before();
      stopping.abort();
      return 'render';
    },
    job: 'j1',
  };
  const ending = jobCommand.run(given, { ...context, signal: stopping.signal });
  const code = await ending.then(
    () => 'done',
    (error: unknown) => (error as { code: string }).code,
  );
  stdout.end();
  return { code, printed: (stdout.read() as Buffer | null)?.toString() ?? '' };
}

it.each(['submit', 'watch', 'cancel', 'retry'])('job %s of a silent broker', async (action) => {
  const broker = await commands.broker();
  try {
    const silence = (): void => broker.child.signal('SIGSTOP');
    expect(await interrupted(broker, action, silence)).toEqual({ code: 'ABORTED', printed: '' });
  } finally {
    broker.child.signal('SIGCONT');
  }
});

it.each(['ls', 'show'])('job %s prints no part of a list', async (action) => {
  const broker = await commands.broker();
  const client = await commands.client(broker.endpoint);
  await client.submit('render', 'page', undefined, { id: 'j1' });
  const nothing = (): void => undefined;
  expect(await interrupted(broker, action, nothing)).toEqual({ code: 'ABORTED', printed: '' });
});
