// The way in for native sessions: a batch is read command by command, and each
// is carried out by one engine. What cannot be done is refused by number and
// disturbs nothing else; a batch that does not parse ends its session.
import {
  BatchReader,
  checkSections,
  isFromNativeClient,
  largestContent,
  ProtocolError,
  type NativeClientCommandName,
  type NativeCommand,
} from '../../protocol/index.js';
import type { Commits } from '../store/commits.js';
import type { Counters } from '../counters.js';
import type { Engines } from './handlers.js';
import type { Limits } from '../options.js';
import type { NativeCalls } from './native-calls.js';
import type { NativeSide } from '../sessions/native-side.js';
import type { Kept } from '../queues/kept-queue.js';
import type { Held } from '../queues/held.js';
import type { RequestKeeper } from '../queues/message.js';
import { tooLarge } from '../refusal.js';
import type { Session } from '../sessions/session.js';
import type { Stream } from '../streams/stream.js';

/** Commands in one batch, at most. */
const COMMANDS_MAX = 20_000;
/** Sendings that wait for the disk, or for their sender to read what became of them, at most. */
const BACKLOG_MAX = 200_000;
/** Stream messages in one command, at most. */
const MESSAGES_MAX = 100_000;

type Handlers = {
  readonly [Name in NativeClientCommandName]: (
    session: Session,
    native: NativeSide,
    command: NativeCommand<Name>,
  ) => void;
};

export interface NativeContext {
  readonly engines: Engines;
  readonly calls: NativeCalls;
  readonly counters: Counters;
  readonly limits: Limits;
  /** The commits that answers of the broker itself are counted with. */
  readonly commits: Commits;
}

