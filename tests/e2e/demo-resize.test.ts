// The small demonstration as its user sees it, from the built files: it does the whole
// job, and whatever ends it, it leaves no process and no temporary file behind.
import { randomBytes } from 'node:crypto';
import { copyFileSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import sharp from 'sharp';
import {
  announced,
  DEMO_MS,
  expectNothingLeft,
  marked,
  TEST_MS,
  useDemonstration,
  type Run,
} from './demo-support.js';
import { hasProc } from '../support/pids.js';

const PICTURES = resolve('workers/examples/pictures');
const NAMES = readdirSync(PICTURES);
const SIDE = 240;
const PARTS = ['broker', 'worker-1', 'worker-2', 'mlm-tail', 'requester'];

const demonstration = useDemonstration('demo-resize.js');
const { start } = demonstration;

/** A folder with so many pictures that the demonstration does not end by itself before the test. */
const manyPictures = join(tmpdir(), `malamute-many-${randomBytes(6).toString('hex')}`);

beforeAll(() => {
  mkdirSync(manyPictures);
  for (let copy = 0; copy < 250; copy++) {
    for (const name of NAMES)
      copyFileSync(join(PICTURES, name), join(manyPictures, `${copy}-${name}`));
  }
});

afterAll(() => rmSync(manyPictures, { recursive: true, force: true }));

/** Waits until results are being printed: everything runs. */
async function untilBusy({ demo }: Run): Promise<void> {
  await demo.line(/^mlm-tail +\| .*resize\.done/, DEMO_MS);
}

it(
  'resizes the pictures, shows the results, sums up and leaves nothing running',
  async () => {
    const run = await start();
    const { demo, folder } = run;
    expect(await demo.waitForExit(DEMO_MS)).toEqual({ code: 0, signal: null });
    expect(demo.stderr).toBe('');
    expect([...announced(demo).keys()]).toEqual(PARTS);
    expectNothingLeft(run);

    const shown = [
      ...demo.stdout.matchAll(/^mlm-tail +\| .*worker-([12]) {2}resize\.done {2}\{(.*)\}$/gm),
    ];
    expect(shown).toHaveLength(NAMES.length);
    const [, one = '', two = ''] =
      /^worker-1 did (\d+), worker-2 did (\d+)\./m.exec(demo.stdout) ?? [];
    const doneBy = (worker: string): number => shown.filter(([, by]) => by === worker).length;
    expect([Number(one), Number(two)]).toEqual([doneBy('1'), doneBy('2')]);
    expect(Math.min(doneBy('1'), doneBy('2'))).toBeGreaterThan(0);

    const [output = '', ...others] = readdirSync(join(folder, 'demo-output'));
    expect(others).toEqual([]);
    expect(readdirSync(join(folder, 'demo-output', output))).toEqual(NAMES);
    for (const name of NAMES) {
      expect(demo.stdout).toContain(join('demo-output', output, name));
      await expectThumbnail(name, join(folder, 'demo-output', output, name));
    }
  },
  TEST_MS,
);

async function expectThumbnail(name: string, made: string): Promise<void> {
  const before = await sharp(join(PICTURES, name)).metadata();
  const after = await sharp(made).metadata();
  const { width, height } = before.autoOrient;
  const scale = Math.min(1, SIDE / Math.max(width, height));
  expect([name, after.format, after.width, after.height]).toEqual([
    name,
    before.format,
    Math.round(width * scale),
    Math.round(height * scale),
  ]);
  expect([name, after.hasAlpha]).toEqual([name, before.hasAlpha]);
  expect(await difference(join(PICTURES, name), made)).toBeLessThan(20);
}

/** How far two pictures are apart when both are made tiny: the mean of all channels, 0 to 255. */
async function difference(one: string, other: string): Promise<number> {
  const tiny = (file: string): Promise<Buffer> =>
    sharp(file)
      .autoOrient()
      .flatten({ background: '#808080' })
      .toColourspace('srgb')
      .resize(8, 8, { fit: 'fill' })
      .raw()
      .toBuffer();
  const [a, b] = await Promise.all([tiny(one), tiny(other)]);
  expect(a).toHaveLength(b.length);
  return a.reduce((sum, value, at) => sum + Math.abs(value - b[at]!), 0) / a.length;
}

// Ctrl-C is tried with the other demonstration, which begins and ends in the same way.
it.each(['SIGTERM', 'SIGHUP'] as const)(
  '%s in the middle ends all of it',
  async (signal) => {
    const run = await start(['out', manyPictures]);
    await untilBusy(run);
    if (hasProc()) expect(marked(run.marker).length).toBe(1 + PARTS.length);
    run.demo.signal(signal);
    expect(await run.demo.waitForExit(DEMO_MS)).toEqual({ code: 1, signal: null });
    expect(run.demo.stderr).toBe(`demo: interrupted by ${signal}\n`);
    expect([...announced(run.demo).keys()]).toEqual(PARTS);
    expectNothingLeft(run);
  },
  TEST_MS,
);

it.each(['broker', 'worker-1', 'requester'])(
  'when %s is killed, all of it ends, with the reason',
  async (part) => {
    const run = await start(['out', manyPictures]);
    await untilBusy(run);
    process.kill(announced(run.demo).get(part)!, 'SIGKILL');
    expect(await run.demo.waitForExit(DEMO_MS)).toEqual({ code: 1, signal: null });
    expect(run.demo.stderr).toContain(`demo: ${part} has ended by SIGKILL\n`);
    expectNothingLeft(run);
  },
  TEST_MS,
);

it(
  'a picture that is none fails it, and is named',
  async () => {
    const pictures = demonstration.folder();
    copyFileSync(join(PICTURES, 'icon.png'), join(pictures, 'good.png'));
    writeFileSync(join(pictures, 'bad.png'), 'this is text');
    const run = await start(['out', pictures]);
    expect(await run.demo.waitForExit(DEMO_MS)).toEqual({ code: 1, signal: null });
    expect(run.demo.stdout).toMatch(/^requester +\| bad\.png: .* not a picture to resize: /m);
    expect(run.demo.stdout).toMatch(/^requester +\| good\.png: \d+ → \d+ bytes, by worker-/m);
    expect(run.demo.stderr).toBe('demo: requester has ended with status 1\n');
    expectNothingLeft(run);
  },
  TEST_MS,
);

it(
  'a folder without pictures is an error at once',
  async () => {
    const run = await start(['out', demonstration.folder()]);
    expect(await run.demo.waitForExit(DEMO_MS)).toEqual({ code: 1, signal: null });
    expect(run.demo.stderr).toMatch(/^demo: there is no picture in /);
    expect(announced(run.demo).size).toBe(0);
    expectNothingLeft(run);
  },
  TEST_MS,
);

it(
  'a reader of its output who leaves ends all of it',
  async () => {
    const run = await start(['out', manyPictures]);
    await untilBusy(run);
    const parts = announced(run.demo);
    expect([...parts.keys()]).toEqual(PARTS);
    run.demo.closeOutput();
    expect(await run.demo.waitForExit(DEMO_MS)).toEqual({ code: 1, signal: null });
    expect(run.demo.stderr).toBe('demo: nobody reads the output\n');
    expectNothingLeft(run);
  },
  TEST_MS,
);
