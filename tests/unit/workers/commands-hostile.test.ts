// Wrapped commands that misbehave, and requests that want them to: they end in
// time, with all they have started, leave nothing behind, and cost nobody else
// anything.
import { spawn } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { JobFolders } from '../../../workers/commands/job-folder.js';
import { killMarked, killMarkedNow } from '../../../workers/commands/stragglers.js';
import { contextOf, failureOf, nodeCommand, useRunner, yaml } from './commands-support.js';
import { isAlive } from '../../support/pids.js';
import { until } from '../../support/until.js';

const { run } = useRunner();

async function untilGone(pid: number): Promise<void> {
  expect(pid).toBeGreaterThan(1);
  await until(() => !isAlive(pid), `the end of process ${pid}`);
}

/** Runs a command that prints pids and does not end by itself; cancels it once they are there. */
async function cancelled(lines: string): Promise<{ pids: number[]; failure: Error }> {
  const over = new AbortController();
  const reason = new Error('nobody wants it');
  const context = contextOf({ signal: over.signal, onEmit: () => over.abort(reason) });
  const failure = await failureOf(run(`${lines}\noutput: lines`, context));
  return { pids: String(context.emitted[0]).split(' ').map(Number), failure };
}

it('where the system does not tell of its processes, none is found, and nothing fails', async () => {
  const nowhere = '/no/such/folder';
  await killMarked('mark', nowhere);
  expect(() => killMarkedNow(['mark'], nowhere)).not.toThrow();
});

describe('a request that is cancelled', () => {
  it('ends the command and all that it has started', async () => {
    const script = 'sleep 1000 & sleep 1000 & echo $$ $(jobs -p | tr "\\n" " "); wait';
    const { pids, failure } = await cancelled(`command: ${yaml(['bash', '-c', script])}`);
    expect(failure.message).toBe('nobody wants it');
    expect(pids.filter((pid) => pid > 1).length).toBeGreaterThanOrEqual(3);
    for (const pid of pids.filter((one) => one > 1)) await untilGone(pid);
  });

  it('ends a command that ignores SIGTERM', async () => {
    const script = `process.on('SIGTERM', () => {}); setInterval(() => {}, 1000); console.log(process.pid)`;
    const { pids, failure } = await cancelled(`${nodeCommand(script)}\ngrace: 20ms`);
    expect(failure.message).toBe('nobody wants it');
    await untilGone(pids[0]!);
  });

  it('lets a command that heeds SIGTERM tidy up', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'malamute-test-'));
    const file = join(folder, 'tidy');
    const script = `trap 'echo tidy > ${file}; exit 0' TERM; echo $$; while :; do sleep 0.01; done`;
    const { failure } = await cancelled(`command: ${yaml(['sh', '-c', script])}\ngrace: 10min`);
    expect(failure.message).toBe('nobody wants it');
    expect(readFileSync(file, 'utf8')).toBe('tidy\n');
    rmSync(folder, { recursive: true });
  });

  it('before it began, begins nothing', async () => {
    const context = contextOf({ signal: AbortSignal.abort(new Error('too late')) });
    expect((await failureOf(run('command: [no-such-program]', context))).message).toBe('too late');
  });
});

describe('a command that does not end', () => {
  it('is ended when its time is over', async () => {
    const failure = await failureOf(run('command: [sleep, 1000]\ntimeLimit: 50ms'));
    expect(failure).toMatchObject({
      code: 'time-limit',
      message: '"sleep" did not end within its time limit of 50 ms',
    });
  });

  it.each(['binary', 'text', 'json', 'lines', 'jsonl'])(
    'but prints and prints is ended when that is too much: %s',
    async (form) => {
      const failure = await failureOf(
        run(`command: ["yes", "1"]\noutput: ${form}\noutputMax: 64KiB`),
      );
      expect(failure).toMatchObject({
        code: 'failed',
        message: 'the command prints more than the 65536 octets it may',
      });
    },
  );

  it('but prints one line without end, too', async () => {
    const lines = 'command: [cat, /dev/zero]\noutput: lines\noutputMax: 64KiB';
    expect(await failureOf(run(lines))).toMatchObject({ code: 'failed' });
  });

  it('but complains without end, has its time', async () => {
    const script = 'yes "something is wrong" >&2';
    const failure = await failureOf(
      run(`command: ${yaml(['sh', '-c', script])}\ntimeLimit: 100ms`),
    );
    expect(failure.code).toBe('time-limit');
  });
});

