// Whether a session is native: the client asks for it in a map behind the last
// field of OPEN, where a broker of MLM/1 does not look, and a broker that can
// answers with one behind the last field of OK. No such map means MLM/1.
import { decode as unpack, encode as pack } from '@msgpack/msgpack';
import { NATIVE_VERSION } from '../protocol/index.js';
import { asBuffer } from './value.js';

/** What to append to OPEN. */
export const NATIVE_OFFER = asBuffer(pack({ native: NATIVE_VERSION }));

/** What a broker says of the native session that it agrees to. */
export interface Agreement {
  /** The largest message that it takes, octets. */
  readonly messageBytesMax: number;
}

/** What the octets behind an OK agree to; undefined where that is no native session of our version. */
export function agreedTo(properties: Buffer | undefined): Agreement | undefined {
  if (properties === undefined || properties.length === 0) return undefined;
  let said: unknown;
  try {
    said = unpack(properties);
  } catch {
    // Octets that are no map belong to somebody else's extension.
    return undefined;
  }
  if (typeof said !== 'object' || said === null) return undefined;
  const { native, messageBytesMax } = said as Record<string, unknown>;
  if (native !== NATIVE_VERSION) return undefined;
  const known = typeof messageBytesMax === 'number' && messageBytesMax > 0;
  return { messageBytesMax: known ? messageBytesMax : Infinity };
}
