// `mlm stream`, `mlm cursor` and `mlm dead` as real processes, against a real
// broker.
import { RequestFailure, type MlmClient } from '../../client/index.js';
import { useCommands, type Broker, type Result } from './commands-support.js';
import { until } from '../support/until.js';

const commands = useCommands();
const done = { code: 0, signal: null, stdout: '', stderr: '' };

let broker: Broker;
let client: MlmClient;
beforeEach(async () => {
  broker = await commands.broker();
  client = await commands.client(broker.endpoint, 'tester');
});

const run = (...args: string[]): Promise<Result> => commands.run(broker.endpoint, args);

async function asked(...args: string[]): Promise<unknown> {
  const result = await run(...args, '--json');
  expect(result).toMatchObject({ code: 0, stderr: '' });
  return JSON.parse(result.stdout);
}

describe('mlm stream', () => {
  beforeEach(async () => {
    for (let number = 1; number <= 3; number++) {
      await client.stream('events').send('n', Buffer.alloc(100_000, 'x'));
    }
  });

  it('lists and examines streams', async () => {
    expect(await asked('stream', 'ls')).toMatchObject([{ stream: 'events', lastSequence: 3 }]);
    const all = (await asked('stream', 'ls', '--all')) as { stream: string }[];
    expect(all.map(({ stream }) => stream).sort()).toEqual(['$presence', 'events']);
    expect(await asked('stream', 'info', 'events')).toMatchObject({
      firstSequence: 1,
      lastSequence: 3,
      writers: 1,
    });
    const { stdout } = await run('stream', 'info', 'events');
    expect(stdout).toMatch(/last sequence +3/);
  });

  it('trims a stream', async () => {
    const trimmed = await asked('stream', 'trim', 'events', '--bytes', '150000');
    expect(trimmed).toMatchObject({ firstSequence: 3, lastSequence: 3 });
  });

  it('deletes a stream that nobody uses, and no other', async () => {
    const inUse = await run('stream', 'delete', 'events');
    expect(inUse.code).not.toBe(0);
    expect(inUse.stderr).toMatch(/stream events has 0 readers and 1 writers/);
    await client.close();
    expect(await run('stream', 'delete', 'events')).toEqual(done);
    expect((await run('stream', 'info', 'events')).stderr).toMatch(/there is no stream events/);
  });

  it.each([
    [['stream', 'burn', 'events'], /no action "burn"; there are ls, info, trim, delete/],
    [['stream', 'info'], /the stream is missing/],
    [['stream', 'trim', 'events'], /--bytes is missing/],
    [['stream', 'trim', 'events', '--bytes', 'few'], /--bytes is a whole number, not "few"/],
  ])('%j says what is wrong', async (args, complaint) => {
    const result = await run(...args);
    expect(result.code).not.toBe(0);
    expect(result.stderr).toMatch(complaint);
  });
});

describe('mlm cursor', () => {
  it('lists, moves and deletes cursors', async () => {
    await client.stream('events').send('n', 'x');
    expect((await run('cursor', 'ls', 'events')).stdout).toBe(
      'no cursors on the stream "events"\n',
    );
    expect(await run('cursor', 'set', 'events', 'billing', '1')).toEqual(done);
    expect(await asked('cursor', 'ls', 'events')).toEqual([{ cursor: 'billing', sequence: 1 }]);
    for (const [place, sequence] of [
      ['earliest', 0],
      ['new', 1],
      ['last:1', 0],
      ['2999-01-01', 1],
    ] as const) {
      expect(await run('cursor', 'set', 'events', 'billing', place)).toEqual(done);
      expect(await client.cursors('events')).toMatchObject([{ name: 'billing', sequence }]);
    }
    const beyond = await run('cursor', 'set', 'events', 'billing', '2');
    expect([beyond.code, beyond.stderr]).toEqual([1, 'mlm: the stream "events" goes to 1 only\n']);
    const never = await run('cursor', 'set', 'events', 'billing', 'compact');
    expect([never.code, never.stderr]).toEqual([
      2,
      expect.stringMatching(/^mlm: the place takes earliest, new, .*; not "compact"\n$/),
    ]);
    expect(await run('cursor', 'delete', 'events', 'billing')).toEqual(done);
    const again = await run('cursor', 'delete', 'events', 'billing');
    expect(again.code).not.toBe(0);
    expect(again.stderr).toMatch(/stream events has no cursor billing/);
  });
});

describe('mlm dead', () => {
  /** A worker that cannot do the request of one subject. */
  beforeEach(async () => {
    const worker = await commands.client(broker.endpoint, 'worker');
    await worker.offer('svc', ({ subject }) => {
      if (subject === 'bad') throw new RequestFailure('bad-input', 'cannot read it');
      return 'done';
    });
    await client.request('svc', 'bad', 'x').catch(() => undefined);
  });

  it('lists and shows dead letters', async () => {
    expect(await asked('dead', 'ls')).toEqual([{ service: 'svc', letters: 1 }]);
    expect(await asked('dead', 'ls', 'svc')).toMatchObject([
      { letter: 1, subject: 'bad', sender: 'tester', attempts: 1 },
    ]);
    const { stdout } = await run('dead', 'show', 'svc', '1');
    expect(stdout).toMatch(/subject +bad/);
    expect(stdout).toMatch(/worker +.*cannot read it/s);
    const missing = await run('dead', 'show', 'svc', '7');
    expect(missing.code).not.toBe(0);
    expect(missing.stderr).toMatch(/the service "svc" has no dead letter 7/);
  });

  it('makes a request again, and throws one away', async () => {
    expect(await run('dead', 'retry', 'svc', '1')).toEqual(done);
    await until(async () => {
      const letters = (await asked('dead', 'ls', 'svc')) as { letter: number }[];
      return letters.length === 1;
    }, 'the request failed again');
    expect(await run('dead', 'drop', 'svc', '1')).toEqual(done);
    expect(await asked('dead', 'ls')).toEqual([]);
  });

  it('is empty where nothing failed for good', async () => {
    expect((await run('dead', 'ls', 'other')).stdout).toBe(
      'no dead letters of the service "other"\n',
    );
  });
});