describe('what a command leaves running', () => {
  it('is ended with it, and does not keep its output open', async () => {
    const lines = 'command: [sh, -c, "sleep 1000 & echo $!"]\noutput: text';
    await untilGone(Number(String(await run(lines))));
  });

  // It has left the group, and its parent has ended, before the command ends. It does not
  // become another program afterwards: while it does, the system tells no environment of it.
  const leaving = (
    by: string,
  ): string => `(${by} sh -c 'echo $$ > new; mv new pid; while sleep 1; do :; done' &)
      while [ ! -e pid ]; do sleep 0.01; done; cat pid`;

  it('in a session of its own, is ended with it, too', async () => {
    const lines = `command: ${yaml(['sh', '-c', leaving('setsid')])}\noutput: text`;
    const pid = Number(String(await run(lines)));
    expect(pid).toBeGreaterThan(1);
    expect(isAlive(pid)).toBe(false);
  });

  it('in a session of its own, is ended when the request is cancelled', async () => {
    const script = `${leaving('setsid')}; exec sleep 1000`;
    const { pids } = await cancelled(`command: ${yaml(['sh', '-c', script])}`);
    expect(pids[0]).toBeGreaterThan(1);
    expect(isAlive(pids[0]!)).toBe(false);
  });

  it('ends no process of another command', async () => {
    const over = new AbortController();
    let other: Promise<unknown> = Promise.resolve();
    const begun = new Promise<number>((resolve) => {
      const context = contextOf({
        signal: over.signal,
        onEmit: (pid) => resolve(Number(pid)),
      });
      const script = `${leaving('setsid')}; exec sleep 1000`;
      other = failureOf(run(`command: ${yaml(['sh', '-c', script])}\noutput: lines`, context));
    });
    const pid = await begun;
    await run('command: ["true"]');
    expect(isAlive(pid)).toBe(true);
    over.abort(new Error('over'));
    await other;
    expect(isAlive(pid)).toBe(false);
  });

  it('in a session of its own and with nothing in its environment, does not keep the reply waiting', async () => {
    const lines = `command: ${yaml(['sh', '-c', leaving('setsid env -i')])}\noutput: text`;
    const pid = Number(String(await run(lines)));
    expect(isAlive(pid)).toBe(true);
    process.kill(pid, 'SIGKILL');
    await untilGone(pid);
  });
});

describe('outputs', () => {
  it.each([
    ['a link', 'ln -s /etc/passwd out.txt', 'is a link'],
    ['behind a link', 'ln -s /etc d', 'is a link, or lies behind one'],
    ['a pipe', 'mkfifo out.txt', 'is no plain file'],
    ['a folder', 'mkdir out.txt', 'is no plain file'],
    ['too large', 'head -c 100000 /dev/zero > out.txt', 'is too large'],
  ])('that are %s are not taken', async (what, script, message) => {
    const file = what === 'behind a link' ? 'd/passwd' : 'out.txt';
    const lines = `command: ${yaml(['sh', '-c', script])}\noutputMax: 64KiB`;
    const failure = await failureOf(run(`${lines}\noutput: {files: ${file}}`));
    expect(failure.code).toBe('failed');
    expect(failure.message).toContain(message);
  });

  it('among many, links are left out', async () => {
    const script = 'ln -s /etc/passwd a.txt; ln -s /etc d; printf x > b.txt';
    const lines = `command: ${yaml(['sh', '-c', script])}\noutput: {files: ["*.txt", "d/*"]}`;
    const [, ...frames] = (await run(lines)) as Buffer[];
    expect(frames.map(String)).toEqual(['x']);
  });

  it('of many files are bounded together', async () => {
    const script = 'for n in 1 2 3; do head -c 30000 /dev/zero > $n.bin; done';
    const lines = `command: ${yaml(['sh', '-c', script])}\noutput: {files: ["*.bin"]}`;
    expect(await failureOf(run(`${lines}\noutputMax: 64KiB`))).toMatchObject({
      code: 'failed',
      message: 'the output is too large: "3.bin" has 30000 octets',
    });
  });
});

