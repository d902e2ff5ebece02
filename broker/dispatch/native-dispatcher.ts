// The way in for native sessions: a batch is read command by command, and each
// is carried out by one engine. What cannot be done is refused by number and
// disturbs nothing else; a batch that does not parse ends its session.
import {
  BatchReader,
  checkSections,
  isFromNativeClient,
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
import type { Session } from '../sessions/session.js';

/** Commands in one batch, at most. */
const COMMANDS_MAX = 20_000;
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
      else acceptance.accept(1, queue.commits);
    },
    'CONFIRM DELIVERY': (session, native, { delivery, epoch, statusCode, statusReason }) => {
      const held = native.held.get(delivery);
      if (held?.epoch !== epoch) {
        this.#context.counters.staleConfirms++;
        return;
      }
      native.held.delete(delivery);
      held.message.keeper.confirm(held.message, session, statusCode, statusReason);
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
    'STREAM SEND ONCE': () => notYet(),
    EXTEND: () => notYet(),
    PROGRESS: () => notYet(),
    REPLY: () => notYet(),
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

  #sendToStream(session: Session, native: NativeSide, handle: number, sections: Buffer): void {
    const count = checkSections(sections, session.address);
    if (count > MESSAGES_MAX) {
      throw new ProtocolError(
        'range',
        'sections',
        `more than ${MESSAGES_MAX} messages in a command`,
      );
    }
    const stream = native.streams.get(handle);
    const { messageBytesMax } = this.#context.limits;
    const { acceptance } = native;
    if (stream === undefined) {
      acceptance.refuse(count, `there is no stream with the handle ${handle}`);
    } else if (sections.length > messageBytesMax) {
      acceptance.refuse(count, `${sections.length} octets are more than a message may have`);
    } else {
      this.#context.counters.streamMessages += count;
      acceptance.accept(count, stream.commits, stream.appendSections(sections, count));
    }
  }

  /** @returns what keeps the request, or why nothing does */
  #request(
    session: Session,
    command: NativeCommand<'SERVICE SEND'>,
  ): { commits: Commits } | string {
    const { admin, services } = this.#context.engines;
    if (command.priority > 9) return 'a priority is a number from 0 to 9';
    if (!admin.serves(command.address)) return services.send(session, command.address, command);
    admin.answer(session, command.subject, command.tracker);
    return { commits: this.#context.commits };
  }
}

function notYet(): never {
  throw new ProtocolError('unknown-command', 'batch', 'not yet');
}
