import { encodeBody } from '../../../client/index.js';
import { Message } from '../../../client/message.js';
import { Body, JobError } from '../../../workers/index.js';

function bodyOf(value: unknown): Body {
  return new Body(new Message('subject', 'sender', encodeBody(value)));
}

it('a body of one frame is its bytes, not copied', () => {
  const picture = Buffer.from([0x89, 0x50, 0x4e, 0x47]);
  const body = bodyOf(picture);
  expect(body.bytes()).toBe(picture);
  expect(body.content).toEqual([picture]);
});

it.each([
  [undefined, 'the body is not one frame but 0'],
  [[Buffer.from('a'), Buffer.from('b')], 'the body is not one frame but 2'],
])('a body of other than one frame has no bytes', (value, message) => {
  const bytes = (): Buffer => bodyOf(value).bytes();
  expect(bytes).toThrow(expect.objectContaining({ code: 'INVALID_BODY' }) as Error);
  expect(bytes).toThrow(message);
});

it('a body is read as what it is asked for', () => {
  expect(bodyOf(Buffer.from('grüße')).text()).toBe('grüße');
  expect(bodyOf({ words: ['a', 1] }).value()).toEqual({ words: ['a', 1] });
  expect(() => bodyOf(Buffer.from([0xff])).text()).toThrow('not UTF-8');
});

it('a job error has a code, a message and a cause', () => {
  const cause = new Error('deeper');
  const error = new JobError('bad-input', 'no', { cause });
  expect(error).toMatchObject({ name: 'JobError', code: 'bad-input', message: 'no', cause });
});
