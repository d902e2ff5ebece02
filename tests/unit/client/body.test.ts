import { encode } from '@msgpack/msgpack';
import { encodeBody } from '../../../client/body.js';
import { MlmError } from '../../../client/errors.js';
import { Reply, StreamMessage } from '../../../client/message.js';
import { encodeThrown, encodeWorkerError, readWorkerError } from '../../../client/worker-error.js';

const reply = (...content: Buffer[]): Reply => new Reply('subject', 'sender', content);

function codeOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    if (error instanceof MlmError) return error.code;
    throw error;
  }
  return 'nothing was thrown';
}

describe('encodeBody', () => {
  it('leaves frames as they are: the very same buffers', () => {
    const [a, b] = [Buffer.from('a'), Buffer.from([0, 255])];
    expect(encodeBody(a)[0]).toBe(a);
    const frames = encodeBody([a, b]);
    expect(frames[0]).toBe(a);
    expect(frames[1]).toBe(b);
  });

  it('takes a Uint8Array as one frame, without copying it', () => {
    const bytes = new Uint8Array([1, 2, 3, 4]).subarray(1, 3);
    const [frame] = encodeBody(bytes);
    expect(frame).toEqual(Buffer.from([2, 3]));
    expect(frame?.buffer).toBe(bytes.buffer);
  });

  it('sends no frame for undefined', () => {
    expect(encodeBody(undefined)).toEqual([]);
  });

  it.each([null, true, 0, -1.5, 2 ** 40, '', 'text', [], [1, 'two'], { a: { b: [null] } }])(
    'sends %j as one value, which is read back as it was',
    (value) => {
      const frames = encodeBody(value);
      expect(frames).toHaveLength(1);
      expect(reply(...frames).value()).toEqual(value);
    },
  );

  it('takes a list that holds anything beside frames as a value', () => {
    const frames = encodeBody([Buffer.from('a'), 1]);
    expect(frames).toHaveLength(1);
    expect(reply(...frames).value()).toEqual([new Uint8Array([0x61]), 1]);
  });

  it('hands a received message on with its frames, none included', () => {
    const content = [Buffer.from('10'), Buffer.alloc(0)];
    expect(encodeBody(new StreamMessage('s', 'w', 'x', content))).toBe(content);
    expect(encodeBody(reply())).toEqual([]);
  });

  it.each([[() => 1], [Symbol('s')], [10n]])('refuses what MessagePack cannot hold', (value) => {
    expect(codeOf(() => encodeBody(value))).toBe('INVALID_ARGUMENT');
  });
});

describe('a received body', () => {
  it('is undefined, or an empty text, where there is no frame', () => {
    expect(reply().value()).toBeUndefined();
    expect(reply().text()).toBe('');
  });

  it('is a value only as a whole: the text "10" is not the number 49 and a rest', () => {
    expect(codeOf(() => reply(Buffer.from('10')).value())).toBe('INVALID_BODY');
    expect(reply(Buffer.from('10')).text()).toBe('10');
  });

  it.each([
    ['nothing', Buffer.alloc(0)],
    ['a value that is cut', Buffer.from(encode('a long enough text')).subarray(0, 5)],
    ['an octet that begins no value', Buffer.from([0xc1])],
    ['a list that claims four thousand million entries', Buffer.from([0xdd, 255, 255, 255, 255])],
    ['a map that claims thirty million entries', Buffer.from([0xdf, 1, 0xc9, 0xc3, 0x80])],
  ])('is no value where the frame holds %s', (_, frame) => {
    expect(codeOf(() => reply(frame).value())).toBe('INVALID_BODY');
  });

  it('is neither value nor text where it has several frames', () => {
    const several = reply(Buffer.from('a'), Buffer.from('b'));
    expect(codeOf(() => several.value())).toBe('INVALID_BODY');
    expect(codeOf(() => several.text())).toBe('INVALID_BODY');
    expect(several.content).toEqual([Buffer.from('a'), Buffer.from('b')]);
  });

  it('is no text where it is not UTF-8', () => {
    expect(codeOf(() => reply(Buffer.from([0xff, 0x00])).text())).toBe('INVALID_BODY');
  });

  it('can be a large list', () => {
    const list = Array.from({ length: 100_000 }, (_, index) => index);
    expect(reply(...encodeBody(list)).value()).toEqual(list);
  });
});

describe('an error reply', () => {
  it('carries the code and the message of what was thrown, and no stack', () => {
    const error = readWorkerError('w', encodeThrown(new RangeError('too big')));
    expect(error).toMatchObject({ code: 'WORKER_ERROR', workerCode: 'RangeError' });
    expect(error?.message).toContain('too big');
    const frame = encodeThrown(new RangeError('too big'))[0] as Buffer;
    expect(frame.toString('latin1')).not.toContain('body.test');
  });

  it("prefers an error's own code, and takes what is no error as text", () => {
    const own = Object.assign(new Error('gone'), { code: 'ENOENT' });
    expect(readWorkerError('w', encodeThrown(own))?.workerCode).toBe('ENOENT');
    expect(readWorkerError('w', encodeThrown('just text'))?.message).toContain('just text');
  });

  it('reads the documented form, written by anybody', () => {
    const frame = Buffer.from(encode({ $error: { code: 'E1', message: 'why' } }));
    expect(readWorkerError('w', [frame])).toMatchObject({ workerCode: 'E1' });
  });

  it.each([
    ['other values', encodeBody({ error: 'x' })],
    ['a map with more keys', encodeBody({ $error: { code: 'a', message: 'b' }, more: 1 })],
    ['another form inside', encodeBody({ $error: 'x' })],
    ['codes that are no strings', encodeBody({ $error: { code: 1, message: 'b' } })],
    ['several frames', [...encodeWorkerError('a', 'b'), Buffer.from('x')]],
    ['no frame', []],
    ['a cut frame', [(encodeWorkerError('a', 'b')[0] as Buffer).subarray(0, 12)]],
  ])('is not seen in %s', (_, content) => {
    expect(readWorkerError('w', content)).toBeUndefined();
  });
});
