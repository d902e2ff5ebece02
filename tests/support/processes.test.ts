import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readReadyFile, startChild, useProcesses, type Child } from './processes.js';
import { isAlive } from './pids.js';

const node = process.execPath;
const processes = useProcesses();

/** Prints its pid, then lives until it is ended. */
const LIVE = 'console.log("pid", process.pid); setInterval(() => {}, 1000);';
const STUBBORN = `process.on("SIGTERM", () => console.log("no")); ${LIVE}`;

describe('a child is ready', () => {
  it('when the line has come', async () => {
    const child = await processes.start(node, ['-e', LIVE], { readyLine: /^pid \d+$/ });
    expect(child.stdout).toBe(`pid ${child.pid}\n`);
  });

  it('when the file holds JSON, whole', async () => {
    const readyFile = join(processes.folder(), 'ready.json');
    writeFileSync(readyFile, '{"pid": ');
    const write = `require("fs").writeFileSync(${JSON.stringify(readyFile)}, '{"pid": 7}');`;
    await processes.start(node, ['-e', write + LIVE], { readyFile });
    expect(readReadyFile(readyFile)).toEqual({ pid: 7 });
  });

  it('or the failure shows what it printed', async () => {
    const dies = 'console.log("before"); console.error("a reason"); process.exit(3)';
    const started = processes.start(node, ['-e', dies], { readyLine: /never/ });
    await expect(started).rejects.toThrow(/status 3[^]*before[^]*a reason/);
  });

  it('or is killed where it takes too long', async () => {
    const born: Child[] = [];
    const options = { readyLine: /never/, readyTimeoutMs: 500 };
    const started = startChild(node, ['-e', LIVE], options, (child) => born.push(child));
    await expect(started).rejects.toThrow('no ready line never within 500 ms');
    expect(born.map(({ pid }) => isAlive(pid))).toEqual([false]);
  });

  it('or the command does not exist', async () => {
    await expect(processes.start('/no/such/command', [])).rejects.toThrow('ENOENT');
  });
});

it('what ZeroMQ says at the end of a process is not its output', async () => {
  const said =
    "(node:7) WARNING: Waiting for queued ZeroMQ messages to be delivered. Set 'context.blocky = false' to change this behaviour.";
  const script = `console.error("a\\n" + ${JSON.stringify(said)}); console.error("b")`;
  const child = await processes.start(node, ['-e', script]);
  await child.waitForExit();
  expect(child.stderr).toBe('a\nb\n');
});

it('lines are taken in order, each once', async () => {
  const child = await processes.start(node, ['-e', 'console.log("a\\nb1\\nc\\nb2\\nd")']);
  expect(await child.line(/^b/)).toBe('b1');
  expect(await child.line(/^b/)).toBe('b2');
  expect(await child.line()).toBe('d');
  await expect(child.line()).rejects.toThrow('ended without a line');
});

it('input reaches the child, and its end ends it', async () => {
  const child = await processes.start('cat', []);
  child.write('hello\n');
  expect(await child.line()).toBe('hello');
  child.endInput();
  expect(await child.waitForExit()).toEqual({ code: 0, signal: null });
});

it('stop asks first and kills where that does not help', async () => {
  const child = await processes.start(node, ['-e', STUBBORN], { readyLine: /pid/ });
  expect(await child.stop('SIGTERM', 200)).toEqual({ code: null, signal: 'SIGKILL' });
  expect(isAlive(child.pid)).toBe(false);
});

describe('after its test', () => {
  let pid = 0;
  let folder = '';

  it('a child that still runs …', async () => {
    folder = processes.folder();
    ({ pid } = await processes.start(node, ['-e', LIVE], { readyLine: /pid/ }));
    expect(isAlive(pid)).toBe(true);
  });

  it('… has ended, and its folder is gone', () => {
    expect(isAlive(pid)).toBe(false);
    expect(existsSync(folder)).toBe(false);
  });
});
