// What the broker answers to a command that it does not carry out.
import {
  compilePattern,
  fittingText,
  ProtocolError,
  STATUS,
  STRING_BYTES_MAX,
  textBytes,
  type Pattern,
  type StatusCode,
} from '../protocol/index.js';

const REASON_LENGTH_MAX = 80;
/** Where something was cut off. */
const CUT = '…';

/** A command was not carried out: the status and the reason that its sender gets. */
export interface Refusal {
  readonly statusCode: StatusCode;
  readonly reason: string;
}

/** A refusal of something that the peer could have done otherwise. */
export function refused(reason: string): Refusal {
  return { statusCode: STATUS.FAILED, reason };
}

/** A pattern that a peer named; the refusal of one that is none. */
export function patternOf(source: string): Pattern | Refusal {
  try {
    return compilePattern(source);
  } catch (error) {
    if (error instanceof ProtocolError) return refused(error.message);
    throw error;
  }
}

/** The reason where a body has more octets than a message may have. */
export function tooLarge(bytes: number, bytesMax: number): string {
  return `${bytes} octets are more than a message may have (${bytesMax})`;
}

/** A reason short enough to be read at a glance, and for the wire, whatever it quotes. */
export function shorten(reason: string): string {
  if (reason.length <= REASON_LENGTH_MAX) return reason;
  const kept = reason.slice(0, REASON_LENGTH_MAX - CUT.length);
  // Not half of a character: one beyond 16 bits has two places in a string.
  return `${/[\ud800-\udbff]$/.test(kept) ? kept.slice(0, -1) : kept}${CUT}`;
}

/** A reason as it is where it fits the wire, else as much of it as does. */
export function fitting(reason: string): string {
  if (textBytes(reason) <= STRING_BYTES_MAX) return reason;
  return `${fittingText(reason, STRING_BYTES_MAX - textBytes(CUT))}${CUT}`;
}
