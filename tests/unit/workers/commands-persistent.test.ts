// Commands that stay: fed one request after the other, kept alive, started again
// when they die, and ended when nobody wants their answer. Real processes, no broker.
import { renameSync } from 'node:fs';
import { PersistentPool } from '../../../workers/commands/persistent-pool.js';
import { silentLog } from '../../../workers/index.js';
import {
  contextOf,
  failureOf,
  nodeCommand,
  specOf,
  useRunner,
  type Asked,
  type TestContext,
} from './commands-support.js';
import { isAlive } from '../../support/pids.js';
import { until } from '../../support/until.js';

const { folders } = useRunner();

/** A model that does what the body says. */
const MODEL = `
  let asked = 0;
  const say = (value) => process.stdout.write(JSON.stringify(value) + '\\n');
  process.stdout.write('loading the model\\n');
  require('readline').createInterface({ input: process.stdin }).on('line', (line) => {
    const request = JSON.parse(line);
    const { id, subject, body, folder } = request;
    const answer = (result) => say({ id, result });
    asked++;
    const acts = {
      pid: () => answer(process.pid),
      count: () => answer(asked),
      echo: () => answer({ subject, body }),
      text: () => answer('grüße'),
      bytes: () => answer({ base64: 'AP8=' }),
      fail: () => say({ id, error: { code: 'bad-input', message: 'no face' } }),
      'fail plainly': () => say({ id, error: 'it broke' }),
      die: () => { console.error('RuntimeError: gone'); process.exit(3); },
      exhaust: () => { console.error('CUDA out of memory'); process.exit(1); },
      leave: () => process.exit(0),
      hang: () => say({ id, event: process.pid }),
      noise: () => { process.stdout.write('{"id":\\n\\xff\\n{"id": 999, "result": 1}\\n'); answer('heard'); },
      report: () => { say({ id, progress: 0.5, note: 'half' }); say({ id, event: { token: 'a' } }); answer(1); },
      flood: () => say({ id, result: 'x'.repeat(1e6) }),
      events: () => { setInterval(() => say({ id, event: 'x'.repeat(1000) }), 0); },
      read: () => answer(require('fs').readFileSync(folder + '/in.bin').toString('hex')),
      write: () => { require('fs').writeFileSync(folder + '/out.bin', 'made'); answer(null); },
    };
    acts[subject]();
  });
`;

interface Model {
  readonly ask: (subject: string, asked?: Asked | TestContext) => Promise<unknown>;
  readonly pool: PersistentPool;
}

function start(lines = '', capacity = 1, script = MODEL): Model {
  const spec = specOf(`${nodeCommand(script)}\npersistent: true\n${lines}`.trim());
  const pool = new PersistentPool(spec, capacity, folders(), silentLog, () => undefined);
  return {
    pool,
    ask: (subject, asked = {}) =>
      pool.run('told' in asked ? { ...asked, subject } : contextOf({ ...asked, subject })),
  };
}

async function use(model: Model, work: (model: Model) => Promise<void>): Promise<void> {
  try {
    await work(model);
  } finally {
    await model.pool.close();
  }
}

it('one process does one request after the other', () =>
  use(start(), async ({ ask }) => {
    expect(await ask('count')).toBe(1);
    expect(await ask('count')).toBe(2);
    const pid = Number(await ask('pid'));
    expect(isAlive(pid)).toBe(true);
    expect(await ask('pid')).toBe(pid);
  }));

it('as many processes as may work at the same time', () =>
  use(start('', 2), async ({ ask }) => {
    const over = new AbortController();
    let first: ((pid: unknown) => void) | undefined;
    const begun = new Promise<unknown>((resolve) => (first = resolve));
    const hanging = failureOf(ask('hang', { signal: over.signal, onEmit: (pid) => first?.(pid) }));
    const pid = await begun;
    expect(await ask('pid')).not.toBe(pid);
    over.abort(new Error('over'));
    expect((await hanging).message).toBe('over');
  }));

it('more requests than processes wait for one', () =>
  use(start(), async ({ ask }) => {
    const counts = await Promise.all([ask('count'), ask('count'), ask('count')]);
    expect(counts).toEqual([1, 2, 3]);
  }));

