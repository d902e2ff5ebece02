// A worker process that makes pictures small, as an example to copy: put your
// own work in the place of `thumbnail`. It offers the service `resize`; a
// request's subject is the longest side wanted and the picture's name
// (`240/lake.jpg`), its body the picture file. The reply is the small picture,
// and the stream `results` tells everyone what became of it.
//
//   npm install malamute-ts sharp
//   MLM_ENDPOINT=tcp://127.0.0.1:9999 node resize-worker.js
import { defineWorker, JobError, runWorkers } from 'malamute-ts/workers';
import sharp from 'sharp';

const SUBJECT = /^([1-9][0-9]{0,3})\/(.+)$/;
const FORMATS = new Set(['jpeg', 'png', 'webp']);

const resize = defineWorker({
  service: 'resize',
  pattern: '^[1-9][0-9]*/.',
  async handle(job) {
    const [, side, picture] = SUBJECT.exec(job.subject) ?? [];
    const results = job.client.stream('results');
    try {
      if (side === undefined) throw new JobError('bad-input', 'the longest side is 9999 at most');
      const { data, info } = await thumbnail(job.body.bytes(), Number(side));
      const { width, height, size: bytes } = info;
      await results.send('resize.done', { picture, width, height, bytes });
      return data;
    } catch (error) {
      await results.send('resize.failed', { picture, reason: (error as Error).message });
      throw error;
    }
  },
});

/**
 * Makes a picture fit into a square, upright, in its own format, never larger than it was.
 *
 * @param sidePx the square's side
 * @throws {JobError} bad-input where the bytes are not a picture
 */
async function thumbnail(picture: Buffer, sidePx: number) {
  try {
    const image = sharp(picture, { limitInputPixels: 100_000_000 });
    const { format, isPalette } = await image.metadata();
    if (!FORMATS.has(format)) throw new Error(`${format} is not a format for thumbnails`);
    if (isPalette) image.png({ palette: true, quality: 80 });
    return await image
      .autoOrient()
      .resize({ width: sidePx, height: sidePx, fit: 'inside', withoutEnlargement: true })
      .toBuffer({ resolveWithObject: true });
  } catch (cause) {
    throw new JobError('bad-input', `not a picture to resize: ${(cause as Error).message}`, {
      cause,
    });
  }
}

await runWorkers([resize]);
