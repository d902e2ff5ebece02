// What the broker counts: one flat object for all of it, one for each service, so
// that a count costs one addition; `$broker` shows them as they are.

/** Counts since the broker started. */
export interface Counters {
  /** ZeroMQ messages received and sent. */
  received: number;
  sent: number;
  /** Messages accepted from clients, by kind. */
  streamMessages: number;
  mailboxMessages: number;
  serviceRequests: number;
  /** Stream messages with an id that came before: they were not written again. */
  streamRepeats: number;
  /** Messages that clients' sockets took, by kind. */
  streamDeliveries: number;
  mailboxDeliveries: number;
  serviceDeliveries: number;
  /** Stream messages that a reader missed because retention overtook it. */
  streamGaps: number;
  /** Messages that waited longer than their timeout. */
  expired: number;
  /** Messages refused at a limit. */
  refused: number;
  /** Requests that went to the dead letters. */
  deadLetters: number;
  /** Requests answered with what an earlier one, or one that was run for them too, had got. */
  resultsReused: number;
  /** Messages taken back from a session that ended. */
  takenBack: number;
  /** CONFIRMs passed on, and those whose tracker was not known. */
  confirms: number;
  unknownTrackers: number;
  /** Confirms of deliveries that the client no longer held. */
  staleConfirms: number;
  /** Frames that did not parse, and commands that the session's state forbids. */
  protocolErrors: number;
  invalidCommands: number;
  /** Replies that could not be given because the peer did not read them. */
  repliesDropped: number;
  sessionsOpened: number;
  sessionsExpired: number;
}

export function newCounters(): Counters {
  return {
    received: 0,
    sent: 0,
    streamMessages: 0,
    mailboxMessages: 0,
    serviceRequests: 0,
    streamRepeats: 0,
    streamDeliveries: 0,
    mailboxDeliveries: 0,
    serviceDeliveries: 0,
    streamGaps: 0,
    expired: 0,
    refused: 0,
    deadLetters: 0,
    resultsReused: 0,
    takenBack: 0,
    confirms: 0,
    unknownTrackers: 0,
    staleConfirms: 0,
    protocolErrors: 0,
    invalidCommands: 0,
    repliesDropped: 0,
    sessionsOpened: 0,
    sessionsExpired: 0,
  };
}

/**
 * Counts of one service since the broker knows it: a service that nobody offers and
 * that keeps no request is forgotten, and counts from 0 when it comes again.
 */
export interface ServiceCounters {
  /** Requests accepted from clients. */
  accepted: number;
  /** Requests done; those too that a worker of MLM/1 took, which can say no more. */
  done: number;
  /** Those of them that were answered with the result of another one. */
  reused: number;
  /** Attempts that failed, for whatever reason. */
  failed: number;
  /** Requests that went to the dead letters. */
  dead: number;
}

export function newServiceCounters(): ServiceCounters {
  return { accepted: 0, done: 0, reused: 0, failed: 0, dead: 0 };
}
