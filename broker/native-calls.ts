// The questions that a native client asks by name (CALL): to open writers and
// readers, to offer services, to look after streams, cursors and dead letters.
// Arguments and answers are maps; each method checks its own.
import {
  BlockReader,
  compilePattern,
  ProtocolError,
  STATUS,
  type Pattern,
} from '../protocol/index.js';
import type { Engines } from './handlers.js';
import { shorten, type Refusal } from './refusal.js';
import type { Session } from './session.js';
import type { KeptMessage } from './store/store.js';
import type { Stream } from './stream.js';

/** What is wrong with the arguments of a call, or why it cannot be done. */
class CallError extends Error {
  readonly statusCode: number;

  constructor(message: string, statusCode: number = STATUS.FAILED) {
    super(message);
    this.statusCode = statusCode;
  }
}

type Arguments = Readonly<Record<string, unknown>>;
type Method = (session: Session, given: Arguments) => unknown;

const CAPACITY_MAX = 100_000;
const CREDIT_MAX = 2 ** 32 - 1;

export interface CallContext {
  readonly engines: Engines;
}

export class NativeCalls {
  readonly #context: CallContext;
  readonly #methods: Readonly<Record<string, Method>> = {
    write: (session, given) => this.#write(session, given),
    read: (session, given) => this.#read(session, given),
    cancel: (session, given) => this.#cancel(session, given),
    offer: (session, given) => this.#offer(session, given),
    withdraw: (session, given) => this.#withdraw(session, given),
    'stream.info': (_session, given) => this.#streamInfo(given),
    'stream.delete': (_session, given) => this.#streamDelete(given),
    'stream.trim': (_session, given) => this.#streamTrim(given),
    'cursor.list': (_session, given) => this.#context.engines.cursors.list(text(given, 'stream')),
    'cursor.set': (_session, given) => this.#cursorSet(given),
    'cursor.delete': (_session, given) => this.#cursorDelete(given),
    'dead.counts': () => [...this.#context.engines.deadLetters.counts()],
    'dead.list': (_session, given) =>
      this.#context.engines.deadLetters.list(text(given, 'service')).map(letterView),
    'dead.retry': (session, given) => this.#deadRetry(session, given),
    'dead.drop': (_session, given) => letterView(this.#takeLetter(given)),
  };

  constructor(context: CallContext) {
    this.#context = context;
  }

  /** Answers a call with RESULT: 200 and a value, or a status and the reason. */
  answer(session: Session, call: number, method: string, given: unknown): void {
    try {
      const handler = Object.hasOwn(this.#methods, method) ? this.#methods[method] : undefined;
      if (handler === undefined) {
        throw new CallError(`this broker knows no method ${method}`, STATUS.NOT_IMPLEMENTED);
      }
      const value = handler(session, asMap(given));
      this.#result(session, call, STATUS.SUCCESS, '', value);
    } catch (error) {
      if (error instanceof CallError) this.#result(session, call, error.statusCode, error.message);
      else if (error instanceof ProtocolError)
        this.#result(session, call, STATUS.FAILED, error.message);
      else throw error;
    }
    this.#afterwards(session, method, asMap(given));
  }

  #result(
    session: Session,
    call: number,
    statusCode: number,
    reason: string,
    value?: unknown,
  ): void {
    session.replyNative({ name: 'RESULT', call, statusCode, statusReason: shorten(reason), value });
  }

  /** What waits for an offer goes out once the offer was answered. */
  #afterwards(session: Session, method: string, given: Arguments): void {
    if (method !== 'offer' || typeof given['service'] !== 'string') return;
    this.#context.engines.services.serve(session, given['service']);
  }

  #write(session: Session, given: Arguments): unknown {
    const name = text(given, 'stream');
    const handle = unwrap(this.#context.engines.streams.openWriter(session, name));
    return { handle };
  }

