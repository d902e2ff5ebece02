// The body to send: from the argument or a stream, whole or not at all.
import { PassThrough, Readable } from 'node:stream';
import { readAll, readBody } from '../../../client/commands/shared/body-input.js';

const never = new AbortController().signal;
const input = (...chunks: Uint8Array[]): Readable => Readable.from(chunks);

it('an argument is a text', async () => {
  await expect(readBody({ body: 'é 1' }, never)).resolves.toEqual(Buffer.from('é 1'));
  await expect(readBody({ body: '' }, never)).resolves.toEqual(Buffer.alloc(0));
});

it('a dash is the input, byte for byte', async () => {
  const chunks = [Uint8Array.of(0, 255), Uint8Array.of(13, 10)];
  await expect(readBody({ body: '-' }, never, input(...chunks))).resolves.toEqual(
    Buffer.from([0, 255, 13, 10]),
  );
});

describe('JSON', () => {
  it('is a value', async () => {
    await expect(readBody({ body: '{"a": [1]}', json: true }, never)).resolves.toEqual({ a: [1] });
    const text = Buffer.from('null\n');
    await expect(readBody({ body: '-', json: true }, never, input(text))).resolves.toBeNull();
  });

  it('is refused where it is none', async () => {
    await expect(readBody({ body: '{a', json: true }, never)).rejects.toMatchObject({
      name: 'CommandError',
      status: 2,
      message: expect.stringContaining('the body is not JSON') as string,
    });
  });
});

describe('an input', () => {
  it('that fails says why', async () => {
    const broken = new PassThrough();
    broken.destroy(new Error('EISDIR: illegal operation on a directory'));
    await expect(readAll(broken, never)).rejects.toThrow('cannot read standard input: EISDIR');
  });

  it('that is too long is refused before it fills the memory', async () => {
    const chunk = Buffer.alloc(16 * 1024 * 1024);
    const endless = Readable.from(
      (function* () {
        for (;;) yield chunk;
      })(),
    );
    await expect(readAll(endless, never)).rejects.toThrow('longer than 256 MiB');
  });

  it('that never ends is given up at the signal', async () => {
    const stop = new AbortController();
    const reading = readAll(new PassThrough(), stop.signal);
    stop.abort();
    await expect(reading).rejects.toMatchObject({ code: 'ABORTED' });
  });
});
