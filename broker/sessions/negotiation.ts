// Whether a session is native: a client that can says so in a map behind the
// last field of OPEN, where a broker of MLM/1 does not look, and is answered by
// one behind the last field of OK. A client that did not ask never sees one.
import { decode as unpack, encode as pack } from '@msgpack/msgpack';
import { NATIVE_VERSION, trailer } from '../../protocol/index.js';
import { NativeSide } from './native-side.js';
import type { Limits } from '../options.js';
import type { Session } from './session.js';

const PROPERTIES_BYTES_MAX = 64 * 1024;
const NOTHING = Buffer.alloc(0);

export class Negotiation {
  readonly #limits: Limits;

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  /**
   * Makes a session native where its client asks for a version that this broker
   * speaks.
   *
   * @param open frame 0 of its OPEN
   * @returns what to append to frame 0 of the OK; nothing for MLM/1
   */
  agree(session: Session, open: Buffer): Buffer {
    if (nativeVersion(trailer(open)) !== NATIVE_VERSION) return NOTHING;
    session.native = new NativeSide(session);
    const { messageBytesMax } = this.#limits;
    return Buffer.from(pack({ native: NATIVE_VERSION, messageBytesMax }));
  }
}

/** The native version that the octets behind OPEN ask for; undefined where they ask for none. */
function nativeVersion(properties: Buffer): unknown {
  if (properties.length === 0 || properties.length > PROPERTIES_BYTES_MAX) return undefined;
  try {
    const map = unpack(properties);
    return typeof map === 'object' && map !== null && 'native' in map ? map.native : undefined;
  } catch {
    // Octets that are no map belong to somebody else's extension: they are ignored, as in MLM/1.
    return undefined;
  }
}
