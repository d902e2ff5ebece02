// The demonstration as its user sees it, from the built files: it does the whole
// job though a worker is killed, and whatever ends it, it leaves no process and no
// temporary file behind.
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathWith, studioTests } from '../support/studio.js';
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

const studio = studioTests();
const demonstration = useDemonstration('demo.js');
const PARTS = ['broker', 'worker-1', 'worker-2', 'worker-3', 'mlm-tail', 'mlm-run'];
const TEXT = 'The lake at dawn\nThree scenes, cut by one machine\nand spoken by another.';

/** The first and the further files of an output. */
function numbered(start: string, end: string, count: number): string[] {
  const names = Array.from({ length: count }, (_, at) => `${start}-${at + 1}${end}`);
  return names.with(0, `${start}${end}`);
}

const CARDS = numbered('card', '.png', 3);
const PREVIEWS = numbered('preview', '.png', 3);
const SPEECH = numbered('speech', '.wav', 3);
const SCENES = ['scene-000.mp4', 'scene-001.mp4', 'scene-002.mp4'];

/** Width and height of a PNG. */
function sizeOf(png: Buffer): number[] {
  expect(png.toString('latin1', 1, 4)).toBe('PNG');
  return [png.readUInt32BE(16), png.readUInt32BE(20)];
}

/** A PATH on which nobody who makes the second card comes to an end before there is a file. */
function pathWithHeldCard(file: string): string {
  const hold = `while [ ! -e ${file} ]; do sleep 0.05; done`;
  const words = `case "$*" in *'${TEXT.split('\n')[1]}'*) ${hold} ;; esac`;
  return pathWith(demonstration.folder(), words);
}

/** Waits until jobs are done: everything runs. */
async function untilBusy({ demo }: Run): Promise<void> {
  await demo.line(/^mlm-tail +\| .* started /, DEMO_MS);
}

studio(
  'makes what it was told to, though a worker is killed, and leaves nothing running',
  async () => {
    // However late the killer is, the job is in its middle.
    const fallen = join(demonstration.folder(), 'fallen');
    const run = await demonstration.start([], { PATH: pathWithHeldCard(fallen) });
    const { demo, folder } = run;
    await demo.line(/^demo +\| worker-\d is killed/, DEMO_MS);
    writeFileSync(fallen, '');
    expect([await demo.waitForExit(DEMO_MS), demo.stderr]).toEqual([{ code: 0, signal: null }, '']);
    expect([...announced(demo).keys()]).toEqual(PARTS);
    expectNothingLeft(run);

    const { stdout } = demo;
    const [, killed = ''] = /^demo +\| (worker-\d) is killed/m.exec(stdout) ?? [];
    expect(stdout).toMatch(new RegExp(`card 2 +retrying +${killed}: the session of the worker`));
    expect(stdout).toMatch(/card 2 +succeeded +worker-\d, attempt \d: \d+ bytes$/m);
    expect(stdout).toMatch(
      new RegExp(`^${killed} did .*, and was killed; others then did .*card 2`, 'm'),
    );
    expect(stdout).toContain('All 11 jobs are done. What was made:\n');

    const [output = '', ...others] = readdirSync(join(folder, 'demo-output'));
    expect(others).toEqual([]);
    const path = (name: string): string => join('demo-output', output, name);
    const read = (name: string): Buffer => readFileSync(join(folder, path(name)));
    const names = [...CARDS, ...PREVIEWS, ...SPEECH, ...SCENES, 'text.txt'];
    expect(readdirSync(join(folder, 'demo-output', output)).sort()).toEqual(names.sort());
    for (const name of names) {
      const { size } = statSync(join(folder, path(name)));
      expect(stdout).toContain(`  ${path(name)} (${size} bytes)\n`);
    }
    expect(read('text.txt').toString()).toBe(TEXT);
    for (const name of CARDS) expect([name, sizeOf(read(name))]).toEqual([name, [640, 360]]);
    for (const name of PREVIEWS) expect([name, sizeOf(read(name))]).toEqual([name, [160, 90]]);
    for (const name of SPEECH) expect(read(name).toString('latin1', 0, 4)).toBe('RIFF');
    for (const name of SCENES) expect(read(name).toString('latin1', 4, 8)).toBe('ftyp');
  },
  TEST_MS,
);

studio(
  'Ctrl-C in the middle ends all of it',
  async () => {
    const run = await demonstration.start(['out']);
    const { demo, marker } = run;
    await untilBusy(run);
    if (hasProc()) expect(marked(marker).length).toBeGreaterThan(PARTS.length - 1);
    // A terminal sends it to all of them at once.
    process.kill(hasProc() ? -demo.pid : demo.pid, 'SIGINT');
    expect(await demo.waitForExit(DEMO_MS)).toEqual({ code: 1, signal: null });
    expect(demo.stderr).toBe('demo: interrupted by SIGINT\n');
    expectNothingLeft(run);
  },
  TEST_MS,
);

studio(
  'a picture that is none fails it, and the reason is shown',
  async () => {
    const workers = 'workers/examples/studio/workers.yaml';
    const film = join(process.cwd(), 'workers/examples/studio/film.mp4');
    const run = await demonstration.start(['out', join(process.cwd(), workers), film]);
    expect(await run.demo.waitForExit(DEMO_MS)).toEqual({ code: 1, signal: null });
    expect(run.demo.stdout).toMatch(
      /^mlm-run +\| mlm: the run studio-\w+ failed: step "read": bad-input: /m,
    );
    expect(run.demo.stderr).toBe('demo: mlm-run has ended with status 1\n');
    expectNothingLeft(run);
  },
  TEST_MS,
);

it(
  'says in one line what to install where programs are missing, and starts nothing',
  async () => {
    const run = await demonstration.start([], { PATH: demonstration.folder() });
    expect(await run.demo.waitForExit(DEMO_MS)).toEqual({ code: 1, signal: null });
    expect(run.demo.stdout).toBe('');
    expect(run.demo.stderr).toBe(
      'demo: programs are missing here: apt-get install tesseract-ocr imagemagick espeak-ng ffmpeg ' +
        'fonts-dejavu-core; or, for a demonstration without them, "npm run demo:resize"\n',
    );
    expectNothingLeft(run);
  },
  TEST_MS,
);
