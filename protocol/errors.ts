// What can be wrong with bytes from a peer, as one error type. It says what was
// wrong and where, never what to do about it: that is the session's decision.

/** Why a frame does not parse, or a command cannot be written. */
export type ProtocolFault =
  | 'no-frame'
  | 'signature'
  | 'unknown-command'
  | 'truncated'
  | 'encoding'
  | 'too-long'
  | 'range'
  | 'pattern';

/**
 * A frame that does not parse, or a value that does not fit the wire. It is the
 * only error that `decode`, `encode` and `compilePattern` throw.
 */
export class ProtocolError extends Error {
  override readonly name = 'ProtocolError';
  /** What kind of fault it is. */
  readonly fault: ProtocolFault;
  /** The field (`STREAM READ.pattern`) or the octet offset in frame 0 at which it was found. */
  readonly where: string;

  constructor(fault: ProtocolFault, where: string, message: string) {
    super(`${message} (${where})`);
    this.fault = fault;
    this.where = where;
  }
}
