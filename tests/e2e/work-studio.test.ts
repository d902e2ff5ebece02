// The studio of the examples over a real broker: ordinary programs, wrapped by
// workers.yaml alone, do real work on real input. A test whose program is not
// installed says so and is skipped; .ci/run installs them all.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { decode } from '@msgpack/msgpack';
import { startBroker, type Broker } from '../../broker/index.js';
import { connect, type MlmClient, type MlmError } from '../../client/index.js';
import { configOf } from '../unit/workers/commands-support.js';
import { startChild, type Child } from '../support/processes.js';
import { studioTests } from '../support/studio.js';
import { MLM } from './commands-support.js';

const CONFIG = 'workers/examples/studio/workers.yaml';
const SERVICES = configOf(readFileSync(CONFIG, 'utf8')).services.length;
const REQUEST_MS = 100_000;

const studio = studioTests();

let folder: string;
let broker: Broker | undefined;
let worker: Child | undefined;
let client: MlmClient | undefined;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'malamute-test-'));
  if (studio !== it) return;
  broker = await startBroker({ bind: ['tcp://127.0.0.1:*'], 'drain-timeout': 100 });
  const [endpoint = ''] = broker.endpoints;
  client = await connect(endpoint);
  worker = await startChild(process.execPath, [MLM, 'work', '--config', CONFIG], {
    env: { MLM_ENDPOINT: endpoint, TMPDIR: folder },
  });
  await worker.stderrMatch(new RegExp(`(?:"message":"offering"[^]*){${SERVICES}}`));
});

afterAll(async () => {
  await client?.close();
  const exit = await worker?.stop();
  await broker?.stop();
  rmSync(folder, { recursive: true, force: true });
  if (exit !== undefined) expect(exit).toEqual({ code: 0, signal: null });
});

async function ask(service: string, body: unknown): Promise<Buffer[]> {
  const reply = await client!.request(service, 'make', body, { timeoutMs: REQUEST_MS });
  return reply.content;
}

/** Width and height of a PNG. */
function sizeOf(png: Buffer): number[] {
  expect(png.toString('latin1', 1, 4)).toBe('PNG');
  return [png.readUInt32BE(16), png.readUInt32BE(20)];
}

studio('a title becomes a card, and what the card says is read again', async () => {
  const title = 'The old harbour at 100% tide';
  const [card = Buffer.alloc(0)] = await ask('card', { title, width: 900, height: 300 });
  expect(sizeOf(card)).toEqual([900, 300]);
  const [named = Buffer.alloc(0)] = await ask('ocr', { picture: card });
  expect(named.toString().replaceAll(/\s+/g, ' ').trim()).toBe(title);
  // A picture may also be the whole body.
  const [whole = Buffer.alloc(0)] = await ask('ocr', card);
  expect(whole).toEqual(named);
});

studio('a title that would be a file is a title', async () => {
  const [card = Buffer.alloc(0)] = await ask('card', {
    title: '@/etc/passwd',
    width: 900,
    height: 300,
  });
  const [text = Buffer.alloc(0)] = await ask('ocr', card);
  expect(text.toString().trim()).toBe('@/etc/passwd');
});

studio('a picture becomes smaller', async () => {
  const picture = readFileSync('workers/examples/pictures/lake.jpg');
  const [small = Buffer.alloc(0)] = await ask('resize', { picture, width: 64, height: 64 });
  expect(Math.max(...sizeOf(small))).toBe(64);
  // No date is in it: what is made of the same picture again is the same.
  const [again] = await ask('resize', { picture, width: 64, height: 64 });
  expect(again).toEqual(small);
  const wrong = ask('resize', { picture, width: '64; rm' });
  await expect(wrong).rejects.toMatchObject({ workerCode: 'bad-input' });
});

studio('a text is spoken', async () => {
  const [slow = Buffer.alloc(0)] = await ask('speech', { text: 'Hello there', wordsPerMinute: 80 });
  const [fast = Buffer.alloc(0)] = await ask('speech', Buffer.from('Hello there'));
  for (const wav of [slow, fast]) {
    expect(wav.toString('latin1', 0, 4)).toBe('RIFF');
    // The size in the header is that of the file: it was written as a whole.
    expect(wav.readUInt32LE(4) + 8).toBe(wav.length);
  }
  expect(slow.length).toBeGreaterThan(fast.length);
});

studio('a video becomes a clip for each scene', async () => {
  const video = join(folder, 'video.mp4');
  const scenes = ['color=red:', 'testsrc=', 'color=blue:'].flatMap((scene) => {
    return ['-f', 'lavfi', '-i', `${scene}s=160x120:d=1:r=10`];
  });
  ffmpeg([...scenes, '-filter_complex', '[0][1][2]concat=n=3:v=1[v]', '-map', '[v]', video]);
  const [names, ...clips] = await ask('scenes', { video: readFileSync(video) });
  expect(decode(names!)).toEqual(['scene-000.mp4', 'scene-001.mp4', 'scene-002.mp4']);
  expect(clips).toHaveLength(3);
  for (const clip of clips) expect(clip.toString('latin1', 4, 8)).toBe('ftyp');
});

studio('a video without cuts is one scene', async () => {
  const video = join(folder, 'one.mp4');
  ffmpeg(['-f', 'lavfi', '-i', 'color=red:s=64x64:d=1:r=10', video]);
  const [names] = await ask('scenes', readFileSync(video));
  expect(decode(names!)).toEqual(['scene-000.mp4']);
});

studio(
  'what is no picture and no video is refused, and names no file that would be read',
  async () => {
    const picture = resolve('workers/examples/studio/poster.jpg');
    const video = resolve('workers/examples/studio/film.mp4');
    const svg = `<svg xmlns="http://www.w3.org/2000/svg" xmlns:l="http://www.w3.org/1999/xlink"
    width="90" height="50"><image l:href="${picture}" width="90" height="50"/></svg>`;
    const broken = readFileSync(picture).subarray(0, 2000);
    const none: [service: string, body: Buffer][] = [
      ['ocr', Buffer.from(`${picture}\n`)],
      ['ocr', broken],
      ['resize', Buffer.from(`<?xml version="1.0"?>${svg}`)],
      ['resize', Buffer.from(`RIFF1234AVI ${svg}`)],
      ['scenes', Buffer.from(`ffconcat version 1.0\nfile ${video}\n`)],
      ['scenes', Buffer.from(`#EXTM3U\n#EXTINF:10,\nfile://${video}\n#EXT-X-ENDLIST\n`)],
    ];
    const said = none.map(([service, body]) =>
      ask(service, body).then(
        () => 'it was done',
        (error: unknown) => (error as MlmError).workerCode,
      ),
    );
    expect(await Promise.all(said)).toEqual(none.map(() => 'bad-input'));
  },
);

function ffmpeg(args: readonly string[]): void {
  execFileSync('ffmpeg', ['-nostdin', '-loglevel', 'error', '-y', ...args]);
}
