// What a request asks for, as a hash: two requests to a service with the same
// hash want the same. Who sent them, how urgent they are and which worker they
// would like best makes no difference; what they need of a worker does.
import { createHash } from 'node:crypto';
import { Encoder } from '@msgpack/msgpack';
import type { Message } from './message.js';

/** Octets of a body that are hashed, at most: it is done in one go, and keeps everybody waiting. */
const INPUT_BYTES_MAX = 64 * 1024 * 1024;

const encoder = new Encoder();

/** @returns the hash; undefined for a request that is too large to be compared */
export function inputOf({ subject, wants, content, bytes }: Message): string | undefined {
  if (bytes > INPUT_BYTES_MAX) return undefined;
  const hash = createHash('sha256');
  // The lengths tell where each frame ends.
  hash.update(encoder.encode([subject, needsIn(wants), content.map(({ length }) => length)]));
  for (const frame of content) hash.update(frame);
  return hash.digest('base64url');
}

/** What is needed, by label; in the order of the labels, which says nothing. */
function needsIn(wants: unknown): [label: string, value: unknown][] {
  const { needs = {} } = (wants ?? {}) as { readonly needs?: Readonly<Record<string, unknown>> };
  return Object.entries(needs).toSorted(([a], [b]) => (a < b ? -1 : 1));
}
