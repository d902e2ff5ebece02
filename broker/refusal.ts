// What the broker answers to a command that it does not carry out.
import { STATUS, type StatusCode } from '../protocol/index.js';

/** A command was not carried out: the status and the reason that its sender gets. */
export interface Refusal {
  readonly statusCode: StatusCode;
  readonly reason: string;
}

/** A refusal of something that the peer could have done otherwise. */
export function refused(reason: string): Refusal {
  return { statusCode: STATUS.FAILED, reason };
}
