// What each command does: one short function per command, which calls one
// engine. A handler returns a refusal where it did not do it. It knows no
// sockets and calls no other handler; which command is allowed when, and what it
// is answered, stands in lifecycle.ts.
import { STATUS, type ClientCommandName, type Command } from '../../protocol/index.js';
import type { Admin } from '../admin.js';
import type { Confirmations } from '../sessions/confirmations.js';
import type { Cursors } from '../streams/cursors.js';
import type { DeadLetters } from '../queues/dead-letters.js';
import type { Mailboxes } from '../queues/mailboxes.js';
import type { Refusal } from '../refusal.js';
import type { Services } from '../queues/services.js';
import type { Session } from '../sessions/session.js';
import type { Streams } from '../streams/streams.js';

/** The parts of the broker that commands act on. */
export interface Engines {
  readonly streams: Streams;
  readonly mailboxes: Mailboxes;
  readonly services: Services;
  readonly confirmations: Confirmations;
  readonly admin: Admin;
  readonly cursors: Cursors;
  readonly deadLetters: DeadLetters;
  /** A session has credit again. */
  resume(session: Session): void;
}

/** Carries out a command of an open session. @returns why not, where it does not */
export type Handler<Name extends ClientCommandName> = (
  engines: Engines,
  session: Session,
  command: Command<Name>,
) => Refusal | undefined;

const CREDIT_MAX = 2 ** 31;

export const chooseStream: Handler<'STREAM WRITE'> = ({ streams }, session, { stream }) =>
  streams.write(session, stream);

export const readStream: Handler<'STREAM READ'> = ({ streams }, session, { stream, pattern }) =>
  streams.read(session, stream, pattern);

export const cancelStream: Handler<'STREAM CANCEL'> = ({ streams }, session, { stream }) => {
  streams.cancel(session, stream);
  return undefined;
};

export const sendToStream: Handler<'STREAM SEND'> = ({ streams }, session, { subject, content }) =>
  streams.send(session, subject, content);

export const sendToMailbox: Handler<'MAILBOX SEND'> = (engines, session, command) => {
  const result = engines.mailboxes.send(session, command.address, command);
  tellRefused(engines, session, command.tracker, result);
  return undefined;
};

export const sendToService: Handler<'SERVICE SEND'> = (engines, session, command) => {
  const { services, admin } = engines;
  if (admin.serves(command.address)) {
    admin.answer(session, command.subject, command.tracker);
    return undefined;
  }
  const result = services.send(session, command.address, command);
  tellRefused(engines, session, command.tracker, result);
  return undefined;
};

/** A message that was not accepted does not end the session; its sender is told where it has a tracker. */
function tellRefused(
  { confirmations }: Engines,
  session: Session,
  tracker: string,
  result: object | string,
): void {
  if (typeof result === 'string')
    confirmations.tell(session.origin, tracker, STATUS.FAILED, result);
}

export const offerService: Handler<'SERVICE OFFER'> = (
  { services },
  session,
  { address, pattern },
) => services.offer(session, address, pattern);

/** After the offer was answered: what waits for it goes out. */
export const serveOffer: Handler<'SERVICE OFFER'> = ({ services }, session, { address }) => {
  services.serve(session, address);
  return undefined;
};

export const passConfirmation: Handler<'CONFIRM'> = ({ confirmations }, session, command) => {
  confirmations.pass(session, command.tracker, command.statusCode, command.statusReason);
  return undefined;
};

/** The first grant makes the session flow-controlled; later ones add up. */
export const grantCredit: Handler<'CREDIT'> = (engines, session, { amount }) => {
  const before = session.credit === Infinity ? 0 : session.credit;
  session.credit = Math.min(CREDIT_MAX, before + amount);
  engines.resume(session);
  return undefined;
};
