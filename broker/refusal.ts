// What the broker answers to a command that it does not carry out.
import { STATUS, STRING_BYTES_MAX, textBytes, type StatusCode } from '../protocol/index.js';

const REASON_LENGTH_MAX = 80;

/** A command was not carried out: the status and the reason that its sender gets. */
export interface Refusal {
  readonly statusCode: StatusCode;
  readonly reason: string;
}

/** A refusal of something that the peer could have done otherwise. */
export function refused(reason: string): Refusal {
  return { statusCode: STATUS.FAILED, reason };
}

/** The reason where a body has more octets than a message may have. */
export function tooLarge(bytes: number, bytesMax: number): string {
  return `${bytes} octets are more than a message may have (${bytesMax})`;
}

/** A reason short enough to be read at a glance, and for the wire, whatever it quotes. */
export function shorten(reason: string): string {
  return reason.length > REASON_LENGTH_MAX ? `${reason.slice(0, REASON_LENGTH_MAX - 1)}…` : reason;
}

/** A reason as it is where it fits the wire, else shortened. */
export function fitting(reason: string): string {
  return textBytes(reason) > STRING_BYTES_MAX ? shorten(reason) : reason;
}