describe('memory', () => {
  it('has a limit where the platform keeps one', async () => {
    const failure = await failureOf(run('command: [tail, /dev/zero]\nmemoryLimit: 200MiB'));
    expect(failure.code).toBe('out-of-memory');
    expect(failure.message).toContain('"tail" ended with status 1');
  });
});

describe('arguments', () => {
  it('that are too many together are refused, and say what would fit', async () => {
    const args = Array.from({ length: 80 }, () => '{{body.x}}');
    const body = { x: 'x'.repeat(100_000) };
    expect(await failureOf(run(`command: ${yaml(['true', ...args])}`, { body }))).toMatchObject({
      code: 'bad-input',
    });
  });

  it('of hostile requests reach the command as they are', async () => {
    const lines = `${nodeCommand('console.log(JSON.stringify(process.argv.slice(1)))', '--', 'title={{body.x | text}}')}\noutput: json`;
    for (const x of ['; rm -rf /', '$(reboot)', 'a\nb', '--version', '\'"`', '{{folder}}']) {
      expect(await run(lines, { body: { x } })).toEqual([`title=${x}`]);
    }
  });
});

describe('partial results that cannot be sent', () => {
  it('end the command', async () => {
    const full = (): never => {
      throw new Error('too much waits to be sent');
    };
    const lines = 'command: ["yes"]\noutput: lines';
    const failure = await failureOf(run(lines, contextOf({ onEmit: full })));
    expect(failure.message).toBe('too much waits to be sent');
    const events = `command: ${yaml(['sh', '-c', `echo '{"event":1}' >&2; sleep 1000`])}`;
    expect((await failureOf(run(events, contextOf({ onEmit: full })))).message).toBe(
      'too much waits to be sent',
    );
  });

  it('are left out where the broker has no words for them', async () => {
    const unsupported = (): never => {
      throw Object.assign(new Error('MLM/1 has no partial results'), { code: 'UNSUPPORTED' });
    };
    const context = contextOf({ onEmit: unsupported });
    expect(String(await run('command: [echo, x]\noutput: lines', context))).toBe('x\n');
  });
});

describe('temporary folders', () => {
  let parent: string;
  beforeEach(() => {
    parent = mkdtempSync(join(tmpdir(), 'malamute-test-'));
  });
  afterEach(() => rmSync(parent, { recursive: true, force: true }));

  const name = (host: string, pid: number): string => `mlm-work-${host}-${pid}-abcdef`;

  it('that a crashed worker left are removed by the next one; others are not', async () => {
    const gone = spawnedPid();
    const host = hostname()
      .replaceAll(/[^\w.-]/g, '_')
      .slice(0, 64);
    const [left, alive, elsewhere, other] = [
      name(host, await gone),
      name(host, process.ppid),
      name('elsewhere', await gone),
      'something-else',
    ].map((folder) => join(parent, folder)) as [string, string, string, string];
    for (const folder of [left, alive, elsewhere, other])
      mkdirSync(join(folder, 'job-1'), { recursive: true });
    writeFileSync(join(left, 'job-1', 'file'), '');
    const link = join(parent, name(host, (await gone) + 1));
    symlinkSync(other, link);
    const folders = new JobFolders(parent);
    expect([left, alive, elsewhere, other, link].map((path) => existsSync(path))).toEqual([
      false,
      true,
      true,
      true,
      true,
    ]);
    await folders.close();
    expect(existsSync(folders.root)).toBe(false);
  });

  it('of two in one process do not disturb each other', async () => {
    const first = new JobFolders(parent);
    const second = new JobFolders(parent);
    expect(existsSync(first.root)).toBe(true);
    await Promise.all([first.close(), second.close()]);
  });

  it('are private, and removed though the command has closed them', async () => {
    const folders = new JobFolders(parent);
    const folder = await folders.make();
    mkdirSync(join(folder.files, 'closed', 'inside'), { recursive: true, mode: 0o500 });
    expect(await folder.remove()).toBeUndefined();
    expect(existsSync(folder.files)).toBe(false);
    await folders.close();
  });
});

/** The pid of a process that is no more. */
async function spawnedPid(): Promise<number> {
  const child = spawn('true');
  await new Promise((resolve) => child.once('close', resolve));
  return child.pid ?? 0;
}