  #read(session: Session, given: Arguments): unknown {
    const { streams, cursors } = this.#context.engines;
    const name = text(given, 'stream');
    const pattern = patternOf(given);
    const cursor = given['cursor'] === undefined ? undefined : text(given, 'cursor');
    const credit = integer(given, 'credit', 0, CREDIT_MAX, 0);
    const own = given['own'] === true;
    const from = given['from'];
    const options = { pattern, credit, own, cursor };
    const reader = unwrap(
      streams.openReader(session, name, options, (stream) => {
        const at = cursor === undefined ? undefined : cursors.get(name, cursor);
        return at === undefined ? this.#placeOf(stream, from) : at + 1;
      }),
    );
    if (cursor !== undefined && cursors.get(name, cursor) === undefined) {
      const reason = cursors.set(name, cursor, reader.position - 1);
      if (reason !== undefined) {
        streams.closeReader(session, reader.handle);
        throw new CallError(reason);
      }
    }
    session.continueSoon();
    return { handle: reader.handle, from: reader.position };
  }

  /** The first sequence for a reader that starts at `from`. */
  #placeOf(stream: Stream, from: unknown): number {
    if (from === undefined || from === 'new') return stream.nextSequence;
    if (from === 'earliest') return stream.firstSequence;
    const map = asMap(from);
    if (map['sequence'] !== undefined) return integer(map, 'sequence', 0, Number.MAX_SAFE_INTEGER);
    if (map['last'] !== undefined) {
      const last = integer(map, 'last', 0, Number.MAX_SAFE_INTEGER);
      return Math.max(stream.firstSequence, stream.nextSequence - last);
    }
    if (map['timeMs'] !== undefined) {
      return this.#placeAtTime(stream, integer(map, 'timeMs', 0, Number.MAX_SAFE_INTEGER));
    }
    throw new CallError('from is "new", "earliest", {sequence}, {timeMs} or {last}');
  }

  /** The first message at or after a time, found by halving; times of a log rise, but for clocks set back. */
  #placeAtTime(stream: Stream, timeMs: number): number {
    let low = stream.firstSequence;
    let high = stream.lastSequence + 1;
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      if (this.#timeOf(stream, middle) < timeMs) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #timeOf(stream: Stream, sequence: number): number {
    const block = stream.readBlock(sequence);
    if (block === undefined) return Infinity;
    const messages = new BlockReader(block.bytes);
    messages.seek(sequence);
    return messages.next() ? messages.timeMs : Infinity;
  }

  #cancel(session: Session, given: Arguments): unknown {
    this.#context.engines.streams.closeReader(session, integer(given, 'handle', 1, CREDIT_MAX));
    return {};
  }

  #offer(session: Session, given: Arguments): unknown {
    const service = text(given, 'service');
    const capacity = integer(given, 'capacity', 1, CAPACITY_MAX, 1);
    const { source } = patternOf(given);
    const refusal = this.#context.engines.services.offer(session, service, source, capacity);
    if (refusal !== undefined) throw new CallError(refusal.reason);
    return {};
  }

  #withdraw(session: Session, given: Arguments): unknown {
    this.#context.engines.services.withdraw(session, text(given, 'service'));
    return {};
  }

  #streamInfo(given: Arguments): unknown {
    const stream = this.#requireStream(given);
    const { name, firstSequence, lastSequence, bytes, writers, readers, behind } = stream;
    const cursors = this.#context.engines.cursors.list(name);
    return { stream: name, firstSequence, lastSequence, bytes, writers, readers, behind, cursors };
  }

  #streamDelete(given: Arguments): unknown {
    const name = text(given, 'stream');
    const refusal = this.#context.engines.streams.delete(name);
    if (refusal !== undefined) throw new CallError(refusal.reason);
    this.#context.engines.cursors.forgetStream(name);
    return {};
  }

  #streamTrim(given: Arguments): unknown {
    const stream = this.#requireStream(given);
    this.#context.engines.streams.trim(stream, integer(given, 'bytes', 0, Number.MAX_SAFE_INTEGER));
    return this.#streamInfo(given);
  }

  #cursorSet(given: Arguments): unknown {
    const stream = this.#requireStream(given);
    const name = text(given, 'cursor');
    const sequence = integer(given, 'sequence', 0, Number.MAX_SAFE_INTEGER);
    const reason = this.#context.engines.cursors.set(stream.name, name, sequence);
    if (reason !== undefined) throw new CallError(reason);
    return {};
  }

  #cursorDelete(given: Arguments): unknown {
    const stream = text(given, 'stream');
    const name = text(given, 'cursor');
    if (this.#context.engines.cursors.delete(stream, name)) return {};
    throw new CallError(`stream ${stream} has no cursor ${name}`);
  }

  #deadRetry(session: Session, given: Arguments): unknown {
    const letter = this.#takeLetter(given);
    const { subject, tracker, priority, content } = letter;
    const sending = { subject, tracker, timeout: 0, priority, content };
    const reason = this.#context.engines.services.send(
      session,
      text(given, 'service'),
      sending,
      letter.sender,
    );
    if (typeof reason === 'string') throw new CallError(reason);
    return letterView(letter);
  }

  #takeLetter(given: Arguments): KeptMessage {
    const service = text(given, 'service');
    const sequence = integer(given, 'letter', 1, Number.MAX_SAFE_INTEGER);
    const letter = this.#context.engines.deadLetters.drop(service, sequence);
    if (letter === undefined)
      throw new CallError(`service ${service} has no dead letter ${sequence}`);
    return letter;
  }

  #requireStream(given: Arguments): Stream {
    const name = text(given, 'stream');
    const stream = this.#context.engines.streams.get(name);
    if (stream === undefined) throw new CallError(`there is no stream ${name}`);
    return stream;
  }
}

/** A dead letter as it is shown: its body only by size. */
function letterView(letter: KeptMessage): unknown {
  const { sequence, sender, subject, tracker, acceptedWallMs, attempts, failures, content } =
    letter;
  const bytes = content.reduce((sum, frame) => sum + frame.length, 0);
  return {
    letter: sequence,
    sender,
    subject,
    tracker,
    acceptedMs: acceptedWallMs,
    attempts,
    failures,
    bytes,
  };
}

function unwrap<Value>(result: Value | Refusal): Value {
  if (isRefusal(result)) throw new CallError(result.reason, result.statusCode);
  return result;
}

function isRefusal(result: unknown): result is Refusal {
  return (
    typeof result === 'object' && result !== null && 'reason' in result && 'statusCode' in result
  );
}

function asMap(value: unknown): Arguments {
  if (value === undefined || value === null) return {};
  if (typeof value === 'object' && !Array.isArray(value)) return value as Arguments;
  throw new CallError('arguments are a map');
}

function text(given: Arguments, key: string): string {
  const value = given[key];
  if (typeof value === 'string') return value;
  throw new CallError(`${key} is missing, or not a text`);
}

function integer(
  given: Arguments,
  key: string,
  min: number,
  max: number,
  missing?: number,
): number {
  const value = given[key] ?? missing;
  if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max)
    return value;
  throw new CallError(`${key} is not a whole number from ${min} to ${max}`);
}

function patternOf(given: Arguments): Pattern {
  return compilePattern(given['pattern'] === undefined ? '' : text(given, 'pattern'));
}