it('a request has its subject, and its body as JSON', () =>
  use(start(), async ({ ask }) => {
    const body = { text: 'a\n"b"', bytes: Buffer.from('hi') };
    expect(await ask('echo', { body })).toEqual({
      subject: 'echo',
      body: { text: 'a\n"b"', bytes: { base64: 'aGk=' } },
    });
    const bodyOf = async (sent: unknown) =>
      ((await ask('echo', { body: sent })) as { body: unknown }).body;
    expect(await bodyOf(Buffer.from('plain text'))).toBe('plain text');
    expect(await bodyOf(Buffer.from([0xff, 0x00, 0x01]))).toEqual({ base64: '/wAB' });
    expect(await bodyOf(undefined)).toBeNull();
    const frames = [Buffer.from('{}'), Buffer.from('x')];
    expect(await failureOf(ask('echo', { body: frames }))).toMatchObject({ code: 'bad-input' });
  }));

it('files go in and out through the folder of the request', async () => {
  const files = 'input: {files: {in.bin: body.data}}';
  await use(start(files), async ({ ask }) => {
    const body = { data: Buffer.from([1, 255]) };
    expect(await ask('read', { body })).toBe('01ff');
    // What lies in a file does not travel twice.
    expect(await ask('echo', { body })).toMatchObject({ body: { data: null } });
  });
  await use(start('output: {files: out.bin}'), async ({ ask }) => {
    expect(await ask('write')).toEqual(Buffer.from('made'));
  });
});

it.each([
  ['text', 'text', Buffer.from('grüße')],
  ['binary', 'bytes', Buffer.from([0, 255])],
  ['none', 'text', undefined],
  ['json', 'bytes', { base64: 'AP8=' }],
])('a result may be %s', (output, subject, result) =>
  use(start(`output: ${output}`), async ({ ask }) => {
    expect(await ask(subject)).toEqual(result);
  }),
);

it.each([
  ['text', 'count', 'is no text'],
  ['binary', 'text', 'must be {"base64"'],
])('a result that is not %s fails', (output, subject, message) =>
  use(start(`output: ${output}`), async ({ ask }) => {
    const failure = await failureOf(ask(subject));
    expect(failure.code).toBe('failed');
    expect(failure.message).toContain(message);
  }),
);

it('progress and events are told; other lines are for the log', () =>
  use(start(), async ({ ask }) => {
    const context = contextOf();
    expect(await ask('report', context)).toBe(1);
    expect(context.told).toEqual([{ fraction: 0.5, note: 'half' }]);
    expect(context.emitted).toEqual([{ token: 'a' }]);
    expect(await ask('noise')).toBe('heard');
  }));

it('an error is of the class that it says, and the process stays', () =>
  use(start(), async ({ ask }) => {
    const pid = await ask('pid');
    const failure = await failureOf(ask('fail'));
    expect(failure).toMatchObject({ code: 'bad-input', message: 'no face' });
    const plain = await failureOf(ask('fail plainly'));
    expect(plain).toMatchObject({ code: 'failed', message: 'it broke' });
    expect(await ask('pid')).toBe(pid);
  }));

describe('a process that dies', () => {
  it.each([
    ['die', 'transient', 'ended with status 3: RuntimeError: gone'],
    ['exhaust', 'out-of-memory', 'ended with status 1: CUDA out of memory'],
    ['leave', 'transient', 'ended, though it should stay'],
  ])('(%s) fails its request, and is started again', (subject, code, message) =>
    use(start(), async ({ ask }) => {
      const pid = await ask('pid');
      const failure = await failureOf(ask(subject));
      expect(failure.code).toBe(code);
      expect(failure.message).toContain(message);
      expect(await ask('pid')).not.toBe(pid);
      expect(await ask('count')).toBe(2);
    }),
  );

  it('between requests is started again', () =>
    use(start(), async ({ ask }) => {
      const pid = Number(await ask('pid'));
      process.kill(pid, 'SIGKILL');
      await until(() => !isAlive(pid), 'its end');
      // The end may be known to the system before it is known here.
      const next = await ask('pid').catch(() => ask('pid'));
      expect(next).not.toBe(pid);
    }));

  it('where there is no such program, the request is for another worker', async () => {
    const spec = specOf('command: [no-such-program]\npersistent: true');
    const pool = new PersistentPool(spec, 1, folders(), silentLog, () => undefined);
    expect(await failureOf(pool.run(contextOf()))).toMatchObject({ code: 'not-ready' });
    await pool.close();
  });
});

