// The life of a client as one table: in which state what can happen, what is
// done about it, and what comes next. Read it from top to bottom. It does
// nothing itself: the connection carries out the actions it names.

/**
 * Where a client is. Where it is closed while there is no session, one more is
 * opened for what waits to be sent.
 */
export type State =
  | 'connecting'
  | 'open'
  | 'renewing'
  | 'disconnected'
  | 'closing'
  | 'closingRenewal'
  | 'closingConnecting'
  | 'closingDisconnected'
  | 'closed';

/** The user has closed the client, and it has not ended yet. */
export const ENDING: ReadonlySet<State> = new Set([
  'closing',
  'closingRenewal',
  'closingConnecting',
  'closingDisconnected',
]);

/** What can happen. */
export type LifeEvent =
  /** OPEN was answered with OK. */
  | 'accepted'
  /** ERROR 500: the broker does not know the session. */
  | 'invalid'
  /** Any other ERROR; the broker has ended the session. */
  | 'refused'
  /** The connection is gone, or carries what is not MLM/1. */
  | 'cut'
  /** The broker has said nothing for too long. */
  | 'silent'
  /** The time given to what goes on is over. */
  | 'overdue'
  /** The time given to closing is over. */
  | 'late'
  /** Nothing waits to be sent any more. */
  | 'done'
  /** CLOSE was answered. */
  | 'parted'
  /** The session is to begin anew, without a declaration that cannot be taken back otherwise. */
  | 'renew'
  /** The user closes the client. */
  | 'close'
  /** There is no coming back. */
  | 'giveUp';

/** What is done. Each is a method of the connection. */
export type Action =
  /** Opens a fresh transport and sends OPEN on it. */
  | 'dial'
  /** Drops the transport and all that was queued on it. */
  | 'drop'
  /** Begins to ping, and to notice silence. */
  | 'watch'
  /** Sends the declarations in the order in which they were made. */
  | 'replay'
  /** Lets the outbox flow, after the declarations. */
  | 'flow'
  /** Holds the outbox, and sends CLOSE. */
  | 'part'
  /** Bounds the time that closing may take. */
  | 'hurry'
  /** Is done where nothing waits to be sent. */
  | 'checkRest'
  /** Bounds the time that is left to what goes on. */
  | 'wait'
  /** Lets the outbox flow, and nothing be declared again. */
  | 'replayRest'
  /** Sends what the outbox holds, then CLOSE. */
  | 'flushAndPart'
  /** Waits, then dials; or gives up where the client must not come back. */
  | 'backOff'
  /** Tells that the session is open. */
  | 'announceOpen'
  /** Tells that the session is lost. */
  | 'announceLoss'
  /** Ends everything that waits. */
  | 'finish';

export interface Transition {
  readonly next: State;
  readonly actions: readonly Action[];
}

const LOST: Transition = { next: 'disconnected', actions: ['drop', 'announceLoss', 'backOff'] };
const AGAIN: Transition = { next: 'disconnected', actions: ['drop', 'backOff'] };
const ANEW: Transition = { next: 'connecting', actions: ['drop', 'dial'] };
const OVER: Transition = { next: 'closed', actions: ['drop', 'finish'] };
/** For what waits to be sent. */
const ONCE_MORE: Transition = {
  next: 'closingDisconnected',
  actions: ['drop', 'checkRest', 'backOff'],
};
const ONCE_MORE_NOW: Transition = { next: 'closingConnecting', actions: ['drop', 'dial'] };

/** What is not listed in a state changes nothing there. */
export const LIFE: Readonly<Record<State, Readonly<Partial<Record<LifeEvent, Transition>>>>> = {
  // OPEN is on its way. The socket itself tries again where nobody listens.
  connecting: {
    accepted: { next: 'open', actions: ['watch', 'replay', 'flow', 'announceOpen'] },
    invalid: AGAIN,
    refused: AGAIN,
    cut: AGAIN,
    overdue: AGAIN,
    close: { next: 'closingConnecting', actions: ['hurry', 'checkRest', 'wait'] },
    giveUp: OVER,
  },
  open: {
    invalid: LOST,
    refused: LOST,
    cut: LOST,
    silent: LOST,
    renew: { next: 'renewing', actions: ['part'] },
    close: { next: 'closing', actions: ['hurry', 'flushAndPart'] },
  },
  // CLOSE is on its way; what the broker sent before its answer still arrives.
  renewing: {
    parted: ANEW,
    overdue: ANEW,
    invalid: ANEW,
    refused: LOST,
    cut: LOST,
    silent: LOST,
    close: { next: 'closingRenewal', actions: ['hurry', 'checkRest', 'wait'] },
  },
  // There is no transport. A timer runs.
  disconnected: {
    overdue: { next: 'connecting', actions: ['dial'] },
    close: { next: 'closingConnecting', actions: ['hurry', 'checkRest', 'dial'] },
    giveUp: OVER,
  },
  // What waits goes out, then CLOSE.
  closing: {
    parted: OVER,
    late: OVER,
    invalid: ONCE_MORE,
    refused: ONCE_MORE,
    cut: ONCE_MORE,
    silent: ONCE_MORE,
  },
  closingRenewal: {
    parted: ONCE_MORE_NOW,
    overdue: ONCE_MORE_NOW,
    invalid: ONCE_MORE_NOW,
    refused: ONCE_MORE_NOW,
    cut: ONCE_MORE_NOW,
    silent: ONCE_MORE_NOW,
    done: OVER,
    late: OVER,
  },
  closingConnecting: {
    accepted: { next: 'closing', actions: ['watch', 'replayRest', 'flushAndPart'] },
    invalid: ONCE_MORE,
    refused: ONCE_MORE,
    cut: ONCE_MORE,
    overdue: ONCE_MORE,
    done: OVER,
    late: OVER,
    giveUp: OVER,
  },
  closingDisconnected: {
    overdue: { next: 'closingConnecting', actions: ['dial'] },
    done: OVER,
    late: OVER,
    giveUp: OVER,
  },
  closed: {},
};
