// The way in: one message of a peer is decoded, matched against the table of
// its session's state, and carried out by one engine. Whatever is wrong with it
// is answered here and concerns nobody but its sender.
import {
  decode,
  encode,
  encodeHeader,
  isBatch,
  isFromClient,
  PROTOCOL_NAME,
  PROTOCOL_VERSION,
  ProtocolError,
  STATUS,
  type ClientCommandName,
  type Command,
} from '../../protocol/index.js';
import type { Counters } from '../counters.js';
import type { Flusher } from '../sessions/flusher.js';
import type { Engines } from './handlers.js';
import { LIFECYCLE, type Rule } from '../sessions/lifecycle.js';
import type { Logger } from '../log.js';
import type { NativeDispatcher } from './native-dispatcher.js';
import { Negotiation } from '../sessions/negotiation.js';
import type { Limits } from '../options.js';
import { refused, shorten, type Refusal } from '../refusal.js';
import type { Session, SessionKey } from '../sessions/session.js';
import type { Sessions } from '../sessions/sessions.js';

export interface DispatcherContext {
  readonly counters: Counters;
  readonly engines: Engines;
  readonly flusher: Flusher;
  readonly log: Logger;
  readonly sessions: Sessions;
  readonly native: NativeDispatcher;
  readonly limits: Limits;
}

export class Dispatcher {
  readonly #counters: Counters;
  readonly #engines: Engines;
  readonly #flusher: Flusher;
  readonly #log: Logger;
  readonly #sessions: Sessions;
  readonly #native: NativeDispatcher;
  readonly #negotiation: Negotiation;

  constructor(context: DispatcherContext) {
    const { counters, engines, flusher, log, sessions, native, limits } = context;
    this.#native = native;
    this.#negotiation = new Negotiation(limits);
    this.#counters = counters;
    this.#engines = engines;
    this.#flusher = flusher;
    this.#log = log;
    this.#sessions = sessions;
  }

  /** One message of a peer: routing id, frame 0, content. Whatever it is, it harms nobody else. */
  take(frames: Buffer[]): void {
    const routingId = frames[0] as Buffer;
    const key = sessionKey(routingId);
    try {
      this.#takeFrom(key, frames);
    } catch (error) {
      this.#fail(this.#sessions.get(key), routingId, this.#refusalOf(error));
    }
  }

