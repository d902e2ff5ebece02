// A client's session from its first frame to its last, as one table: in which
// state it may send which command, what is done, what it is answered. Read it
// from top to bottom; everything not listed is invalid and ends the session.
//
// Source: mlm_server.xml of Malamute 1.2.0. Beyond it: CONFIRM and CREDIT do
// what the protocol text promises, and CLOSE before OPEN is answered.
import type { ClientCommandName } from '../../protocol/index.js';
import {
  cancelStream,
  chooseStream,
  grantCredit,
  offerService,
  passConfirmation,
  readStream,
  sendToMailbox,
  sendToService,
  sendToStream,
  serveOffer,
  type Handler,
} from '../dispatch/handlers.js';

/** What a command in a state leads to. */
export interface Rule<Name extends ClientCommandName> {
  /** Done first. Where it refuses, the client gets ERROR and the session ends. */
  readonly action?: Handler<Name>;
  /** Sent then; commands without it are not answered. */
  readonly reply?: 'OK' | 'CONNECTION PONG';
  /** Done after the reply was queued. */
  readonly afterwards?: Handler<Name>;
  /** The session begins or ends with this command. */
  readonly session?: 'opens' | 'ends';
}

export type Rules = { readonly [Name in ClientCommandName]?: Rule<Name> };

export const LIFECYCLE: { readonly start: Rules; readonly connected: Rules } = {
  // Nothing is known of the client: not yet, or not any more.
  start: {
    'CONNECTION OPEN': { session: 'opens', reply: 'OK' },
    'CONNECTION CLOSE': { reply: 'OK' },
  },
  connected: {
    'CONNECTION PING': { reply: 'CONNECTION PONG' },
    'CONNECTION CLOSE': { reply: 'OK', session: 'ends' },
    'STREAM WRITE': { action: chooseStream, reply: 'OK' },
    'STREAM READ': { action: readStream, reply: 'OK' },
    'STREAM CANCEL': { action: cancelStream, reply: 'OK' },
    'STREAM SEND': { action: sendToStream },
    'MAILBOX SEND': { action: sendToMailbox },
    'SERVICE SEND': { action: sendToService },
    'SERVICE OFFER': { action: offerService, reply: 'OK', afterwards: serveOffer },
    CONFIRM: { action: passConfirmation },
    CREDIT: { action: grantCredit },
  },
};