describe('a request that takes too long', () => {
  it.each(['hang', 'events'])('or says too much (%s) ends the process', (subject) =>
    use(start('timeLimit: 100ms\noutputMax: 10MiB'), async ({ ask }) => {
      const failure = await failureOf(ask(subject));
      expect(failure).toMatchObject({ code: 'time-limit' });
    }),
  );

  it('or is cancelled, ends the process, and the next one has a new one', () =>
    use(start(), async ({ ask }) => {
      const over = new AbortController();
      let pid = 0;
      const onEmit = (said: unknown): void => {
        pid = Number(said);
        over.abort(new Error('cancelled'));
      };
      const failure = await failureOf(ask('hang', { signal: over.signal, onEmit }));
      expect(failure.message).toBe('cancelled');
      expect(isAlive(pid)).toBe(false);
      expect(await ask('count')).toBe(1);
    }));

  it('and is cancelled while it waits, costs nobody anything', () =>
    use(start(), async ({ ask }) => {
      const running = new AbortController();
      let begun: () => void = () => undefined;
      const hangs = new Promise<void>((resolve) => (begun = resolve));
      const first = failureOf(ask('hang', { signal: running.signal, onEmit: () => begun() }));
      await hangs;
      const waiting = new AbortController();
      const second = failureOf(ask('count', { signal: waiting.signal }));
      waiting.abort(new Error('never mind'));
      expect((await second).message).toBe('never mind');
      running.abort(new Error('over'));
      await first;
      expect(await ask('count')).toBe(1);
    }));
});

it.each(['flood', 'events'])('answers have a bound: %s', (subject) =>
  use(start('outputMax: 64KiB'), async ({ ask }) => {
    const failure = await failureOf(ask(subject));
    expect(failure.code).toBe('failed');
    expect(failure.message).toContain('more than the 65536 octets it may');
    expect(await ask('count')).toBe(1);
  }),
);

describe('a process that says when it is ready', () => {
  it('gets its first request then', () => {
    const script = `let ready = false;
      setTimeout(() => { ready = true; console.log('{"ready": true}'); }, 30);
      process.stdin.on('data', (line) => console.log(JSON.stringify({ id: JSON.parse(line).id, result: ready })));`;
    return use(start('startLimit: 10min', 1, script), async ({ ask }) => {
      expect(await ask('any')).toBe(true);
    });
  });

  it('or does not in time, or dies before, leaves the request to another worker', async () => {
    const silent = start('startLimit: 50ms', 1, 'setInterval(() => {}, 1000)');
    await use(silent, async ({ ask }) => {
      const failure = await failureOf(ask('any'));
      expect(failure.code).toBe('not-ready');
      expect(failure.message).toContain('did not say {"ready": true}');
    });
    await use(start('startLimit: 10min', 1, 'process.exit(9)'), async ({ ask }) => {
      expect(await failureOf(ask('any'))).toMatchObject({ code: 'not-ready' });
    });
  });
});

describe('where no folder can be made', () => {
  /** As on a disk that is full. */
  const full = async (work: () => Promise<void>): Promise<void> => {
    const { root } = folders();
    renameSync(root, `${root}-away`);
    await work();
    renameSync(`${root}-away`, root);
  };

  it('a request fails, and the next one has its process', () =>
    use(start(), async ({ ask }) => {
      const pid = await ask('pid');
      await full(async () => {
        expect((await failureOf(ask('pid'))).message).toContain('ENOENT');
      });
      expect(await ask('pid')).toBe(pid);
    }));

  it('a process is started later', async () => {
    let started: Model | undefined;
    await full(async () => {
      started = start();
      expect((await failureOf(started.ask('pid'))).message).toContain('ENOENT');
    });
    await use(started!, async ({ ask }) => {
      const asked = (): Promise<boolean> =>
        ask('count').then(
          () => true,
          () => false,
        );
      await until(asked, 'a process');
    });
  });
});

it('closing ends the processes, whatever they do', async () => {
  const { ask, pool } = start('grace: 20ms', 2, `process.on('SIGTERM', () => {});${MODEL}`);
  const pids = await Promise.all([ask('pid'), ask('pid')]);
  await pool.close();
  expect(pids.map((pid) => isAlive(Number(pid)))).toEqual([false, false]);
});
