// The calls that are about streams and their cursors: to open writers and readers,
// to look after logs.
import { BlockReader } from '../../../protocol/index.js';
import type { Session } from '../../sessions/session.js';
import type { Stream } from '../../streams/stream.js';
import type { Engines } from '../handlers.js';
import {
  asMap,
  CallError,
  integer,
  patternOf,
  text,
  U32_MAX,
  unwrap,
  type Arguments,
  type Methods,
} from './arguments.js';

const WRONG_FROM =
  'from is "new", "earliest", {sequence}, {timeMs}, {last}, or {compact: true, sequence?}';

export class StreamCalls {
  readonly methods: Methods = {
    write: (session, given) => this.#write(session, given),
    unwrite: (session, given) => this.#unwrite(session, given),
    read: (session, given) => this.#read(session, given),
    cancel: (session, given) => this.#cancel(session, given),
    'stream.info': (_session, given) => this.#streamInfo(given),
    'stream.last': (_session, given) => this.#streamLast(given),
    'stream.delete': (_session, given) => this.#streamDelete(given),
    'stream.trim': (_session, given) => this.#streamTrim(given),
    'cursor.list': (_session, given) => this.#engines.cursors.list(text(given, 'stream')),
    'cursor.set': (_session, given) => this.#cursorSet(given),
    'cursor.delete': (_session, given) => this.#cursorDelete(given),
  };
  readonly #engines: Engines;

  constructor(engines: Engines) {
    this.#engines = engines;
  }

  #write(session: Session, given: Arguments): unknown {
    const name = text(given, 'stream');
    const handle = unwrap(this.#engines.streams.openWriter(session, name));
    return { handle };
  }

  #unwrite(session: Session, given: Arguments): unknown {
    this.#engines.streams.closeWriter(session, integer(given, 'handle', 1, U32_MAX));
    return {};
  }

  #read(session: Session, given: Arguments): unknown {
    const { streams, cursors } = this.#engines;
    const name = text(given, 'stream');
    const pattern = patternOf(given);
    const cursor = given['cursor'] === undefined ? undefined : text(given, 'cursor');
    const credit = integer(given, 'credit', 0, U32_MAX, 0);
    const own = given['own'] === true;
    const from = given['from'];
    const options = { pattern, credit, own, cursor };
    const reader = unwrap(
      streams.openReader(session, name, options, (stream) => {
        const at = cursor === undefined ? undefined : cursors.get(name, cursor);
        return at === undefined ? this.#startOf(stream, from) : { position: at + 1 };
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
    const { handle, position, compactTo } = reader;
    const { life, lastSequence } = reader.stream;
    const opened = { handle, from: position, life, lastSequence };
    return compactTo === undefined ? opened : { ...opened, whole: compactTo + 1 };
  }

  /** Where a reader starts that asks for `from`. */
  #startOf(stream: Stream, from: unknown): { position: number; compactTo?: number } {
    if (typeof from !== 'object' || from === null || !('compact' in from)) {
      return { position: this.#placeOf(stream, from) };
    }
    if (from.compact !== true) throw new CallError(WRONG_FROM);
    const position = integer(asMap(from), 'sequence', 0, Number.MAX_SAFE_INTEGER, 0);
    const { firstSequence, lastSequence } = stream;
    return { position: Math.max(firstSequence, position), compactTo: lastSequence };
  }

  /** The first sequence for a reader that starts at `from`. */
  #placeOf(stream: Stream, from: unknown): number {
    if (from === undefined || from === 'new') return stream.nextSequence;
    if (from === 'earliest') return stream.firstSequence;
    const map = asMap(from);
    if (map['sequence'] !== undefined)
      return Math.max(1, integer(map, 'sequence', 0, Number.MAX_SAFE_INTEGER));
    if (map['last'] !== undefined) {
      const last = integer(map, 'last', 0, Number.MAX_SAFE_INTEGER);
      return Math.max(stream.firstSequence, stream.nextSequence - last);
    }
    if (map['timeMs'] !== undefined) {
      return this.#placeAtTime(stream, integer(map, 'timeMs', 0, Number.MAX_SAFE_INTEGER));
    }
    throw new CallError(WRONG_FROM);
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
    this.#engines.streams.closeReader(session, integer(given, 'handle', 1, U32_MAX));
    return {};
  }

  #streamInfo(given: Arguments): unknown {
    const stream = this.#requireStream(given);
    const { name, firstSequence, lastSequence, bytes, writers, readers, behind } = stream;
    const cursors = this.#engines.cursors.list(name);
    return { stream: name, firstSequence, lastSequence, bytes, writers, readers, behind, cursors };
  }

  /** The last message of a subject; one who is told that this is not known yet asks again. */
  #streamLast(given: Arguments): unknown {
    const { streams } = this.#engines;
    const stream = streams.peek(text(given, 'stream'));
    const subject = text(given, 'subject');
    const sequence = stream === undefined ? 0 : streams.lastOf(stream, subject);
    return { sequence: sequence ?? 0, known: sequence !== undefined };
  }

  #streamDelete(given: Arguments): unknown {
    const name = text(given, 'stream');
    const refusal = this.#engines.streams.delete(name);
    if (refusal !== undefined) throw new CallError(refusal.reason);
    this.#engines.cursors.forgetStream(name);
    return {};
  }

  #streamTrim(given: Arguments): unknown {
    const stream = this.#requireStream(given);
    this.#engines.streams.trim(stream, integer(given, 'bytes', 0, Number.MAX_SAFE_INTEGER));
    return this.#streamInfo(given);
  }

  #cursorSet(given: Arguments): unknown {
    const stream = this.#requireStream(given);
    const name = text(given, 'cursor');
    const sequence = integer(given, 'sequence', 0, Number.MAX_SAFE_INTEGER);
    const reason = this.#engines.cursors.set(stream.name, name, sequence);
    if (reason !== undefined) throw new CallError(reason);
    return {};
  }

  #cursorDelete(given: Arguments): unknown {
    const stream = text(given, 'stream');
    const name = text(given, 'cursor');
    if (this.#engines.cursors.delete(stream, name)) return {};
    throw new CallError(`stream ${stream} has no cursor ${name}`);
  }

  #requireStream(given: Arguments): Stream {
    const name = text(given, 'stream');
    const stream = this.#engines.streams.peek(name);
    if (stream === undefined) throw new CallError(`there is no stream ${name}`);
    return stream;
  }
}