  /** @throws {ProtocolError} where the message does not parse */
  #takeFrom(key: SessionKey, frames: Buffer[]): void {
    const session = this.#sessions.get(key);
    if (session !== undefined) session.lastBeat = this.#sessions.beat;
    if (session?.native !== undefined && isBatch(frames[1])) {
      this.#native.take(session, session.native, frames, 1);
      return;
    }
    const command = decode(frames, 1);
    if (session === undefined) this.#takeFirst(key, frames, command);
    else if (session.isNative && command.name !== 'CONNECTION CLOSE') {
      const reason = `${command.name} outside a batch in a native session`;
      this.#fail(session, frames[0] as Buffer, { statusCode: STATUS.COMMAND_INVALID, reason });
    } else this.#takeNext(session, command);
  }

  #refusalOf(error: unknown): Refusal {
    if (error instanceof ProtocolError) {
      this.#counters.protocolErrors++;
      return { statusCode: STATUS.COMMAND_INVALID, reason: error.message };
    }
    const { stack, message } = error as Error;
    this.#log.error('a message met a fault of the broker itself; please report it', {
      fault: stack ?? message,
    });
    return { statusCode: STATUS.INTERNAL_ERROR, reason: `a fault of the broker: ${message}` };
  }

  /** A command from a client without a session. */
  #takeFirst(key: SessionKey, frames: readonly Buffer[], command: Command): void {
    const routingId = frames[0] as Buffer;
    const rule = isFromClient(command.name) ? LIFECYCLE.start[command.name] : undefined;
    if (rule === undefined) {
      this.#counters.invalidCommands++;
      const reason = `${command.name} before CONNECTION OPEN`;
      this.#fail(undefined, routingId, { statusCode: STATUS.COMMAND_INVALID, reason });
      return;
    }
    if (command.name !== 'CONNECTION OPEN') {
      this.#flusher.replyTo([routingId, ...encode(ok())]);
      return;
    }
    const refusal = checkOpen(command);
    if (refusal !== undefined) {
      this.#fail(undefined, routingId, refusal);
      return;
    }
    const session = this.#sessions.open(key, routingId, command.address);
    if (session === undefined) {
      this.#fail(undefined, routingId, refused('there are too many clients'));
      return;
    }
    // The answer goes out before anything that waits for the session.
    const properties = this.#negotiation.agree(session, frames[1] as Buffer);
    this.#flusher.replyTo([routingId, Buffer.concat([encodeHeader(ok()), properties])]);
    this.#engines.mailboxes.attach(session);
  }

  /** A command from a client with a session. */
  #takeNext(session: Session, command: Command): void {
    const { name } = command;
    const rule = isFromClient(name)
      ? (LIFECYCLE.connected[name] as Rule<ClientCommandName> | undefined)
      : undefined;
    if (rule === undefined) {
      this.#counters.invalidCommands++;
      const reason = `${name} is not valid in an open session`;
      this.#fail(session, session.routingId, { statusCode: STATUS.COMMAND_INVALID, reason });
      return;
    }
    const refusal = rule.action?.(this.#engines, session, command as never);
    if (refusal !== undefined) {
      this.#fail(session, session.routingId, refusal);
      return;
    }
    if (rule.session === 'ends') {
      this.#end(session, 'it closed');
      this.#flusher.replyTo([session.routingId, ...encode(ok())]);
      return;
    }
    if (rule.reply !== undefined)
      this.#reply(session, rule.reply === 'OK' ? ok() : { name: rule.reply });
    rule.afterwards?.(this.#engines, session, command as never);
  }

  #reply(session: Session, command: Command<'OK' | 'CONNECTION PONG'>): void {
    if (session.reply(command)) return;
    this.#counters.repliesDropped++;
    this.#log.warn('a client reads none of its replies: its session ends', {
      address: session.address,
    });
    this.#sessions.end(session, 'it reads none of its replies');
  }

  /** Ends a session; what it was answered before goes out before its last answer. */
  #end(session: Session, why: string): void {
    // One whose queue is full would not get them, and must not take the room of others.
    if (!session.isNative && !session.flush.blocked) {
      for (const { head } of session.outbox.takeReplies()) {
        this.#flusher.replyTo([session.routingId, head]);
      }
    }
    this.#sessions.end(session, why);
  }

  /** Answers ERROR and ends the session, if there is one. */
  #fail(session: Session | undefined, routingId: Buffer, { statusCode, reason }: Refusal): void {
    if (session !== undefined) {
      this.#log.info('a command was refused: its session ends', {
        address: session.address,
        reason,
      });
      this.#end(session, reason);
    }
    const statusReason = shorten(reason);
    this.#flusher.replyTo([routingId, ...encode({ name: 'ERROR', statusCode, statusReason })]);
  }
}

function ok(): Command<'OK'> {
  return { name: 'OK', statusCode: STATUS.SUCCESS, statusReason: '' };
}

/** Routing ids that ZeroMQ makes are a zero octet and four random ones: a small number. */
function sessionKey(routingId: Buffer): SessionKey {
  if (routingId.length === 5 && routingId[0] === 0) return routingId.readInt32BE(1);
  return routingId.toString('latin1');
}

function checkOpen({
  protocol,
  version,
  address,
}: Command<'CONNECTION OPEN'>): Refusal | undefined {
  if (protocol !== PROTOCOL_NAME || version !== PROTOCOL_VERSION) {
    const reason = `this broker speaks ${PROTOCOL_NAME} version ${PROTOCOL_VERSION}`;
    return { statusCode: STATUS.NOT_IMPLEMENTED, reason };
  }
  if (address.startsWith('$')) return refused('addresses that begin with $ are reserved');
  return undefined;
}
