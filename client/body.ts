// A body as the user gives it, as the frames that leave. Frames stay frames,
// everything else becomes one MessagePack frame. The other way is never guessed:
// the bytes of a text can be valid MessagePack too ("1" is the number 49), so a
// reader says what it expects (Message.value, Message.text, Message.content).
import { Message } from './message.js';
import { asBuffer, encodeValue } from './value.js';

/**
 * The frames that carry a body.
 *
 * | body | frames |
 * | --- | --- |
 * | `undefined` | none |
 * | `Buffer`, `Uint8Array` | one, untouched |
 * | a list of those, not empty | as they are |
 * | a received message | its frames, as they are |
 * | anything else | one: the value as MessagePack (an empty list, too, is a value) |
 *
 * The bytes are not copied: leave them alone until the send has resolved. (Messages to a
 * stream are, in native sessions.)
 *
 * @throws {MlmError} INVALID_ARGUMENT where MessagePack cannot hold the value
 */
export function encodeBody(body: unknown): Buffer[] {
  if (body instanceof Uint8Array) return [asBuffer(body)];
  if (body === undefined) return [];
  if (isFrames(body)) return body.map(asBuffer);
  if (body instanceof Message) return body.content;
  return [encodeValue(body)];
}

/** True for a list of frames, not empty. */
export function isFrames(body: unknown): body is Uint8Array[] {
  return (
    Array.isArray(body) &&
    body[0] instanceof Uint8Array &&
    body.every((item) => item instanceof Uint8Array)
  );
}