export class NativeDispatcher {
  readonly #context: NativeContext;
  readonly #handlers: Handlers = {
    CALL: (session, _native, { call, method, arguments: given }) => {
      this.#context.calls.answer(session, call, method, given);
    },
    'STREAM SEND': (session, native, { handle, sections }) => {
      this.#sendToStream(session, native, handle, sections);
    },
    'MAILBOX SEND': (session, { acceptance }, command) => {
      const queue = this.#context.engines.mailboxes.send(session, command.address, command);
      if (typeof queue === 'string') acceptance.refuse(1, queue);
      else acceptance.accept(1, queue.commits);
    },
    'SERVICE SEND': (session, { acceptance }, command) => {
      const queue = this.#request(session, command);
      if (typeof queue === 'string') acceptance.refuse(1, queue);
      else acceptance.accept(1, queue.commits, 0, queue.repeats);
    },
    'CONFIRM DELIVERY': (_session, native, { delivery, epoch, statusCode, statusReason }) => {
      const held = this.#end(native, delivery, epoch);
      held?.message.keeper.confirm(held, statusCode, statusReason);
    },
    REPLY: (_session, native, { delivery, epoch, content }) => {
      // Mail has no reply: that is refused while the session still holds it.
      const requests = requestsOf(native.held.get(delivery));
      const held = this.#end(native, delivery, epoch);
      if (held !== undefined) requests?.reply(held, content);
    },
    PROGRESS: (_session, native, { delivery, epoch, kind, content }) => {
      const held = this.#held(native, delivery, epoch);
      requestsOf(held)?.progress(held as Held, kind, content);
    },
    EXTEND: (_session, native, { delivery, epoch }) => {
      const held = this.#held(native, delivery, epoch);
      requestsOf(held)?.extend(held as Held);
    },
    'CONFIRM CURSOR': (_session, native, { handle, sequence }) => {
      const reader = native.readers.get(handle);
      if (reader?.cursor === undefined) return;
      this.#context.engines.cursors.advance(reader.stream, reader.cursor, sequence);
    },
    CREDIT: (session, native, { handle, amount }) => {
      if (handle !== 0) {
        native.readers.get(handle)?.grant(amount);
        return;
      }
      native.mailCredit = Math.min(Number.MAX_SAFE_INTEGER, native.mailCredit + amount);
      this.#context.engines.mailboxes.resume(session);
    },
    'STREAM SEND ONCE': (session, native, command) => {
      this.#sendOnceToStream(session, native, command);
    },
    PING: (session) => void session.replyNative({ name: 'PONG' }),
  };

  constructor(context: NativeContext) {
    this.#context = context;
  }

  /**
   * Carries out a batch.
   *
   * @param first the index of frame 0 in `frames`
   * @throws {ProtocolError} where it does not parse; what stood before the fault has been done
   */
  take(session: Session, native: NativeSide, frames: readonly Buffer[], first: number): void {
    if (native.acceptance.backlog > BACKLOG_MAX) {
      throw new ProtocolError('range', 'batch', 'too many sendings whose acceptance is not read');
    }
    const batch = new BatchReader(frames, first);
    let commands = 0;
    for (let command = batch.next(); command !== undefined; command = batch.next()) {
      if (session.ended) return;
      if (++commands > COMMANDS_MAX) {
        throw new ProtocolError('range', 'batch', `more than ${COMMANDS_MAX} commands in a batch`);
      }
      if (!isFromNativeClient(command.name)) {
        throw new ProtocolError(
          'unknown-command',
          'batch',
          `${command.name} is not for clients to send`,
        );
      }
      const handler = this.#handlers[command.name] as Handlers['PING'];
      handler(session, native, command as never);
    }
  }

  /** The delivery that a session means, where it still holds it. */
  #held({ held }: NativeSide, delivery: number, epoch: number): Held | undefined {
    const found = held.get(delivery);
    if (found?.epoch === epoch && !found.revoked) return found;
    this.#context.counters.staleConfirms++;
    return undefined;
  }

  /** As `#held`; the session has done with it. */
  #end(native: NativeSide, delivery: number, epoch: number): Held | undefined {
    const revoked = native.held.get(delivery);
    const held = this.#held(native, delivery, epoch);
    if (revoked?.epoch === epoch) native.held.delete(delivery);
    // It was taken from the worker before: now that one has stopped.
    if (held === undefined && revoked?.epoch === epoch) requestsOf(revoked)?.freed(revoked);
    return held;
  }

  #sendToStream(session: Session, native: NativeSide, handle: number, sections: Buffer): void {
    const count = checkSections(sections, session.address);
    if (count > MESSAGES_MAX) {
      throw new ProtocolError(
        'range',
        'sections',
        `more than ${MESSAGES_MAX} messages in a command`,
      );
    }
    const stream = this.#streamFor(session, native, handle, sections);
    if (typeof stream === 'string') native.acceptance.refuse(count, stream);
    else {
      this.#context.counters.streamMessages += count;
      native.acceptance.accept(count, stream.commits, stream.appendSections(sections, count));
    }
  }

  /** A repeat is accepted like the first one, once that is durable. */
  #sendOnceToStream(
    session: Session,
    native: NativeSide,
    { handle, id, sections }: NativeCommand<'STREAM SEND ONCE'>,
  ): void {
    if (checkSections(sections, session.address) !== 1) {
      throw new ProtocolError('range', 'sections', 'an id is for exactly one message');
    }
    const { acceptance } = native;
    const stream = this.#streamFor(session, native, handle, sections);
    if (typeof stream === 'string') acceptance.refuse(1, stream);
    else if (id === '') acceptance.refuse(1, 'an id has 1 to 255 octets');
    else if (session.address === '') acceptance.refuse(1, 'an id needs a sender with an address');
    else {
      const { sequence, repeats } = stream.appendOnce(session.address, id, sections);
      if (repeats === undefined) this.#context.counters.streamMessages++;
      else this.#context.counters.streamRepeats++;
      acceptance.accept(1, stream.commits, sequence, repeats);
    }
  }

  /** @returns the stream that sections are for, or why none of them is taken */
  #streamFor(
    session: Session,
    native: NativeSide,
    handle: number,
    sections: Buffer,
  ): Stream | string {
    const stream = native.streams.get(handle);
    if (stream === undefined) return `there is no stream with the handle ${handle}`;
    const { messageBytesMax } = this.#context.limits;
    if (sections.length <= messageBytesMax) return stream;
    const bytes = largestContent(sections);
    if (bytes <= messageBytesMax) return stream;
    this.#context.engines.streams.noteTooLarge(session, stream, bytes);
    return tooLarge(bytes, messageBytesMax);
  }

  /** @returns what keeps the request, or why nothing does */
  #request(session: Session, command: NativeCommand<'SERVICE SEND'>): Kept | string {
    const { admin, services } = this.#context.engines;
    if (command.priority > 9) return 'a priority is a number from 0 to 9';
    if (!admin.serves(command.address)) return services.send(session, command.address, command);
    admin.answer(session, command.subject, command.tracker);
    return { commits: this.#context.commits };
  }
}

/** The queue of a request that is held. @throws {ProtocolError} where it is mail */
function requestsOf(held: Held | undefined): RequestKeeper | undefined {
  if (held === undefined) return undefined;
  const { requests } = held.message.keeper;
  if (requests !== undefined) return requests;
  const what = `delivery ${held.delivery} is mail, which nobody works on`;
  throw new ProtocolError('range', 'delivery', what);
}
