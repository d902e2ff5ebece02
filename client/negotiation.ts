// Whether a session is native: the client asks for it in a map behind the last
// field of OPEN, where a broker of MLM/1 does not look, and a broker that can
// answers with one behind the last field of OK. No such map means MLM/1.
import { decode as unpack, encode as pack } from '@msgpack/msgpack';
import { NATIVE_VERSION } from '../protocol/index.js';
import { asBuffer } from './value.js';

/** What to append to OPEN. */
export const NATIVE_OFFER = asBuffer(pack({ native: NATIVE_VERSION }));

/** Whether the octets behind an OK agree to a native session of our version. */
export function agreedTo(properties: Buffer | undefined): boolean {
  if (properties === undefined || properties.length === 0) return false;
  try {
    const map = unpack(properties);
    return (
      typeof map === 'object' && map !== null && 'native' in map && map.native === NATIVE_VERSION
    );
  } catch {
    // Octets that are no map belong to somebody else's extension.
    return false;
  }
}
